"""`coco-detection` scores as pycocotools does, bit for bit, on Scenes and on real data; bad answers are named."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import DataError, UsageError
from harness.metrics.boxes.detection import NAMES
from harness.plan.plugins import _misfit
from harness.protocols import DataContext, Task
from harness.records.score_file import score_file
from harness.sample import Dataset, Outcome, Sample
from tasks.detection.scoring import DetectionScorer
from tasks.detection.task import coco_detection
from tasks.scenes import layout
from tasks.scenes.factors import KINDS
from tasks.targets.targets import BoxTarget

MakeContext = Callable[..., DataContext]
Answers = Sequence[Outcome]


def scored(data: Dataset, samples: Sequence[Sample], outcomes: Answers) -> dict[str, float | None]:
    with coco_detection.scorer(data, Path()) as scorer:
        scorer.prepare(samples)
        found = scorer.score(samples, outcomes)
    return {name: None if s is None else s.value for name, s in found.items()}


def pycocotools_itself(truth: Path, results: Sequence[dict[str, Any]], iou: str, images: Sequence[int] = ()) -> Any:
    """The evaluator as its users run it on files."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(truth))
        evaluator = COCOeval(coco, coco.loadRes(json.loads(json.dumps(results))), iou)
        if images:
            evaluator.params.imgIds = list(images)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator


def expected_of(evaluator: Any) -> dict[str, float | None]:
    values = evaluator.stats.tolist()
    return {name: None if value == -1 else value for name, value in zip(NAMES, values, strict=True)}


def perfect(sample: Sample) -> Outcome:
    target = sample.target
    rows = zip(target.labels, target.boxes, target.crowd, strict=True)
    return Outcome(sample.sample_id, [[label, 0.9, *box] for label, box, crowd in rows if not crowd])


def shaky(samples: Sequence[Sample], classes: int, seed: int = 0) -> list[Outcome]:
    """Boxes near the true ones, some of another class, equal scores, and boxes at nothing."""
    source = np.random.default_rng(seed)
    outcomes = []
    for sample in samples:
        rows: list[list[float]] = []
        for label, box in zip(sample.target.labels, sample.target.boxes, strict=True):
            for _ in range(int(source.integers(0, 4))):
                moved = np.array(box) + source.normal(0, 0.03, 4)
                start = np.clip(moved[:2], 0, 0.95)
                extent = np.clip(moved[2:], 0.001, 1 - start)
                chosen = label if source.random() < 0.8 else int(source.integers(classes))
                rows.append([chosen, float(source.integers(0, 8) / 8), *start.tolist(), *extent.tolist()])
        for _ in range(int(source.integers(0, 5))):
            x, y = (source.random(2) * 0.5).tolist()
            rows.append([int(source.integers(classes)), float(source.random()), x, y, 0.3, 0.4])
        outcomes.append(Outcome(sample.sample_id, rows))
    return outcomes


def to_results(samples: Sequence[Sample], outcomes: Answers, ids: Sequence[int]) -> list[dict[str, Any]]:
    """What a user would make of a model's answers: COCO's results in px."""
    results = []
    for sample, outcome in zip(samples, outcomes, strict=True):
        width, height = sample.target.width_px, sample.target.height_px
        for label, score, x, y, w, h in outcome.prediction:
            box = [x * width, y * height, w * width, h * height]
            results.append({"image_id": int(sample.sample_id), "category_id": ids[label], "score": score, "bbox": box})
    return results


def merged(root: Path, parts: Sequence[str], path: Path) -> Path:
    contents = [json.loads(layout.annotation_file(root, "instances", part).read_text()) for part in parts]
    whole = {key: [row for content in contents for row in content[key]] for key in ("images", "annotations")}
    path.write_text(json.dumps({**whole, "categories": contents[0]["categories"]}))
    return path


