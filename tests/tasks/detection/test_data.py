"""Folders of objects for detection and multi-label classification: roles, novel categories, and what is broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.answers import UNKNOWN
from harness.errors import DataError, UsageError
from harness.protocols import DataContext, open_data
from harness.storage.content import Contents
from tasks.classification.task import image_classification
from tasks.datasets.novel_classes import OVR_BASE, OVR_NOVEL, chosen_categories
from tasks.datasets.split_roles import HELD_OUT
from tasks.datasets.stored_splits import LazySplits
from tasks.detection.data import read_objects
from tasks.detection.task import coco_detection

MakeContext = Callable[..., DataContext]


def edit(root: Path, split: str, change: Callable[[dict[str, Any]], Any]) -> None:
    path = root / f"annotations/instances_{split}.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_splits_are_read_when_they_are_asked_for_and_once() -> None:
    read: list[str] = []
    splits = LazySplits(("train", "val"), lambda name: read.append(name) or name.upper())
    assert (list(splits), len(splits), "test" in splits, read) == (["train", "val"], 2, False, [])
    assert [splits["val"], splits["val"], read] == ["VAL", "VAL", ["val"]]


def test_coco_by_hand(coco_folder: Path, open_context: MakeContext) -> None:
    data = open_data(coco_detection, open_context(coco_folder))
    assert (data.layout, data.splits, data.selection_split, data.default_split) == (
        "objects", ("train", "val", HELD_OUT), HELD_OUT, "val",
    )  # fmt: skip
    samples = coco_detection.samples(data, "val")
    assert [sample.sample_id for sample in samples] == ["5", "2", "8"], "the file's order"
    target = samples[0].target
    assert (target.width_px, target.height_px, target.labels, target.crowd) == (40, 30, (1, 0), (False, False))
    assert target.boxes == ((1 / 40, 2 / 30, 20 / 40, 10 / 30), (8 / 40, 10 / 30, 12 / 40, 12 / 30))
    assert samples[1].target.crowd == (True, False, False)
    assert samples[2].target.boxes == ()
    train = [{s.sample_id for s in coco_detection.samples(data, split)} for split in ("train", HELD_OUT)]
    assert (len(train[0]), len(train[1]), train[0] & train[1]) == (24, 16, set())
    spec = coco_detection.spec(data, samples)
    assert (spec.answers, spec.classes.names, spec.classes.texts) == (
        "boxes", ("cat", "dog"), (("a photo of a cat.",), ("a photo of a dog.",)),
    )  # fmt: skip
    assert spec.classes.seen == (True, True) and spec.training_targets == tuple(s.target for s in samples)


def test_voc_test_images_without_annotations_are_no_split(voc_folder: Path, open_context: MakeContext) -> None:
    data = open_data(coco_detection, open_context(voc_folder))
    assert (data.options["format"], data.splits, data.default_split) == ("voc", ("train", "val", HELD_OUT), "val")
    samples = coco_detection.samples(data, "val")
    assert [sample.sample_id for sample in samples] == ["2008_000001", "2008_000002"]
    assert samples[0].target.boxes == ((0, 0, 20 / 40, 1), (20 / 40, 0, 20 / 40, 10 / 30))
    assert samples[0].target.crowd == (False, True), "what is difficult is not scored"
    assert len(coco_detection.spec(data, samples).classes) == 20
    assert "the list Main/test.txt has annotations for none of its 1 images and is no split" in map(str, data.notes)
    assert "split val: 2 of 4 objects are marked difficult: they are neither right nor wrong to find" in map(
        str, data.notes
    )


def test_novel_categories_have_no_training_objects(coco_folder: Path, open_context: MakeContext) -> None:
    data = open_data(coco_detection, open_context(coco_folder, novel="cat"))
    classes = coco_detection.spec(data, ()).classes
    assert (classes.names, classes.seen) == (("cat", "dog"), (False, True))
    for split in ("train", HELD_OUT):
        assert {label for s in coco_detection.samples(data, split) for label in s.target.labels} == {1}
    ids = {s.sample_id for split in ("train", HELD_OUT) for s in coco_detection.samples(data, split)}
    # Odd images show a cat only; 102 loses its cat and keeps its dog; those from 130 on never had an object.
    assert ids == {str(i) for i in range(100, 140) if i % 2 == 0 or i >= 130}
    (both,) = [s for sp in ("train", HELD_OUT) for s in coco_detection.samples(data, sp) if s.sample_id == "102"]
    assert (both.target.labels, both.target.boxes) == ((1,), ((2 / 40, 3 / 30, 10 / 40, 12 / 30),))
    assert [s.target.labels for s in coco_detection.samples(data, "val")] == [(1, 0), (1, 0, 1), ()]
    plain = open_data(coco_detection, open_context(coco_folder))
    assert data.digest != plain.digest


@pytest.mark.parametrize(
    ("novel", "message"),
    [
        (" + ", r"task.novel names no class"),
        ("cot", r"task.novel: no class 'cot'. Did you mean 'cat'"),
        ("cat+dog", r"task.novel names all 2 classes"),
        ("ovr-coco", r"task.novel=ovr-coco is for COCO's categories; this data has no 'airplane'"),
    ],
)
def test_novel_categories_must_be_some_of_the_data(
    novel: str, message: str, coco_folder: Path, open_context: MakeContext
) -> None:
    with pytest.raises(UsageError, match=message):
        open_data(coco_detection, open_context(coco_folder, novel=novel))


def test_the_split_of_zareian_has_48_and_17_of_cocos_categories(coco_mini: Path, open_context: MakeContext) -> None:
    assert (len(set(OVR_BASE)), len(set(OVR_NOVEL)), set(OVR_BASE) & set(OVR_NOVEL)) == (48, 17, set())
    data = open_data(coco_detection, open_context(coco_mini, novel="ovr-coco"))
    whole = open_data(coco_detection, open_context(coco_mini))
    classes = coco_detection.spec(data, ()).classes
    assert (len(classes), sum(classes.seen)) == (65, 48)
    assert {n for n, seen in zip(classes.names, classes.seen, strict=True) if not seen} == set(OVR_NOVEL)
    in_training = {classes.names[label] for s in coco_detection.samples(data, "train") for label in s.target.labels}
    assert in_training <= set(OVR_BASE) and len(in_training) > 30
    names = coco_detection.spec(whole, ()).classes.names
    for mine, all_of_them in zip(*(coco_detection.samples(d, "val") for d in (data, whole)), strict=True):
        kept = [names[label] for label in all_of_them.target.labels if names[label] in classes.names]
        assert [classes.names[label] for label in mine.target.labels] == kept


def test_names_may_be_a_list() -> None:
    assert chosen_categories(["b", "a"], ("a", "b", "c")) == (("a", "b"), None)
    assert chosen_categories(None, ("a",)) == ((), None)


def test_the_engine_and_the_kind_of_iou_are_no_part_of_the_digest(coco_folder: Path, open_context: MakeContext) -> None:
    plain = open_data(coco_detection, open_context(coco_folder))
    other = open_data(coco_detection, open_context(coco_folder, metric_engine="pycocotools", iou="segm"))
    assert plain.digest == other.digest
    assert (other.scoring["metric_engine"], other.scoring["iou"]) == ("pycocotools", "segm")
    words = open_data(coco_detection, open_context(coco_folder, templates="plain"))
    assert words.digest != plain.digest
    edit(coco_folder, "val", lambda content: content["annotations"][0].update(area=3))
    assert open_data(coco_detection, open_context(coco_folder)).digest != plain.digest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["annotations"][0].update(bbox=[50, 2, 3, 3]), r"annotation 1 of image 5.*entirely outside"),
        (lambda c: c["annotations"][0].update(bbox=[1, 2, 0, 3]), r"annotation 1 of image 5.*no area"),
        (lambda c: c["annotations"][0].update(category_id=4), r"annotation 1 of image 5 has 4 as its 'category_id'"),
        (lambda c: c["categories"].append({"id": 8, "name": "cow"}), r"lacks the category 8 'cow'"),
        (lambda c: c["images"][2].update(width=30), r"8.jpg is 40 x 30 px once turned.*states 30 x 30"),
        (lambda c: c.update(images=[], annotations=[]), r"lists no image: there is nothing to evaluate"),
    ],
)
def test_what_is_broken_is_named_when_the_data_is_opened(
    change: Callable[[dict[str, Any]], Any], message: str, coco_folder: Path, open_context: MakeContext
) -> None:
    edit(coco_folder, "val", change)
    with pytest.raises(DataError, match=message):
        open_data(coco_detection, open_context(coco_folder))


def test_an_image_that_its_exif_turns_must_have_its_turned_size(coco_folder: Path, open_context: MakeContext) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30)).save(coco_folder / "images/5.jpg", exif=exif)
    with pytest.raises(DataError, match=r"5.jpg is 30 x 40 px once turned as its EXIF says"):
        open_data(coco_detection, open_context(coco_folder))
    Image.new("RGB", (30, 40)).save(coco_folder / "images/5.jpg", exif=exif)
    assert open_data(coco_detection, open_context(coco_folder)).name == "coco"


def test_sizes_that_were_checked_are_not_checked_again(
    coco_folder: Path, open_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    real = __import__("harness.inputs.images", fromlist=["image_size"]).image_size
    monkeypatch.setattr("harness.inputs.images.image_size", lambda path: opened.append(path) or real(path))
    for _ in range(2):
        open_data(coco_detection, open_context(coco_folder))
    assert len(opened) == 43, "once each"


def test_folders_of_other_formats_are_refused(tmp_path: Path, open_context: MakeContext, camvid_folder: Path) -> None:
    with pytest.raises(DataError, match=r"camvid has no boxes .*seen: test, testannot, train.*instances_"):
        open_data(coco_detection, open_context(camvid_folder))
    with pytest.raises(DataError, match=r"No folder .*nowhere"):
        open_data(coco_detection, open_context(tmp_path / "nowhere"))


def test_a_split_that_novel_categories_leave_empty_is_an_error(coco_folder: Path, open_context: MakeContext) -> None:
    def only_cats(content: dict[str, Any]) -> None:
        for row in content["annotations"]:
            row["category_id"] = 3
        content["images"] = content["images"][:30]

    edit(coco_folder, "train", only_cats)
    data = open_data(coco_detection, open_context(coco_folder, novel="cat"))
    with pytest.raises(DataError, match=r"the split train has no samples"):
        coco_detection.samples(data, "train")


def test_multi_label_targets_say_what_is_shown(coco_folder: Path, voc_folder: Path, open_context: MakeContext) -> None:
    data = image_classification.open_data(open_context(coco_folder))
    samples = {s.sample_id: s.target.labels for s in image_classification.samples(data, "val")}
    assert samples == {"5": (1, 1), "2": (1, 1), "8": (0, 0)}, "cat, dog"
    assert image_classification.spec(data, ()).classes.multilabel
    edit(coco_folder, "val", lambda content: content["annotations"].pop(4))
    samples = {s.sample_id: s.target.labels for s in image_classification.samples(data, "val")}
    assert samples["2"] == (1, 1), "a crowd of dogs shows dogs"
    voc = image_classification.open_data(open_context(voc_folder))
    found = image_classification.samples(voc, "val")[0].target.labels
    names = image_classification.spec(voc, ()).classes.names
    told = {names[i]: found[i] for i in np.flatnonzero(found)}
    assert told == {"dog": 1, "cat": UNKNOWN}, "a cat that is difficult counts neither way"


def test_multi_label_predictions_are_probabilities_of_each_class(
    coco_folder: Path, open_context: MakeContext, tmp_path: Path
) -> None:
    data = image_classification.open_data(open_context(coco_folder))
    path = tmp_path / "predictions.csv"
    path.write_text("sample_id,cat,dog\n5,0.9,0.8\n2,0.9,0.7\n8,0.1,0.2\n")
    outcomes = image_classification.read_predictions(path, data)
    samples = image_classification.samples(data, "val")
    with image_classification.scorer(data, tmp_path) as scorer:
        scorer.prepare(samples)
        assert scorer.score(samples, outcomes)["mAP"].value == 1.0
    path.write_text("sample_id,label\n5,cat\n2,cat\n8,dog\n")
    with pytest.raises(DataError, match=r"one label a sample, and samples of this data have several"):
        image_classification.read_predictions(path, data)


def test_settings_that_a_folder_has_no_use_for_are_refused(coco_folder: Path, open_context: MakeContext) -> None:
    for setting, message in (("lexicon", "is for Scenes"), ("classes", "is for VOC's format")):
        with pytest.raises(UsageError, match=f"The setting '{setting}' .x. {message}"):
            open_data(coco_detection, open_context(coco_folder, **{setting: "x"}))


def test_a_val_split_that_is_reported_does_not_select(coco_folder: Path, open_context: MakeContext) -> None:
    val = (coco_folder / "annotations/instances_val.json").read_text()
    (coco_folder / "annotations/instances_test.json").write_text(val)
    by_default = open_data(coco_detection, open_context(coco_folder))
    assert (by_default.default_split, by_default.selection_split) == ("test", "val")
    assert open_data(coco_detection, open_context(coco_folder, split="val")).selection_split == HELD_OUT


def test_a_folder_is_read_without_a_task_too(coco_folder: Path) -> None:
    found = read_objects(coco_folder, "coco")
    assert (found.names, tuple(found.splits), len(found.splits["val"].images)) == (("cat", "dog"), ("train", "val"), 3)
    assert replace(found).digest(Contents()) == found.digest(Contents())
