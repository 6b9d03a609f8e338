from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from harness.metrics.captions.bleu import BleuStatistics, bleu_statistics
from harness.metrics.captions.ngrams import pack_captions

Corpus = tuple[list[str], list[list[str]]]


def bleu(candidates: list[str], references: list[list[str]]) -> tuple[BleuStatistics, ...]:
    packed = pack_captions(candidates, references)
    return bleu_statistics(packed, packed.matches())


def peer(candidates: list[str], references: list[list[str]]) -> tuple[list[float], list[list[float]]]:
    from pycocoevalcap.bleu.bleu import Bleu

    scores: tuple[list[float], list[list[float]]] = Bleu().compute_score(
        dict(enumerate(references)), {i: [c] for i, c in enumerate(candidates)}, verbose=0
    )
    return scores


@pytest.mark.parametrize("seed", range(5))
def test_equals_pycocoevalcap(seed: int, wild_corpus: Callable[[int, int], Corpus]) -> None:
    corpus = wild_corpus(seed, 60)
    values, per_image = peer(*corpus)
    for order, statistics in enumerate(bleu(*corpus)):
        assert statistics.value == pytest.approx(values[order], abs=1e-12)
        np.testing.assert_allclose(statistics.per_sample, per_image[order], atol=1e-12)


def test_by_hand() -> None:
    # Candidate "the the the cat": clipped unigrams 2 + 1 = 3 of 4; bigrams: "the the" 0, "the cat" 1 -> 1 of 3.
    # Nearest reference length to 4: 5 (of 5 and 7), so brevity is exp(1 - 5/4).
    one, two, *_ = bleu(["the the the cat"], [["the cat on the mat", "a cat sat on the mat today"]])
    brevity = math.exp(1 - 5 / 4)
    assert one.value == pytest.approx(brevity * 3 / 4, abs=1e-8)
    assert two.value == pytest.approx(brevity * math.sqrt(3 / 4 * 1 / 3), abs=1e-8)


def test_at_a_tie_the_shorter_reference_counts() -> None:
    statistics = bleu(["a b c"], [["a b c d", "a b"]])[0]
    assert statistics.components[0, 9] == 2


@pytest.mark.parametrize(
    "candidate, references",
    [("", ["a dog"]), ("dog", ["dog"]), ("a dog runs fast", ["a dog runs fast"]), ("x y z", ["a b c"]), ("", [""])],
)
def test_edges_equal_pycocoevalcap(candidate: str, references: list[str]) -> None:
    values, _ = peer([candidate], [references])
    assert [s.value for s in bleu([candidate], [references])] == pytest.approx(values, abs=1e-12)


def test_resample_equals_the_repeated_corpus(wild_corpus: Callable[[int, int], Corpus]) -> None:
    candidates, references = wild_corpus(7, 20)
    counts = np.random.default_rng(0).multinomial(20, [1 / 20] * 20, size=3)
    all_once = np.ones((1, 20), dtype=np.int64)
    drawn = np.repeat(np.arange(20), counts[1])
    repeated = bleu([candidates[i] for i in drawn], [references[i] for i in drawn])
    for statistics, expected in zip(bleu(candidates, references), repeated, strict=True):
        assert statistics.resample(all_once)[0] == pytest.approx(statistics.value, abs=1e-15)
        assert statistics.resample(counts)[1] == pytest.approx(expected.value, abs=1e-12)
