"""A mixture of two models' answers scores on the joint set as it does when it is scored by itself, for each task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from harness.answers import encode_label_map
from harness.judge.compare.joint import joint_statistics
from harness.metrics.captions.scorer import CaptionScorer
from harness.sample import Classes, Dataset, Outcome, Sample
from harness.stats.randomisation import halves, joins_both
from harness.stats.slices import counted_rows
from tasks.captioning.scoring import CaptionTaskScorer
from tasks.detection.task import coco_detection
from tasks.targets.targets import BoxTarget, CaptionTarget, LabelTarget, MapTarget

DATA = Dataset("made-up", Path(), "d" * 64, "made-up", ("test",), "", "", "test")
COUNT = 14
WORDS = ["a", "the", "red", "blue", "dog", "cat", "man", "on", "under", "table", "grass", "runs"]
NAMES = ("one", "two", "three")
FAST = ("CIDEr", "BLEU-1", "BLEU-4", "ROUGE-L")


def label_task() -> Any:
    from tasks.classification.scoring import LabelScorer

    return SimpleNamespace(metrics=(), scorer=lambda data, cache: LabelScorer(Classes(NAMES)))


def map_task() -> Any:
    from tasks.formats.label_maps import LabelScheme
    from tasks.segmentation.scoring import SegmentationScorer

    scheme = LabelScheme(NAMES, (0, 1, 2), frozenset())
    return SimpleNamespace(metrics=(), scorer=lambda data, cache: SegmentationScorer(Classes(NAMES), scheme))


def box_task() -> Any:
    from tasks.detection.scoring import DetectionScorer

    return SimpleNamespace(
        metrics=(), scorer=lambda data, cache: DetectionScorer(Classes(NAMES)), twins=coco_detection.twins
    )


def caption_task(metrics: Sequence[str] = FAST) -> Any:
    def make(data: Dataset, cache: Path) -> CaptionTaskScorer:
        scorer = CaptionTaskScorer(cache, propositions=False)
        scorer._captions = CaptionScorer(metrics, cache_folder=cache)
        return scorer

    return SimpleNamespace(metrics=(), scorer=make)


def label_case(source: np.random.Generator) -> tuple[list[Sample], list[Any], list[Any]]:
    samples = [Sample(str(n), Path(), LabelTarget(int(source.integers(3)), image_id=str(n))) for n in range(COUNT)]
    answers = [[source.dirichlet(np.ones(3)).tolist() for _ in samples] for _ in range(2)]
    return samples, answers[0], answers[1]


def map_case(source: np.random.Generator) -> tuple[list[Sample], list[Any], list[Any]]:
    truths = source.integers(0, 3, size=(COUNT, 6, 5)).astype(np.uint16)
    samples = [Sample(str(n), Path(), MapTarget(str(n), 5, 6, lambda t=t: t)) for n, t in enumerate(truths)]
    maps = [source.integers(0, 3, size=(COUNT, 6, 5)).astype(np.uint16) for _ in range(2)]
    answers = [
        [encode_label_map(np.where(source.random((6, 5)) < 0.4, t, m)) for t, m in zip(truths, each, strict=True)]
        for each in maps
    ]
    return samples, answers[0], answers[1]


def box_case(source: np.random.Generator) -> tuple[list[Sample], list[Any], list[Any]]:
    samples, answers = [], ([], [])  # type: ignore[var-annotated]
    for number in source.permutation(COUNT).tolist():  # ids out of order: images are sorted by them
        count = int(source.integers(0, 4))
        boxes = [
            tuple((source.random(2) * 0.5).tolist() + (0.1 + source.random(2) * 0.3).tolist()) for _ in range(count)
        ]
        labels = tuple(int(label) for label in source.integers(0, 3, size=count))
        samples.append(
            Sample(str(number), Path(), BoxTarget(str(number), 64, 48, tuple(boxes), labels, (False,) * count))
        )
        for side in answers:
            rows = []
            for label, box in zip(labels, boxes, strict=True):
                for _ in range(int(source.integers(0, 3))):
                    moved = np.clip(np.array(box) + source.normal(0, 0.04, 4), 0.02, 0.5).tolist()
                    rows.append([label, float(source.integers(1, 6) / 6), *moved])  # many equal scores
            side.append(rows)
    return samples, answers[0], answers[1]


def caption_case(source: np.random.Generator) -> tuple[list[Sample], list[Any], list[Any]]:
    def text() -> str:
        return " ".join(source.choice(WORDS, size=int(source.integers(3, 9))))

    samples = [Sample(str(n), Path(), CaptionTarget(tuple(text() for _ in range(3)))) for n in range(COUNT)]
    return samples, [text() for _ in samples], [text() for _ in samples]


def score(task: Any, samples: Sequence[Sample], answers: Sequence[Any], cache: Path) -> Mapping[str, Any]:
    with task.scorer(DATA, cache) as scorer:
        scorer.prepare(samples)
        return dict(scorer.score(samples, as_outcomes(samples, answers)))


def as_outcomes(samples: Sequence[Sample], answers: Sequence[Any]) -> list[Outcome]:
    return [Outcome(sample.sample_id, answer) for sample, answer in zip(samples, answers, strict=True)]


CASES = {
    "labels": (label_task, label_case, {"top-1", "macro-F1", "balanced-accuracy", "NLL", "ECE"}),
    "maps": (map_task, map_case, {"mIoU", "pixel-accuracy", "mean-accuracy", "mIoU:one"}),
    "boxes": (box_task, box_case, {"AP", "AP50", "AP75", "AR-1", "AR-100", "AP:two"}),
    "captions": (caption_task, caption_case, {"BLEU-1", "BLEU-4", "ROUGE-L"}),
    "meteor": (lambda: caption_task(["METEOR"]), caption_case, {"METEOR"}),
}
SLOW = ("meteor",)


@pytest.mark.parametrize("kind", [pytest.param(k, marks=pytest.mark.slow) if k in SLOW else k for k in CASES])
def test_a_mixture_scores_jointly_as_it_does_alone(kind: str, tmp_path: Path) -> None:
    make_task, make_case, names = CASES[kind]
    source = np.random.default_rng(3)
    task, (samples, first, second) = make_task(), make_case(source)
    rescorer: Any = SimpleNamespace(task=task, data=DATA, samples=samples, cache=tmp_path)
    joint = joint_statistics(rescorer, samples, as_outcomes(samples, first), as_outcomes(samples, second))
    alone = [score(task, samples, answers, tmp_path) for answers in (first, second)]
    for name in names:
        assert joins_both(joint[name], alone[0][name], alone[1][name]), name
    choice = source.integers(0, 2, size=(3, len(samples)))
    for row in choice:
        mixture = [a if chosen else b for a, b, chosen in zip(first, second, row, strict=True)]
        brute = score(task, samples, mixture, tmp_path)
        for name in names:
            found = joint[name].resample(halves(row[None]))[0]  # type: ignore[union-attr]
            assert found == pytest.approx(brute[name].value, abs=1e-9), name


def test_cider_of_a_mixture_needs_no_joint_set(tmp_path: Path) -> None:
    """Words that no reference has count for more in a joint set, so CIDEr does not fit; but it is a mean."""
    samples, first, second = caption_case(np.random.default_rng(5))
    first[0] = "an unheard zebra gallops"
    task = caption_task()
    rescorer: Any = SimpleNamespace(task=task, data=DATA, samples=samples, cache=tmp_path)
    joint = joint_statistics(rescorer, samples, as_outcomes(samples, first), as_outcomes(samples, second))["CIDEr"]
    alone = [score(task, samples, answers, tmp_path)["CIDEr"] for answers in (first, second)]
    assert not joins_both(joint, alone[0], alone[1])
    rows = counted_rows(alone[0])
    assert rows is not None
    assert rows.tolist() == list(range(COUNT))
    choice = np.random.default_rng(0).integers(0, 2, size=COUNT)
    mixture = [a if chosen else b for a, b, chosen in zip(first, second, choice, strict=True)]
    expected = np.where(choice, alone[0].per_sample, alone[1].per_sample).mean()
    assert score(task, samples, mixture, tmp_path)["CIDEr"].value == pytest.approx(expected, abs=1e-12)


def test_twins_of_images_sort_as_the_images_do() -> None:
    samples = [Sample(i, Path(), BoxTarget(i, 1, 1, (), (), ())) for i in ("9", "10", "3")]
    twins = [coco_detection.twins(sample) for sample in samples]
    assert [int(t.target.image_id) for pair in twins for t in pair] == [18, 19, 20, 21, 6, 7]
    assert len({twin.sample_id for pair in twins for twin in pair}) == 6
