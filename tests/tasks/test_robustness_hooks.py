"""What tasks tell a robustness sweep: the level of guessing, their natural shifts, and their first metric alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.affine import Affine
from harness.answers import IGNORED, encode_label_map
from harness.metrics.captions.scorer import CaptionScorer
from harness.metrics.labels.multilabel import multilabel_statistics
from harness.protocols import DataContext, HasChanceLevel, HasShifts, Statistics, SupportsQuickScore
from harness.sample import Outcome, Sample
from tasks.captioning.scoring import CaptionTaskScorer
from tasks.captioning.task import coco_caption
from tasks.classification.data import chance_of_ranking
from tasks.classification.task import image_classification
from tasks.classification.zero_shot import zero_shot_classification
from tasks.detection.task import coco_detection
from tasks.scenes.factors import SHAPES
from tasks.scenes.generate import write_splits
from tasks.scenes.splits import SPLITS
from tasks.segmentation.task import coco_segmentation
from tasks.targets.targets import LabelTarget

from .squares import write_squares

MakeContext = Callable[..., DataContext]
VISUAL = ("style", "ground-swap", "light", "scale", "count", "prior-conflict")
FLIP = Affine((-1, 0, 1, 0, 1, 0), mirrored=True)


def several(labels: Sequence[Sequence[int]]) -> list[Sample]:
    return [Sample(str(i), Path(), LabelTarget(-1, tuple(row))) for i, row in enumerate(labels)]


def test_chance_is_one_of_the_classes(tmp_path: Path, few_scenes: Path, open_context: MakeContext) -> None:
    folder = image_classification.open_data(open_context(write_squares(tmp_path / "d")))
    assert image_classification.chance(folder, ()) == 1 / 6
    scenes = image_classification.open_data(open_context("scenes"))
    assert image_classification.chance(scenes, image_classification.samples(scenes, "test")) == 1 / 32
    expressions = image_classification.open_data(open_context("scenes", track="reference"))
    assert image_classification.chance(expressions, ()) == 1 / len(SHAPES)
    assert isinstance(image_classification, HasChanceLevel)
    for task in (coco_caption, coco_detection, coco_segmentation):
        assert not isinstance(task, HasChanceLevel), "guessing scores nothing"


def test_chance_among_unseen_classes_is_what_guessing_scores(few_scenes: Path, open_context: MakeContext) -> None:
    data = zero_shot_classification.open_data(open_context("scenes"))
    samples = zero_shot_classification.samples(data, data.default_split)
    classes = zero_shot_classification.spec(data, ()).classes
    chance = zero_shot_classification.chance(data, samples)
    assert chance == 1 / 8 and classes.seen.count(False) == 8
    source, found = np.random.default_rng(0), []
    with zero_shot_classification.scorer(data, few_scenes) as scorer:
        for _ in range(60):
            guesses = source.dirichlet(np.ones(len(classes)), len(samples))
            outcomes = [Outcome(s.sample_id, g.tolist()) for s, g in zip(samples, guesses, strict=True)]
            score = scorer.score(samples, outcomes)["unseen-top-1"]
            assert score is not None
            found.append(score.value)
        unseen = sum(not classes.seen[s.target.label] for s in samples)
    assert np.mean(found) == pytest.approx(chance, abs=4 * (chance * (1 - chance) / unseen / 60) ** 0.5)
    seen_only = [s for s in samples if classes.seen[s.target.label]]
    assert zero_shot_classification.chance(data, seen_only) == 1 / len(classes)


@pytest.mark.parametrize("rows", [[1, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1], [1, 0, 1, 0, 1, 0], [1]])
def test_chance_of_several_classes_is_the_mean_over_all_orders(rows: list[int]) -> None:
    labels = np.array(rows, dtype=np.int8)[:, None]
    values = []
    for order in permutations(range(len(rows))):
        scores = (np.array(order, dtype=np.float64) / len(rows))[:, None]
        values.append(multilabel_statistics(scores, labels, ["a"])["mAP"].value)
    assert chance_of_ranking(several(labels.tolist())) == pytest.approx(np.mean(values), abs=1e-12)


def test_chance_of_several_classes_by_hand_and_at_random(coco_mini: Path, open_context: MakeContext) -> None:
    # one of two images has the first class: (1 + 1/2) / 2; both have the second: 1; nobody has the third
    assert chance_of_ranking(several([(1, 1, 0), (0, 1, 0)])) == pytest.approx((0.75 + 1) / 2)
    data = image_classification.open_data(open_context(coco_mini))
    samples = image_classification.samples(data, data.default_split)
    labels = np.array([s.target.labels for s in samples], dtype=np.int8)
    names, source = [str(i) for i in range(labels.shape[1])], np.random.default_rng(0)
    values = [multilabel_statistics(source.random(labels.shape), labels, names)["mAP"].value for _ in range(40)]
    chance = image_classification.chance(data, samples)
    assert chance == pytest.approx(np.mean(values), abs=4 * np.std(values) / 40**0.5)
    assert chance > 1.5 * labels[:, labels.any(axis=0)].mean(), "the share of images is far too low for rare classes"


def test_natural_shifts_are_splits_that_each_task_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_context: MakeContext
) -> None:
    write_splits(tmp_path, ["train", "val", *VISUAL, "lexical"], processes=1, limit=4)
    monkeypatch.setattr("tasks.scenes_data.open.ensure_scenes", lambda *_, **__: tmp_path)
    for task, track, lexical in (
        (coco_caption, None, True), (coco_detection, None, False), (coco_segmentation, None, False),
        (image_classification, "plain", False), (image_classification, "context", True),
    ):  # fmt: skip
        settings: dict[str, Any] = {} if track is None else {"track": track}
        data = task.open_data(open_context("scenes", "val", **settings))
        shifts = task.shifts(data)
        assert isinstance(task, HasShifts) and set(shifts) == {*VISUAL, *(("lexical",) if lexical else ())}
        for name, split in shifts.items():
            assert split in data.splits and split in SPLITS
            shifted = task.open_data(open_context("scenes", split, **settings))
            assert shifted.digest == data.digest and task.samples(shifted, split), name


def test_other_data_and_other_questions_have_no_shifts(
    tmp_path: Path, captions: Path, few_scenes: Path, open_context: MakeContext
) -> None:
    assert coco_caption.shifts(coco_caption.open_data(open_context(captions))) == {}
    squares = image_classification.open_data(open_context(write_squares(tmp_path / "d")))
    assert image_classification.shifts(squares) == {}
    expressions = image_classification.open_data(open_context("scenes", track="reference"))
    assert image_classification.shifts(expressions) == {}
    assert not isinstance(zero_shot_classification, HasShifts), "shifted splits have no unseen kinds, which rank it"


def same(one: Statistics | None, other: Statistics | None) -> bool:
    if one is None or other is None:
        return one is other
    counts = np.random.default_rng(0).multinomial(
        len(one.per_sample), np.ones(len(one.per_sample)) / len(one.per_sample), 20
    )
    np.testing.assert_array_equal(one.per_sample, other.per_sample)
    np.testing.assert_array_equal(one.resample(counts), other.resample(counts))
    return one.value == other.value


@pytest.mark.parametrize("flipped", [False, True])
def test_the_first_metric_alone_is_the_same(flipped: bool, few_scenes: Path, open_context: MakeContext) -> None:
    source = np.random.default_rng(0)

    def boxes(sample: Sample) -> list[list[float]]:
        true = zip(sample.target.labels, sample.target.boxes, strict=True)
        near = [
            [label, float(source.random()), *(np.array(box) * source.uniform(0.8, 1, 4)).tolist()]
            for label, box in true
        ]
        return [*near, [int(source.integers(40)), float(source.random()), 0.1, 0.2, 0.3, 0.4]]

    def labels(sample: Sample) -> dict[str, Any]:
        truth = sample.target.label_map()
        wrong = (source.random(truth.shape) < 0.2) | (truth == IGNORED)
        return encode_label_map(np.where(wrong, source.integers(0, 51, truth.shape), truth).astype(np.uint16))

    for task, answer in ((coco_detection, boxes), (coco_segmentation, labels)):
        data = task.open_data(open_context("scenes"))
        samples = task.samples(data, data.default_split)
        outcomes = [Outcome(sample.sample_id, answer(sample)) for sample in samples]
        scored = [replace(s, target=task.moved(s.target, FLIP)) for s in samples] if flipped else samples
        with task.scorer(data, few_scenes) as scorer:
            scorer.prepare(samples)
            assert isinstance(scorer, SupportsQuickScore)
            first = scorer.score_first(scored, outcomes)
            assert same(first, scorer.score(scored, outcomes)[task.metrics[0]])
            assert first is not None and 0 < first.value < 1


def test_cider_alone_is_the_same(few_scenes: Path, open_context: MakeContext, tmp_path: Path) -> None:
    data = coco_caption.open_data(open_context("scenes"))
    samples = coco_caption.samples(data, "test")
    some = [replace(sample, target=coco_caption.moved(sample.target, FLIP)) for sample in samples[2:9]]
    with coco_caption.scorer(data, tmp_path) as scorer:
        scorer.prepare(samples)
        assert isinstance(scorer, SupportsQuickScore)
        for scored in (samples, samples[2:9], some):  # IDF comes from the whole split
            outcomes = [Outcome(s.sample_id, s.target.references[i % 5]) for i, s in enumerate(scored)]
            outcomes[1] = replace(outcomes[1], prediction="A circle is left of a square.")
            first = scorer.score_first(scored, outcomes)
            assert same(first, scorer.score(scored, outcomes)["CIDEr"])
            assert first is not None and first.value > 0


def test_references_that_changed_with_their_image_are_what_captions_are_scored_against(
    few_scenes: Path, open_context: MakeContext, tmp_path: Path
) -> None:
    """As a scorer would that had been given the changed references of the whole split."""
    data = coco_caption.open_data(open_context("scenes"))
    samples = coco_caption.samples(data, "test")
    moved = [replace(sample, target=coco_caption.moved(sample.target, FLIP)) for sample in samples]
    sided = [
        i for i, (a, b) in enumerate(zip(samples, moved, strict=True)) if a.target.references != b.target.references
    ]
    place, some = sided[0], [moved[i] for i in sorted({*sided[:3], 0, 1})]
    number = next(i for i in range(5) if samples[place].target.references[i] != moved[place].target.references[i])
    outcomes = [Outcome(sample.sample_id, sample.target.references[number]) for sample in some]
    split = {sample.sample_id: sample.target.references for sample in samples}
    own = {sample.sample_id: sample.target.references for sample in some}
    with CaptionScorer({"CIDEr"}) as plain:
        wanted = plain.score(own, {o.sample_id: o.prediction for o in outcomes}, {**split, **own})["CIDEr"]
    with CaptionTaskScorer(tmp_path, propositions=False) as scorer:
        scorer._split = split  # as prepare leaves it, without METEOR
        assert same(scorer.score_first(some, outcomes), wanted)
        answer = [Outcome(moved[place].sample_id, moved[place].target.references[number])]
        first, turned = (scorer.score_first([one], answer) for one in (samples[place], moved[place]))
    assert first is not None and turned is not None
    assert turned.value > first.value, "what is true of the mirrored image fits its references better"