def test_it_is_a_task() -> None:
    assert _misfit(coco_detection, Task) is None
    assert coco_detection.metrics[:12] == NAMES


def test_scenes_hold_all_kinds_and_are_scored_as_pycocotools_does(
    few_scenes: Path, open_context: MakeContext, tmp_path: Path
) -> None:
    data = coco_detection.open_data(open_context("scenes"))
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
    assert {name: found[name] for name in NAMES} == expected_of(evaluator)
    precision = evaluator.eval["precision"][..., 0, -1]
    for name, number in [("AP-base", slice(0, 32)), ("AP-novel", slice(32, 40)), (f"AP:{KINDS[3].name}", slice(3, 4))]:
        cells = precision[:, :, number]
        assert found[name] == (cells[cells > -1].mean() if (cells > -1).any() else None)
    assert 0.05 < found["AP"] < 0.95, "neither all right nor all wrong"


def test_the_lexicon_words_the_classes(few_scenes: Path, open_context: MakeContext) -> None:
    plain = coco_detection.open_data(open_context("scenes"))
    made_up = coco_detection.open_data(open_context("scenes", lexicon="opaque", templates="simple"))
    assert plain.digest != made_up.digest and made_up.name == "scenes:opaque"
    texts = coco_detection.spec(made_up, ()).classes.texts[0]
    assert texts[0].startswith("a photo of a ") and KINDS[0].name not in texts[0]
    engine = coco_detection.open_data(open_context("scenes", metric_engine="pycocotools"))
    assert (engine.digest, engine.options["metric_engine"]) == (plain.digest, "pycocotools")


@pytest.mark.parametrize("engine", ["hotcoco", "pycocotools"])
def test_real_photographs_are_scored_as_pycocotools_does(
    engine: str, coco_mini: Path, open_context: MakeContext
) -> None:
    data = coco_detection.open_data(open_context(coco_mini, metric_engine=engine))
    samples = coco_detection.samples(data, "val")
    assert scored(data, samples, [perfect(sample) for sample in samples])["AP"] == 1.0
    truth = coco_mini / "annotations/instances_val2017.json"
    ids = sorted(category["id"] for category in json.loads(truth.read_text())["categories"])
    outcomes = shaky(samples, 80, seed=1)
    evaluator = pycocotools_itself(truth, to_results(samples, outcomes, ids), "bbox")
    found = scored(data, samples, outcomes)
    assert {name: found[name] for name in NAMES} == expected_of(evaluator)
    assert "AP-novel" not in found


def test_only_the_samples_that_are_given_count(coco_mini: Path, open_context: MakeContext) -> None:
    data = coco_detection.open_data(open_context(coco_mini))
    samples = coco_detection.samples(data, "val")[::3]
    truth = coco_mini / "annotations/instances_val2017.json"
    ids = sorted(category["id"] for category in json.loads(truth.read_text())["categories"])
    outcomes = shaky(samples, 80, seed=2)
    images = [int(sample.sample_id) for sample in samples]
    evaluator = pycocotools_itself(truth, to_results(samples, outcomes, ids), "bbox", images)
    found = scored(data, samples, outcomes)
    assert {name: found[name] for name in NAMES} == expected_of(evaluator)


