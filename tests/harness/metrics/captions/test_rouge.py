from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from harness.metrics.captions.rouge import rouge_statistics

Corpus = tuple[list[str], list[list[str]]]


def peer(candidates: list[str], references: list[list[str]]) -> tuple[float, list[float]]:
    from pycocoevalcap.rouge.rouge import Rouge

    scores: tuple[float, list[float]] = Rouge().compute_score(
        dict(enumerate(references)), {i: [c] for i, c in enumerate(candidates)}
    )
    return scores


@pytest.mark.parametrize("seed", range(5))
def test_equals_pycocoevalcap(seed: int, wild_corpus: Callable[[int, int], Corpus]) -> None:
    corpus = wild_corpus(seed, 60)
    value, per_image = peer(*corpus)
    statistics = rouge_statistics(*corpus)
    assert statistics.value == pytest.approx(value, abs=1e-12)
    np.testing.assert_allclose(statistics.per_sample, per_image, atol=1e-12)


def test_by_hand() -> None:
    # "a c d" is common to both: P = 3/4, R = 3/5, F = 2.44 * P * R / (R + 1.44 * P) = 1.098 / 1.68
    statistics = rouge_statistics(["a c x d"], [["a b c e d"]])
    assert statistics.value == pytest.approx(1.098 / 1.68, abs=1e-12)


def test_precision_and_recall_may_come_from_different_references() -> None:
    # P = 1 from the long reference, R = 1 from the short one
    assert rouge_statistics(["a b"], [["a x b y", "a"]]).value == pytest.approx(1.0)


@pytest.mark.parametrize(
    "candidate, references",
    [("", ["a dog"]), ("", [""]), ("dog", ["dog"]), ("x y", ["a b"]), ("1\u00a02", ["1\u00a02 x", "1 2"])],
)
def test_edges_equal_pycocoevalcap(candidate: str, references: list[str]) -> None:
    assert rouge_statistics([candidate], [references]).value == pytest.approx(peer([candidate], [references])[0])


def test_very_long_captions() -> None:
    long = " ".join(str(i % 97) for i in range(700))
    corpus = ([long, "1 2"], [["2 1 0", long[::-1]], [long]])
    assert rouge_statistics(*corpus).value == pytest.approx(peer(*corpus)[0], abs=1e-12)


def test_resample_is_the_weighted_mean(wild_corpus: Callable[[int, int], Corpus]) -> None:
    statistics = rouge_statistics(*wild_corpus(3, 10))
    counts = np.array([[1] * 10, [10] + [0] * 9])
    assert statistics.resample(counts) == pytest.approx([statistics.value, statistics.per_sample[0]])
