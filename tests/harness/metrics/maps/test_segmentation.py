"""Scores of label maps against a plain confusion matrix, hotcoco's evaluator and numbers worked by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import DataError
from harness.metrics.maps.segmentation import SegmentationCounts, count_pixels, per_class_iou, segmentation_statistics
from harness.stats.resampling import without_each

Pair = tuple[np.ndarray, np.ndarray]
CLASSES = 7
NAMES = tuple("abcdefg")
UNSEEN = (1, 4, 6)


def wild(seed: int, images: int = 9, dtype: Any = np.uint8) -> list[Pair]:
    """Blocks of labels of some of the classes, never of class 6; ignored pixels; one image ignored throughout."""
    source = np.random.default_rng(seed)
    pairs = []
    for number in range(images):
        shape = tuple(source.integers(1, 40, 2))
        own = source.choice(CLASSES - 1, source.integers(1, 5), replace=False)
        truth, predicted = source.choice(own, shape).astype(dtype), source.choice(CLASSES - 1, shape).astype(dtype)
        predicted = np.where(source.random(shape) < 0.6, truth, predicted)
        truth = np.where(source.random(shape) < (1 if number == 3 else 0.1), 255, truth).astype(dtype)
        pairs.append((truth, predicted))
    return pairs


def counted(pairs: Sequence[Pair], classes: int = CLASSES) -> SegmentationCounts:
    return SegmentationCounts.stack(count_pixels(*pair, classes) for pair in pairs)


def reference(pairs: Sequence[Pair], unseen: Sequence[int] = UNSEEN) -> dict[str, float]:
    """The scores from one confusion matrix, a pixel at a time."""
    matrix = np.zeros((CLASSES, CLASSES))
    for truth, predicted in pairs:
        for true, found in zip(truth.ravel().tolist(), predicted.ravel().tolist(), strict=True):
            if true != 255:
                matrix[true, found] += 1
    with np.errstate(invalid="ignore"):
        iou = np.diag(matrix) / (matrix.sum(0) + matrix.sum(1) - np.diag(matrix))
        accuracy = np.diag(matrix) / matrix.sum(1)
        everywhere = np.diag(matrix).sum() / matrix.sum()
    seen = [number for number in range(CLASSES) if number not in unseen]
    means = {"mIoU": iou, "mean-accuracy": accuracy, "mIoU-seen": iou[seen], "mIoU-unseen": iou[list(unseen)]}
    scores = {n: float(v[~np.isnan(v)].mean()) if (~np.isnan(v)).any() else np.nan for n, v in means.items()}
    a, b = scores["mIoU-seen"], scores["mIoU-unseen"]
    scores["hIoU"] = 0.0 if a + b == 0 else 2 * a * b / (a + b)
    classes = {f"per-class:{name}": float(value) for name, value in zip(NAMES, iou, strict=True)}
    return {**scores, "pixel-accuracy": float(everywhere), **classes}


def scored(pairs: Sequence[Pair]) -> dict[str, Any]:
    counts = counted(pairs)
    return {**segmentation_statistics(counts, NAMES, UNSEEN), **per_class_iou(counts, NAMES)}


def values(pairs: Sequence[Pair]) -> dict[str, float]:
    return {name: np.nan if score is None else score.value for name, score in scored(pairs).items()}


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint64])
@pytest.mark.parametrize("seed", range(4))
def test_equals_a_confusion_matrix(seed: int, dtype: Any) -> None:
    pairs = wild(seed, dtype=dtype)
    assert values(pairs) == pytest.approx(reference(pairs), abs=1e-14, nan_ok=True)


@pytest.mark.parametrize("seed", range(3))
def test_equals_hotcoco(seed: int) -> None:
    from hotcoco.semantic import SemanticEval

    pairs = wild(seed + 50, images=30)
    evaluator = SemanticEval(CLASSES)
    for truth, predicted in pairs:
        evaluator.update(truth, predicted)
    peer = evaluator.report()["metrics"]
    ours = values(pairs)
    for name, theirs in (("mIoU", "mIoU"), ("pixel-accuracy", "aAcc"), ("mean-accuracy", "mAcc")):
        assert ours[name] == pytest.approx(peer[theirs], abs=1e-14)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0, 1, 2, 5, 255]), st.integers(0, CLASSES - 1)), min_size=1, max_size=30))
def test_any_labels_equal_a_confusion_matrix(pixels: list[tuple[int, int]]) -> None:
    truth, predicted = np.array(pixels, dtype=np.int64)[:, None].transpose(2, 0, 1)
    if (truth == 255).all():
        assert set(scored([(truth, predicted)]).values()) == {None}
    else:
        expected = reference([(truth, predicted)])
        if np.isnan(expected["mIoU-seen"] + expected["mIoU-unseen"]):
            expected["hIoU"] = np.nan
        assert values([(truth, predicted)]) == pytest.approx(expected, abs=1e-14, nan_ok=True)


def test_by_hand() -> None:
    # a: 3 true, 2 found of 2 predicted: 2/3. b: 1 true, 1 found of 3 predicted: 1/3. c is predicted once and never
    # true: IoU 0, and no accuracy. d does not occur. The ignored pixel's prediction counts nowhere.
    truth = np.array([[0, 0, 0, 1], [255, 4, 4, 255]], dtype=np.uint8)
    predicted = np.array([[0, 0, 1, 1], [2, 1, 2, 3]], dtype=np.uint8)
    counts = SegmentationCounts.stack([count_pixels(truth, predicted, 5)])
    assert counts.table[0].tolist() == [[2, 3, 2], [1, 1, 3], [0, 0, 1], [0, 0, 0], [0, 2, 0]]
    scores = segmentation_statistics(counts, tuple("abcde"), unseen={1, 2})
    expected = {
        "mIoU": (2 / 3 + 1 / 3 + 0 + 0) / 4,
        "pixel-accuracy": 3 / 6,
        "mean-accuracy": (2 / 3 + 1 + 0) / 3,
        "mIoU-seen": (2 / 3 + 0) / 2,
        "mIoU-unseen": (1 / 3 + 0) / 2,
        "hIoU": 2 * (1 / 3) * (1 / 6) / (1 / 2),
    }
    assert {name: score.value for name, score in scores.items() if score} == pytest.approx(expected)
    assert per_class_iou(counts, tuple("abcde"))["per-class:d"] is None


def test_no_ignored_label() -> None:
    counts = count_pixels(np.array([[0, 1]]), np.array([[0, 0]]), 2, ignore=None)
    assert counts.tolist() == [[1, 1, 2], [0, 1, 0]]
    counts = count_pixels(np.array([[0, 1]]), np.array([[0, 0]]), 2, ignore=0)
    assert counts.tolist() == [[0, 0, 1], [0, 1, 0]]


def test_resample_equals_the_repeated_corpus_and_single_images() -> None:
    pairs = wild(11)
    draws = np.random.default_rng(0).multinomial(len(pairs), [1 / len(pairs)] * len(pairs), size=10)
    every = np.arange(len(pairs))
    draws = np.concatenate([draws, np.eye(len(pairs), dtype=np.int64)])
    repeated = [values([pair for pair, n in zip(pairs, draw, strict=True) for _ in range(n)]) for draw in draws]
    for name, score in scored(pairs).items():
        if score is None:
            continue
        expected = [corpus[name] for corpus in repeated]
        np.testing.assert_allclose(score.resample(draws), expected, atol=1e-14)
        np.testing.assert_allclose(score.per_sample, expected[10:], atol=1e-14)
        without = score.resample(1 - np.eye(len(pairs), dtype=np.int64))
        np.testing.assert_array_equal(without_each(score, every, len(pairs)), without)
        assert score.resample(np.ones((1, len(pairs)), dtype=np.int64))[0] == pytest.approx(score.value, abs=1e-14)
    assert np.isnan(scored(pairs)["mIoU"].per_sample).tolist() == [number == 3 for number in range(len(pairs))]


def zeros(height: int, width: int, dtype: Any = np.uint8, label: float = 0) -> np.ndarray:
    labels = np.zeros((height, width), dtype=dtype)
    labels[0, 0] = label
    return labels


@pytest.mark.parametrize(
    ("truth", "predicted", "message"),
    [
        (zeros(2, 3), zeros(3, 2), r"7.png: the prediction is \[3, 2\] \(height, width\), the truth \[2, 3\]"),
        (zeros(2, 3), zeros(2, 3, label=4), r"the prediction has label 4; the class list has labels 0..3\."),
        (zeros(2, 3), zeros(2, 3, label=255), "the prediction has label 255"),
        (zeros(2, 3), zeros(2, 3, np.int16, -1), "the prediction has label -1"),
        (
            zeros(2, 3, label=9),
            zeros(2, 3),
            "the truth has label 9; the class list has labels 0..3 and the ignored 255",
        ),
        (zeros(2, 3), zeros(2, 3, np.float32), r"the prediction is float32 \[2, 3\], not whole numbers"),
        (zeros(2, 3)[None], zeros(2, 3)[None], r"the truth is uint8 \[1, 2, 3\], not whole numbers"),
        (zeros(2, 3, bool), zeros(2, 3), "the truth is bool"),
    ],
)
def test_broken_maps_are_refused(truth: np.ndarray, predicted: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        count_pixels(truth, predicted, 4, place="7.png")


def test_broken_requests_are_refused() -> None:
    counts = counted(wild(0))
    with pytest.raises(DataError, match="no label maps"):
        SegmentationCounts.stack([])
    with pytest.raises(DataError, match="6 class names for 7 classes"):
        segmentation_statistics(counts, NAMES[:6])
    with pytest.raises(DataError, match="class name 'a' occurs more than once"):
        per_class_iou(counts, (*NAMES[:6], "a"))
    with pytest.raises(DataError, match="no class 7 to be unseen"):
        segmentation_statistics(counts, NAMES, unseen=[7])
    for unseen in ([], range(7)):
        with pytest.raises(DataError, match="of 7 classes are unseen"):
            segmentation_statistics(counts, NAMES, unseen=unseen)