@pytest.mark.parametrize("iou", ["bbox", "segm"])
@pytest.mark.parametrize("alone", [False, True])
def test_results_made_elsewhere_are_scored_as_pycocotools_does(
    iou: str, alone: bool, coco_mini: Path, open_context: MakeContext, tmp_path: Path
) -> None:
    from pycocotools import mask

    truth = coco_mini / "annotations/instances_val2017.json"
    content = json.loads(truth.read_text())
    sizes = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
    source = np.random.default_rng(3)
    results = []
    for row in content["annotations"]:
        for _ in range(int(source.integers(0, 3))):
            # Thirds of a pixel: a box that went through fractions and back would not be the same to the last bit.
            x, y, w, h = (np.array(row["bbox"]) + source.integers(-9, 10, 4) / 3).tolist()
            entry = {"image_id": row["image_id"], "category_id": row["category_id"], "score": source.integers(5) / 4}
            if iou == "bbox":
                entry["bbox"] = [x, y, max(w, 1.0), max(h, 1.0)]
            else:
                code = mask.frPyObjects([[x, y, x + w + 2, y, x + w, y + h + 2]], *sizes[row["image_id"]])[0]
                entry["segmentation"] = {**code, "counts": code["counts"].decode()}
            results.append(entry)
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results, default=float))
    results = json.loads(path.read_text())
    if alone:
        data, samples = coco_detection.read_references(truth)
        data = replace(data, options={**data.options, "iou": iou})
    else:
        data = coco_detection.open_data(open_context(coco_mini, iou=iou))
        samples = coco_detection.samples(data, "val")
    scores = score_file(coco_detection, path, (data, samples), 5, tmp_path)
    found = {name: scores.metrics[name] for name in NAMES}
    expected = expected_of(pycocotools_itself(truth, results, iou))
    assert {name: None if e is None else e.value for name, e in found.items()} == expected
    assert f"coco:{iou}" in scores.signature
    outcomes = coco_detection.read_predictions(path, data)
    assert json.loads(json.dumps([o.prediction for o in outcomes])) == [o.prediction for o in outcomes]


def test_references_alone_are_scored_without_images(coco_folder: Path) -> None:
    data, samples = coco_detection.read_references(coco_folder / "annotations/instances_val.json")
    assert (data.name, data.layout, data.splits, len(samples)) == ("instances_val", "references", ("all",), 3)
    with_novel = replace(data, options={**data.options, "novel": "cat"})
    found = scored(with_novel, samples, [perfect(sample) for sample in samples])
    assert (found["AP-base"], found["AP-novel"], found["AP:cat"]) == (1, 1, 1)
    for option, message in (("iou", "--iou best: unknown"), ("metric_engine", "--metric-engine best: unknown")):
        with pytest.raises(UsageError, match=message):
            coco_detection.scorer(replace(data, options={**data.options, option: "best"}), Path())


