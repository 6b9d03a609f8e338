from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from harness.metrics.captions.cider import cider_statistics
from harness.metrics.captions.ngrams import pack_captions
from harness.stats.resampling import MeanStatistics

Corpus = tuple[list[str], list[list[str]]]


def cider(candidates: list[str], references: list[list[str]], others: list[list[str]] | None = None) -> MeanStatistics:
    packed = pack_captions(candidates, references, others or [])
    return cider_statistics(packed, packed.matches())


def peer(candidates: list[str], references: list[list[str]]) -> tuple[float, list[float]]:
    from pycocoevalcap.cider.cider import Cider

    scores: tuple[float, list[float]] = Cider().compute_score(
        dict(enumerate(references)), {i: [c] for i, c in enumerate(candidates)}
    )
    return scores


@pytest.mark.parametrize("seed", range(5))
def test_equals_pycocoevalcap(seed: int, wild_corpus: Callable[[int, int], Corpus]) -> None:
    corpus = wild_corpus(seed, 60)
    value, per_image = peer(*corpus)
    statistics = cider(*corpus)
    assert statistics.value == pytest.approx(value, abs=1e-10)
    np.testing.assert_allclose(statistics.per_sample, per_image, atol=1e-10)


def test_by_hand() -> None:
    # Two images. "red" and "red dog" occur in one of them (IDF log 2), "dog" in both (IDF 0). Candidate "red dog"
    # equals its reference: cosine 1 for orders 1 and 2, none for 3 and 4, so 10 * (1 + 1 + 0 + 0) / 4 = 5.
    # Candidate "dog": only an n-gram of IDF 0, so 0. Mean 2.5.
    assert cider(["red dog", "dog"], [["red dog"], ["blue dog"]]).value == pytest.approx(2.5)


def test_length_penalty_by_hand() -> None:
    # Candidate "red dog red": unigrams red 2, clipped to 1: log2^2 / (2 log2 * log2) = 1/2. Bigrams: "red dog" and
    # "dog red" (in no reference: IDF log 2): 1 / sqrt 2. One bigram more than the reference: exp(-1 / 72).
    score = cider(["red dog red", "dog"], [["red dog"], ["blue dog"]]).per_sample[0]
    assert score == pytest.approx(10 * (1 / 2 + 1 / math.sqrt(2)) / 4 * math.exp(-1 / 72))


@pytest.mark.parametrize("candidate", ["", "dog", "a dog runs", "x y z"])
def test_one_image_has_no_idf_and_scores_zero(candidate: str) -> None:
    assert cider([candidate], [["a dog runs", "dog"]]).value == peer([candidate], [["a dog runs", "dog"]])[0] == 0


def test_part_of_a_split_with_the_idf_of_all(wild_corpus: Callable[[int, int], Corpus]) -> None:
    candidates, references = wild_corpus(11, 40)
    whole = cider(candidates, references)
    part = cider(candidates[:9], references[:9], references[9:])
    np.testing.assert_allclose(part.per_sample, whole.per_sample[:9], atol=1e-12)
    assert abs(cider(candidates[:9], references[:9]).value - part.value) > 1e-3


def test_resample_keeps_the_idf(wild_corpus: Callable[[int, int], Corpus]) -> None:
    statistics = cider(*wild_corpus(3, 10))
    counts = np.array([[1] * 10, [5, 5] + [0] * 8])
    expected = [statistics.value, statistics.per_sample[:2].mean()]
    assert statistics.resample(counts) == pytest.approx(expected, abs=1e-12)
