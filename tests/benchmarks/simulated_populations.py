"""Populations of images with what a model answers, from which simulated experiments draw their test sets.

Images differ in difficulty, which all that is answered about one image shares; classes are unbalanced. A population is
a pool of images, so that its own score is known; a test set draws from it with replacement, and an experiment ends in
the same statistics that a run ends in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.protocols import Statistics
from harness.stats.resampling import FloatArray, IntArray

Draw = npt.NDArray[np.int64]
Score = Callable[[Draw], Mapping[str, Statistics | None]]
"""The places [n] of the images of a test set in the pool -> statistics of its metrics."""


def zipf(classes: int) -> FloatArray:
    """[K] shares of classes, the k-th 1 / k of the first."""
    shares = 1.0 / np.arange(1, classes + 1)
    return np.asarray(shares / shares.sum())


def logistic(x: Any) -> Any:
    """Turn a log odds into a probability."""
    return 1 / (1 + np.exp(-x))


def labels(pool: int, quality: float, seed: int = 0, classes: int = 10, unseen: int = 0) -> Score:
    """Top-1 and its kin: logits favour the right class by `quality` less the image's difficulty.

    With `unseen` the last classes are new to the model, which leans to the others.
    """
    from harness.metrics.labels.classification import classification_statistics
    from harness.metrics.labels.zero_shot import zero_shot_statistics

    source = np.random.default_rng(seed)
    truth = source.choice(classes, pool, p=zipf(classes))
    logits = source.gumbel(size=(pool, classes)) + 0.5 * source.normal(size=classes)
    logits[np.arange(pool), truth] += quality - 1.5 * source.normal(size=pool)
    seen = np.arange(classes) < classes - unseen
    logits[:, ~seen] -= 0.7
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    names = [str(number) for number in range(classes)]

    def score(draw: Draw) -> Mapping[str, Statistics | None]:
        if unseen:
            return zero_shot_statistics(probabilities[draw], truth[draw], seen)
        return classification_statistics(probabilities[draw], truth[draw], names)

    return score


@dataclass(frozen=True)
class Questions:
    """Several questions about each image: whether each is answered rightly, in the order of images."""

    right: npt.NDArray[np.bool_]  # [Q]
    first: IntArray  # [pool + 1] where each image's questions begin

    def of(self, draw: Draw) -> tuple[npt.NDArray[np.bool_], list[str]]:
        """[q] answers about drawn images, and which image of the set each is about."""
        counts = self.first[draw + 1] - self.first[draw]
        places = np.concatenate([np.arange(self.first[i], self.first[i + 1]) for i in draw])
        return self.right[places], [str(n) for n in np.repeat(np.arange(len(draw)), counts)]


def questions(pool: int, quality: float, seed: int = 0) -> Questions:
    """Draw 1 to 7 questions an image, answered rightly alike (correlation within an image about 0.3)."""
    source = np.random.default_rng(seed)
    counts = 1 + source.binomial(6, 0.5, pool)
    ease = quality + 1.6 * np.repeat(source.normal(size=pool), counts)
    right = source.random(int(counts.sum())) < logistic(ease)
    return Questions(right, np.append(0, np.cumsum(counts)))


def grouped(pool: int, quality: float, seed: int = 0, *, by_image: bool = True) -> Score:
    """The share of questions answered rightly, by image; or wrongly as if they were independent."""
    from harness.stats.grouped import GroupedStatistics
    from harness.stats.proportions import proportion

    asked = questions(pool, quality, seed)

    def score(draw: Draw) -> Mapping[str, Statistics | None]:
        right, images = asked.of(draw)
        share = proportion(right)
        return {"top-1": GroupedStatistics(share, images) if by_image else share}

    return score


def label_maps(pool: int, seed: int = 0, classes: int = 12, side: int = 24) -> Score:
    """Maps of a background and one to five things; a model misplaces their edges and mistakes their class."""
    from harness.metrics.maps.segmentation import SegmentationCounts, count_pixels, segmentation_statistics

    source = np.random.default_rng(seed)
    names = [str(number) for number in range(classes)]
    things = zipf(classes - 1)
    tables = np.empty((pool, classes, 3), dtype=np.int64)
    for image in range(pool):
        truth, found = np.zeros((2, side, side), dtype=np.int64)
        difficulty, theme = source.normal(), source.choice(classes - 1, 2, p=things)
        for _ in range(1 + source.binomial(4, 0.4)):
            kind = 1 + (theme[source.integers(2)] if source.random() < 0.7 else source.choice(classes - 1, p=things))
            top, left, height, width = *source.integers(0, side - 3, 2), *source.integers(3, side // 2, 2)
            truth[top : top + height, left : left + width] = kind
            said = kind if source.random() < logistic(1.5 - 1.2 * difficulty) else source.integers(classes)
            by = np.rint(source.normal(0, 1 + max(0.0, difficulty), 2)).astype(int)
            top, left = max(0, top + by[0]), max(0, left + by[1])
            found[top : top + height, left : left + width] = said
        tables[image] = count_pixels(truth, found, classes)

    def score(draw: Draw) -> Mapping[str, Statistics | None]:
        return segmentation_statistics(SegmentationCounts(tables[draw]), names)

    return score


def boxes(pool: int, seed: int = 0, categories: int = 20) -> Score:
    """COCO-like boxes, several an image and often of one kind, and a detector that is worse on hard images."""
    from harness.metrics.boxes.detection import DetectionTruth, evaluate_detections

    source = np.random.default_rng(seed)
    images = [_boxes_of_image(source, zipf(categories)) for _ in range(pool)]
    kinds = [{"id": number + 1, "name": str(number)} for number in range(categories)]

    def score(draw: Draw) -> Mapping[str, Statistics | None]:
        annotations = [{**row, "image_id": n} for n, place in enumerate(draw.tolist()) for row in images[place][0]]
        found = [{**row, "image_id": n} for n, place in enumerate(draw.tolist()) for row in images[place][1]]
        instances = {
            "images": [{"id": n} for n in range(len(draw))],
            "categories": kinds,
            "annotations": [{**row, "id": n + 1} for n, row in enumerate(annotations)],
        }
        return evaluate_detections(DetectionTruth.whole(instances), found).statistics()

    return score


Rows = list[dict[str, Any]]


def _boxes_of_image(source: np.random.Generator, shares: FloatArray) -> tuple[Rows, Rows]:
    difficulty, theme = source.normal(), source.choice(len(shares), 2, p=shares)
    objects: Rows = []
    found: Rows = []
    for _ in range(1 + source.poisson(4)):
        kind = theme[source.integers(2)] if source.random() < 0.8 else source.choice(len(shares), p=shares)
        size = np.exp(source.normal(4, 0.9, 2)).clip(6, 400)
        box = np.append(source.uniform(0, 1, 2) * (np.array([640, 480]) - size), size)
        objects.append(_row(kind, box) | {"area": float(size.prod()), "iscrowd": int(source.random() < 0.01)})
        ease = 0.8 - difficulty + 0.6 * (np.log(size).mean() - 4)
        for _ in range(int(source.random() < logistic(ease)) + int(source.random() < 0.1)):
            spread = 0.12 * np.exp(0.5 * source.normal() - 0.4 * ease)
            near = box + spread * source.normal(size=4) * np.tile(size, 2)
            said = kind if source.random() < logistic(2 + ease) else source.integers(len(shares))
            found.append(_row(said, near) | {"score": float(logistic(ease + source.normal()))})
    for _ in range(source.poisson(2 * np.exp(0.4 * difficulty))):
        said = theme[0] if source.random() < 0.5 else source.integers(len(shares))
        size = np.exp(source.normal(4, 0.9, 2)).clip(6, 400)
        box = np.append(source.uniform(0, 1, 2) * (np.array([640, 480]) - size), size)
        found.append(_row(said, box) | {"score": float(logistic(source.normal(-1.2, 1)))})
    return objects, found


def _row(kind: int, box: FloatArray) -> dict[str, Any]:
    box[2:] = np.maximum(np.abs(box[2:]), 1)
    return {"category_id": int(kind) + 1, "bbox": box.tolist()}


_WORDS: tuple[Sequence[str], ...] = (
    ("a", "one", "the"),
    ("red", "blue", "small", "large", "old", "striped", "wooden", "bright"),
    ("dog", "man", "woman", "cat", "bus", "bird", "child", "horse", "train", "boat", "pizza", "kite", "clock", "zebra"),
    ("sits", "stands", "moves", "lies", "is seen", "rests"),
    ("on", "near", "beside", "in front of", "under"),
    ("a table", "the street", "some grass", "a wall", "the water", "a bench", "the snow", "a window", "a field"),
)


def captions(pool: int, seed: int = 0, references: int = 5) -> Score:
    """Captions of a small grammar: people word one scene differently, a model mistakes more of it on hard images."""
    from harness.metrics.captions.cider import cider_statistics
    from harness.metrics.captions.ngrams import pack_captions

    source = np.random.default_rng(seed)
    theirs, ours = [], []
    for _ in range(pool):
        difficulty, slots = source.normal(), [source.choice(len(words), p=zipf(len(words))) for words in _WORDS]
        theirs.append([_caption(source, slots, 0.25) for _ in range(references)])
        ours.append(_caption(source, slots, float(logistic(-0.6 + 1.2 * difficulty))))

    def score(draw: Draw) -> Mapping[str, Statistics | None]:
        packed = pack_captions([ours[n] for n in draw], [theirs[n] for n in draw])
        return {"CIDEr": cider_statistics(packed, packed.matches())}

    return score


def _caption(source: np.random.Generator, slots: Sequence[int], other: float) -> str:
    """Word a scene, each slot with probability `other` by a word of its kind that comes at random."""
    said = [
        words[slot if source.random() >= other else source.choice(len(words), p=zipf(len(words)))]
        for slot, words in zip(slots, _WORDS, strict=True)
    ]
    if source.random() < 0.3:
        del said[1]
    return " ".join(said)


def seeded_answers(
    source: np.random.Generator, quality: FloatArray, images: int, seeds: int, seed_sd: float
) -> tuple[npt.NDArray[np.bool_], FloatArray]:
    """[M, S, N] whether seeds of M models are right about new images, and [M, S] how good each seed is.

    The log odds are the model's quality, its seed's own luck, the image's difficulty for all, and what this model makes
    of this image; the rest is chance of the seed with the image.
    """
    luck = quality[:, None] + seed_sd * source.normal(size=(len(quality), seeds))
    of_image = 1.5 * source.normal(size=images) + 0.7 * source.normal(size=(len(quality), images))
    odds = luck[:, :, None] + of_image[:, None, :]
    return source.random(odds.shape) < logistic(odds), luck


def expected_share(quality: float, seed_sd: float) -> float:
    """What share of images such a model gets right on average over seeds and images."""
    at, weights = np.polynomial.hermite_e.hermegauss(80)
    deviation = np.sqrt(seed_sd**2 + 1.5**2 + 0.7**2)
    return float((weights * logistic(quality + deviation * at)).sum() / weights.sum())