def write(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "results.json"
    path.write_text(json.dumps(rows))
    return path


ROW = {"image_id": 5, "category_id": 7, "score": 0.5, "bbox": [1, 2, 20, 10]}
MASK = {"image_id": 5, "category_id": 7, "score": 0.5, "segmentation": {"size": [30, 40], "counts": "0`U1"}}


def test_images_without_an_entry_have_no_detection(
    coco_folder: Path, open_context: MakeContext, tmp_path: Path
) -> None:
    data = coco_detection.open_data(open_context(coco_folder))
    samples = coco_detection.samples(data, "val")
    outcomes = coco_detection.read_predictions(write(tmp_path, [ROW]), data)
    assert outcomes == [Outcome("5", {"px": [[1, 0.5, 1.0, 2.0, 20.0, 10.0]]})]
    found = scored(data, samples, outcomes)
    # One of two dogs found, none of two cats: precision 1 up to recall 1/2, which 51 of 101 points reach.
    assert found["AP"] == pytest.approx(51 / 101 / 2) and found["AP:cat"] == 0.0


def test_an_empty_list_finds_nothing(coco_folder: Path, open_context: MakeContext, tmp_path: Path) -> None:
    for iou in ("bbox", "segm"):
        data = coco_detection.open_data(open_context(coco_folder, iou=iou))
        samples, path = coco_detection.samples(data, "val"), tmp_path / "none.json"
        path.write_text("[]")
        with coco_detection.scorer(data, tmp_path) as scorer:
            found = scorer.score(samples, coco_detection.read_predictions(path, data))
            notes = list(map(str, scorer.notes(samples, [])))
        assert found["AP"].value == 0.0 and found["AR-100"].value == 0.0
        assert notes == ["3 of 3 images have no detection in the results"]


def test_detections_beyond_the_hundredth_of_a_class_are_counted(
    coco_folder: Path, open_context: MakeContext, tmp_path: Path
) -> None:
    data = coco_detection.open_data(open_context(coco_folder))
    samples, path = coco_detection.samples(data, "val"), tmp_path / "many.json"
    path.write_text(json.dumps([{**ROW, "score": i / 300} for i in range(130)] + [{**ROW, "category_id": 3}] * 101))
    with coco_detection.scorer(data, tmp_path) as scorer:
        notes = scorer.notes(samples, coco_detection.read_predictions(path, data))
    assert (notes[1].count, notes[1].total) == (31, 231)
    assert "31 of 231 detections (13.4%) are beyond the 100 best of a class in an image" in str(notes[1])


def voc_results(voc_folder: Path, context: DataContext, ids: Sequence[Any], path: Path) -> tuple[float, list[str]]:
    """AP of boxes that are all right, under these ids of the two images of val."""
    data = coco_detection.open_data(context)
    samples = coco_detection.samples(data, "val")
    path.write_text(json.dumps([{"image_id": i, "category_id": 12, "score": 0.5, "bbox": [0, 0, 20, 30]} for i in ids]))
    outcomes = coco_detection.read_predictions(path, data)
    with coco_detection.scorer(data, path.parent) as scorer:
        return scorer.score(samples, outcomes)["AP"].value, list(map(str, scorer.notes(samples, outcomes)))


def test_images_of_voc_are_called_by_name_or_by_the_number_that_all_names_are(
    voc_folder: Path, open_context: MakeContext, tmp_path: Path
) -> None:
    context, path = open_context(voc_folder), tmp_path / "results.json"
    assert voc_results(voc_folder, context, ["2008_000001", "2008_000002"], path) == (pytest.approx(1.0), [])
    score, notes = voc_results(voc_folder, context, [2008000001, 2008000002], path)
    assert score == pytest.approx(1.0)
    assert len(notes) == 1 and "read as numbers" in notes[0] and "is the sample '2008_000001'" in notes[0]
    # Places in the list were once ids where a name was no number, and mixed readings are no reading.
    for ids in ([1, 2], ["2008_000001", 2008000002]):
        with pytest.raises(DataError, match=r"as image names .*the split has 2008_000001.* as numbers .*2008000001"):
            voc_results(voc_folder, context, ids, path)
    for path_of in list(voc_folder.rglob("2008_000002.*")):
        path_of.rename(path_of.with_stem("extra_a"))
    for listed in voc_folder.rglob("val.txt"):
        listed.write_text("2008_000001\nextra_a")
    with pytest.raises(DataError, match=r"as numbers .* 1 of 2 are unknown \(first: 2; the split has 2008000001"):
        voc_results(voc_folder, context, [2008000001, 2], path)


@pytest.mark.parametrize(
    ("rows", "iou", "message"),
    [
        ({}, "bbox", r"holds an object, no list of detections"),
        (
            [{**ROW, "image_id": 77}],
            "bbox",
            r"1 are for samples .*\(first: 77; the split has 5, 2, 8\)",
        ),
        ([{**ROW, "category_id": 9}], "bbox", r"entry 0 \(image 5\) has the category 9, which the ground truth does"),
        ([{**ROW, "score": "x"}], "bbox", r"entry 0 \(image 5\) has 'x' as its 'score'"),
        ([{**ROW, "bbox": [1, 2, -1, 3]}], "bbox", r"negative size"),
        ([ROW, 3], "bbox", r"entry 1 is 3; wanted an object"),
        ([MASK], "bbox", r"entry 0 lacks 'bbox'"),
        ([ROW], "segm", r"entry 0 lacks 'segmentation'"),
        (
            [{**MASK, "segmentation": {"size": [40, 30], "counts": "0`U1"}}],
            "segm",
            r"size \[40, 30\] \(entry 0.*wanted.*\[30, 40\]",
        ),
        ([{**MASK, "segmentation": {"size": [30, 40], "counts": "0`U"}}], "segm", r"entry 0 \(image 5\)"),
    ],
)
def test_results_that_do_not_fit_are_named(
    rows: list[Any], iou: str, message: str, coco_folder: Path, open_context: MakeContext, tmp_path: Path
) -> None:
    data = coco_detection.open_data(open_context(coco_folder, iou=iou))
    samples = coco_detection.samples(data, "val")
    with pytest.raises(DataError, match=message):
        scored(data, samples, coco_detection.read_predictions(write(tmp_path, rows), data))


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
    data = coco_detection.open_data(open_context(coco_folder))
    samples = coco_detection.samples(data, "val")[:1]
    with pytest.raises(DataError, match=message):
        scored(data, samples, [Outcome("5", answer)])


def test_a_model_must_answer_for_every_sample(coco_folder: Path, open_context: MakeContext) -> None:
    data = coco_detection.open_data(open_context(coco_folder))
    samples = coco_detection.samples(data, "val")
    with pytest.raises(DataError, match=r"1 of 3 samples have no answer \(first: 8\)"):
        scored(data, samples, [Outcome("5", []), Outcome("2", [])])
    assert scored(data, samples, [Outcome(i, []) for i in ("2", "5", "8")])["AP"] == 0.0


def test_models_cannot_be_run_for_masks(coco_folder: Path, open_context: MakeContext) -> None:
    data = coco_detection.open_data(open_context(coco_folder, iou="segm"))
    with pytest.raises(UsageError, match=r"task.iou=segm: models answer with boxes.*bench score"):
        coco_detection.spec(data, coco_detection.samples(data, "train"))
    samples = coco_detection.samples(data, "val")
    with pytest.raises(DataError, match=r"answered with boxes, which cannot be scored by masks"):
        scored(data, samples, [perfect(sample) for sample in samples])


def test_nothing_to_score_is_an_error_and_never_0(coco_folder: Path, open_context: MakeContext) -> None:
    data = coco_detection.open_data(open_context(coco_folder))
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
        coco_detection.open_data(open_context("scenes", **settings))


def test_the_validation_score_is_ap50_of_what_occurs() -> None:
    def target(image: str, label: int) -> BoxTarget:
        return BoxTarget(image, 100, 50, ((0.1, 0.2, 0.4, 0.4),), (label,), (False,))

    targets = [target("1", 0), target("2", 3)]
    good, half = [[0, 0.6, 0.1, 0.2, 0.4, 0.4]], [[3, 0.6, 0.1, 0.2, 0.4, 0.25]]
    assert coco_detection.validation_score([good, half], targets) == pytest.approx(1), "IoU of 0.1 / 0.16"
    assert coco_detection.validation_score([good, [[3, 0.6, 0.1, 0.2, 0.4, 0.19]]], targets) == pytest.approx(0.5)
    assert coco_detection.validation_score([[], [[7, 0.9, 0, 0, 1, 1]]], targets) == 0.0


def test_it_agrees_with_the_scorer(coco_mini: Path, open_context: MakeContext) -> None:
    data = coco_detection.open_data(open_context(coco_mini))
    samples = coco_detection.samples(data, "val")
    outcomes = shaky(samples, 80, seed=4)
    quick = coco_detection.validation_score([o.prediction for o in outcomes], [s.target for s in samples])
    assert quick == pytest.approx(scored(data, samples, outcomes)["AP50"], abs=1e-12)


def test_nothing_is_known_of_ceilings(coco_folder: Path, open_context: MakeContext) -> None:
    data = coco_detection.open_data(open_context(coco_folder))
    assert coco_detection.ceilings(data, "val", ()) == {}
    assert isinstance(coco_detection.scorer(data, Path()), DetectionScorer)
