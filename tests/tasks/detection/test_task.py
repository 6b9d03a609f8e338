"""`coco-detection` scores as pycocotools does, bit for bit, on Scenes and on real data; bad answers are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.errors import DataError, UsageError
from harness.metrics.boxes.detection import DETECTION_METRICS
from harness.plan.plugins import _misfit
from harness.protocols import Task, open_data
from harness.sample import Outcome
from tasks.detection.scoring import DetectionScorer
from tasks.detection.task import coco_detection
from tasks.scenes.factors import KINDS
from tasks.targets.targets import BoxTarget

from .coco_peer import MakeContext, expected_of, merged, perfect, pycocotools_itself, scored, shaky, to_results


def test_it_is_a_task() -> None:
    assert _misfit(coco_detection, Task) is None
    assert coco_detection.metrics[:12] == DETECTION_METRICS


def test_scenes_hold_all_kinds_and_are_scored_as_pycocotools_does(
    few_scenes: Path, open_context: MakeContext, tmp_path: Path
) -> None:
    data = open_data(coco_detection, open_context("scenes"))
    samples = coco_detection.samples(data, data.default_split)
    parts = [coco_detection.samples(data, part) for part in ("test", "novel")]
    assert data.default_split == "open" and len(samples) == 24
    assert sorted(s.sample_id for s in samples) == sorted(s.sample_id for part in parts for s in part)
    assert {s.sample_id for s in samples[:12]} not in [{s.sample_id for s in part} for part in parts], "mixed"
    spec = coco_detection.spec(data, coco_detection.samples(data, "train"))
    assert spec.classes.names == tuple(kind.name for kind in KINDS)
    assert spec.classes.seen == tuple(kind.tier != "novel" for kind in KINDS)
    assert {label for t in spec.training_targets for label in t.labels} <= set(range(32))
    assert spec.classes.texts[0] == (KINDS[0].name,) and len(spec.classes.attributes[0]) == 19

    best = scored(data, samples, [perfect(sample) for sample in samples])
    assert (best["AP"], best["AP-base"], best["AP-novel"], best[f"AP:{KINDS[-1].name}"]) == pytest.approx((1,) * 4)
    outcomes = shaky(samples, 40)
    truth = merged(few_scenes, ("test", "novel"), tmp_path / "truth.json")
    ids = [kind.category_id for kind in KINDS]
    evaluator = pycocotools_itself(truth, to_results(samples, outcomes, ids), "bbox")
    found = scored(data, samples, outcomes)
    assert {name: found[name] for name in DETECTION_METRICS} == expected_of(evaluator)
    precision = evaluator.eval["precision"][..., 0, -1]
    for name, number in [("AP-base", slice(0, 32)), ("AP-novel", slice(32, 40)), (f"AP:{KINDS[3].name}", slice(3, 4))]:
        cells = precision[:, :, number]
        assert found[name] == (cells[cells > -1].mean() if (cells > -1).any() else None)
    assert 0.05 < found["AP"] < 0.95, "neither all right nor all wrong"


def test_the_lexicon_words_the_classes(few_scenes: Path, open_context: MakeContext) -> None:
    plain = open_data(coco_detection, open_context("scenes"))
    made_up = open_data(coco_detection, open_context("scenes", lexicon="opaque", templates="simple"))
    assert plain.digest != made_up.digest and made_up.name == "scenes:opaque"
    texts = coco_detection.spec(made_up, ()).classes.texts[0]
    assert texts[0].startswith("a photo of a ") and KINDS[0].name not in texts[0]
    engine = open_data(coco_detection, open_context("scenes", metric_engine="pycocotools"))
    assert (engine.digest, engine.scoring["metric_engine"]) == (plain.digest, "pycocotools")


@pytest.mark.parametrize("engine", ["hotcoco", "pycocotools"])
def test_real_photographs_are_scored_as_pycocotools_does(
    engine: str, coco_mini: Path, open_context: MakeContext
) -> None:
    data = open_data(coco_detection, open_context(coco_mini, metric_engine=engine))
    samples = coco_detection.samples(data, "val")
    assert scored(data, samples, [perfect(sample) for sample in samples])["AP"] == 1.0
    truth = coco_mini / "annotations/instances_val2017.json"
    ids = sorted(category["id"] for category in json.loads(truth.read_text())["categories"])
    outcomes = shaky(samples, 80, seed=1)
    evaluator = pycocotools_itself(truth, to_results(samples, outcomes, ids), "bbox")
    found = scored(data, samples, outcomes)
    assert {name: found[name] for name in DETECTION_METRICS} == expected_of(evaluator)
    assert "AP-novel" not in found


def test_only_the_samples_that_are_given_count(coco_mini: Path, open_context: MakeContext) -> None:
    data = open_data(coco_detection, open_context(coco_mini))
    samples = coco_detection.samples(data, "val")[::3]
    truth = coco_mini / "annotations/instances_val2017.json"
    ids = sorted(category["id"] for category in json.loads(truth.read_text())["categories"])
    outcomes = shaky(samples, 80, seed=2)
    images = [int(sample.sample_id) for sample in samples]
    evaluator = pycocotools_itself(truth, to_results(samples, outcomes, ids), "bbox", images)
    found = scored(data, samples, outcomes)
    assert {name: found[name] for name in DETECTION_METRICS} == expected_of(evaluator)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("cat", r"Image 5 has the answer cat; wanted a list of \[class, score, x, y, width, height\]"),
        ([[0, 0.5, 0.1, 0.1, 0.2]], r"Image 5 has the answer .*wanted a list"),
        ([[0, 0.5, 0.1, 0.1, 0.2, 0.2], [1]], r"Image 5 has the answer"),
        ([[0, "0.5", 0.1, 0.1, 0.2, 0.2]], r"Image 5 has the answer"),
        ([[0, 0.5, 0.1, float("nan"), 0.2, 0.2]], r"Image 5: box 0 .*wanted finite numbers"),
        ([[2, 0.5, 0.1, 0.1, 0.2, 0.2]], r"box 0 .*wanted a class of 0..1"),
        ([[0.5, 0.5, 0.1, 0.1, 0.2, 0.2]], r"box 0 .*wanted a class of 0..1"),
        ([[0, 0.5, 0.1, 0.1, 0.2, 0.2], [0, 0.5, 0.1, 0.1, -0.2, 0.2]], r"box 1 .*wanted no size below 0"),
        ([[0, 1.5, 0.1, 0.1, 0.2, 0.2]], r"box 0 .*wanted a score of 0..1"),
        ([[0, 0.5, 4.0, 5.0, 20.0, 20.0]], r"box 0 .*wanted a box in fractions of the image, 0..1"),
        ({"rle": []}, r"Image 5 is answered with masks, which cannot be scored by boxes"),
        ({"boxes": []}, r"Image 5 has the answer"),
    ],
)
def test_answers_that_are_no_boxes_are_named(
    answer: Any, message: str, coco_folder: Path, open_context: MakeContext
) -> None:
    data = open_data(coco_detection, open_context(coco_folder))
    samples = coco_detection.samples(data, "val")[:1]
    with pytest.raises(DataError, match=message):
        scored(data, samples, [Outcome("5", answer)])


def test_a_model_must_answer_for_every_sample(coco_folder: Path, open_context: MakeContext) -> None:
    data = open_data(coco_detection, open_context(coco_folder))
    samples = coco_detection.samples(data, "val")
    with pytest.raises(DataError, match=r"1 of 3 samples have no answer \(first: 8\)"):
        scored(data, samples, [Outcome("5", []), Outcome("2", [])])
    assert scored(data, samples, [Outcome(i, []) for i in ("2", "5", "8")])["AP"] == 0.0


def test_models_cannot_be_run_for_masks(coco_folder: Path, open_context: MakeContext) -> None:
    data = open_data(coco_detection, open_context(coco_folder, iou="segm"))
    with pytest.raises(UsageError, match=r"task.iou=segm: models answer with boxes.*bench score"):
        coco_detection.spec(data, coco_detection.samples(data, "train"))
    samples = coco_detection.samples(data, "val")
    with pytest.raises(DataError, match=r"answered with boxes, which cannot be scored by masks"):
        scored(data, samples, [perfect(sample) for sample in samples])


def test_nothing_to_score_is_an_error_and_never_0(coco_folder: Path, open_context: MakeContext) -> None:
    data = open_data(coco_detection, open_context(coco_folder))
    scorer = coco_detection.scorer(data, Path())
    with pytest.raises(DataError, match=r"The split has no samples"):
        scorer.prepare([])
    empty = [sample for sample in coco_detection.samples(data, "val") if sample.sample_id == "8"]
    with pytest.raises(DataError, match=r"Not one of the split's 1 images has an object that counts"):
        scorer.prepare(empty)
    with pytest.raises(DataError, match=r"Not one of 1 images has an object"):
        coco_detection.validation_score([[]], [empty[0].target])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"iou": "mask"}, r"--iou mask: unknown"),
        ({"metric_engine": "hotcoca"}, r"--metric-engine hotcoca: unknown. Did you mean 'hotcoco'"),
        ({"lexicon": "transparant"}, r"--lexicon transparant: unknown"),
        ({"novel": "cat"}, r"The setting 'novel' \(cat\) is for folders"),
        ({"templates": "no/such/file"}, r"--templates no/such/file"),
    ],
)
def test_settings_that_are_unknown_are_named(
    settings: dict[str, str], message: str, few_scenes: Path, open_context: MakeContext
) -> None:
    with pytest.raises(UsageError, match=message):
        open_data(coco_detection, open_context("scenes", **settings))


def test_the_validation_score_is_ap50_of_what_occurs() -> None:
    def target(image: str, label: int) -> BoxTarget:
        return BoxTarget(image, 100, 50, ((0.1, 0.2, 0.4, 0.4),), (label,), (False,))

    targets = [target("1", 0), target("2", 3)]
    good, half = [[0, 0.6, 0.1, 0.2, 0.4, 0.4]], [[3, 0.6, 0.1, 0.2, 0.4, 0.25]]
    assert coco_detection.validation_score([good, half], targets) == pytest.approx(1), "IoU of 0.1 / 0.16"
    assert coco_detection.validation_score([good, [[3, 0.6, 0.1, 0.2, 0.4, 0.19]]], targets) == pytest.approx(0.5)
    assert coco_detection.validation_score([[], [[7, 0.9, 0, 0, 1, 1]]], targets) == 0.0


def test_it_agrees_with_the_scorer(coco_mini: Path, open_context: MakeContext) -> None:
    data = open_data(coco_detection, open_context(coco_mini))
    samples = coco_detection.samples(data, "val")
    outcomes = shaky(samples, 80, seed=4)
    quick = coco_detection.validation_score([o.prediction for o in outcomes], [s.target for s in samples])
    assert quick == pytest.approx(scored(data, samples, outcomes)["AP50"], abs=1e-12)


def test_nothing_is_known_of_ceilings(coco_folder: Path, open_context: MakeContext) -> None:
    data = open_data(coco_detection, open_context(coco_folder))
    assert coco_detection.ceilings(data, "val", ()) == {}
    assert isinstance(coco_detection.scorer(data, Path()), DetectionScorer)
