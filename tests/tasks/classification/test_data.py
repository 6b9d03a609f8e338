"""Labels on disk in every format: roles, orders, classes with their texts, what digests cover, what is refused."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.answers import LABELS, NO_CLASS, UNKNOWN
from harness.errors import DataError, UsageError
from harness.protocols import DataContext, open_data
from harness.sample import Classes
from tasks.classification.data import begin_label_predictions, label_classes, quick_label_score
from tasks.classification.task import image_classification
from tasks.classification.zero_shot import zero_shot_classification
from tasks.datasets.prompts import spoken
from tasks.datasets.split_roles import HELD_OUT
from tasks.targets.targets import LabelTarget
from tests.tasks.formats.test_cifar import TEN_BINARY, write_binary
from tests.tasks.squares import NAMES, write_squares

MakeContext = Callable[..., DataContext]
SPOKEN = tuple(name.replace("_", " ") for name in NAMES)


@pytest.fixture
def squares(tmp_path: Path) -> Path:
    return write_squares(tmp_path / "squares")


def labels(samples: Any) -> Counter[int]:
    return Counter(sample.target.label for sample in samples)


def test_an_image_folder_by_hand(squares: Path, open_context: MakeContext) -> None:
    data = image_classification.open_data(open_context(squares))
    assert (data.name, data.layout, data.splits) == ("squares", "labels", ("train", "val", "test"))
    assert (data.training_split, data.selection_split, data.default_split) == ("train", "val", "test")
    test = image_classification.samples(data, "test")
    assert labels(test) == dict.fromkeys(range(6), 4)
    sample = next(sample for sample in test if sample.sample_id == "test/green/02.png")
    assert (sample.image, sample.text) == (squares / "test/green/02.png", None)
    assert sample.target == LabelTarget(2, image_id="test/green/02.png")
    spec = image_classification.spec(data, image_classification.samples(data, "train"))
    assert (spec.task, spec.answers, spec.training_texts) == ("image-classification", LABELS, ())
    assert len(spec.training_targets) == 120
    assert spec.classes == Classes(NAMES, tuple((f"a photo of a {name}.",) for name in SPOKEN), (True,) * 6)


def test_a_limit_takes_of_every_class_and_the_order_is_everywhere_the_same(
    squares: Path, tmp_path: Path, open_context: MakeContext
) -> None:
    data = image_classification.open_data(open_context(squares))
    elsewhere = image_classification.open_data(open_context(write_squares(tmp_path / "moved" / "squares")))
    for split in data.splits:
        samples, again = (image_classification.samples(d, split) for d in (data, elsewhere))
        assert [sample.sample_id for sample in samples] == [sample.sample_id for sample in again]
        assert len(labels(samples[:16])) == 6, "classes follow each other on disk"
    assert data.digest == elsewhere.digest


@pytest.mark.parametrize(
    ("counts", "split", "selection", "default", "train", "selected"),
    [
        ({"train": 20, "val": 3}, None, HELD_OUT, "val", 104, 16),
        ({"train": 20, "test": 3}, None, HELD_OUT, "test", 104, 16),
        ({"train": 20, "val": 3, "test": 4}, None, "val", "test", 120, 18),
        ({"train": 20, "val": 3, "test": 4}, "val", HELD_OUT, "test", 104, 16),
    ],
)
def test_what_is_reported_selects_nothing(
    counts: dict[str, int], split: str | None, selection: str, default: str, train: int, selected: int,
    tmp_path: Path, open_context: MakeContext,
) -> None:  # fmt: skip
    data = image_classification.open_data(open_context(write_squares(tmp_path / "d", counts), split))
    assert (data.selection_split, data.default_split) == (selection, default)
    chosen = {name: image_classification.samples(data, name) for name in ("train", data.selection_split)}
    found = {name: {sample.image for sample in samples} for name, samples in chosen.items()}
    assert [len(images) for images in found.values()] == [train, selected]
    reported = {sample.image for sample in image_classification.samples(data, split or default)}
    assert not reported & (found["train"] | found[selection])
    assert not found["train"] & found[selection]


def test_cifar(tmp_path: Path, open_context: MakeContext, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.formats import cifar

    write_binary(tmp_path / "data", TEN_BINARY)
    monkeypatch.setattr(cifar, "read_cifar", partial(cifar.read_cifar, versions=(TEN_BINARY,)))
    data = image_classification.open_data(open_context(tmp_path / "data"))
    assert [len(image_classification.samples(data, split)) for split in data.splits] == [90, 10, 10]
    assert label_classes(data).names == tuple(f"class {number}" for number in range(10))
    with pytest.raises(UsageError, match=r"'classes' \(c.txt\) is for folders whose files do not name their classes"):
        image_classification.open_data(open_context(tmp_path / "data", classes="c.txt"))


def test_coco_has_several_labels_an_image_and_for_zero_shot_the_largest(
    coco_folder: Path, open_context: MakeContext
) -> None:
    data = image_classification.open_data(open_context(coco_folder))
    classes = label_classes(data)
    assert (classes.names, classes.multilabel) == (("cat", "dog"), True)
    several = {sample.sample_id: sample.target for sample in image_classification.samples(data, "val")}
    assert {name: target.labels for name, target in several.items()} == {"5": (1, 1), "2": (1, 1), "8": (0, 0)}
    assert all(target.label == -1 for target in several.values())
    single = zero_shot_classification.open_data(open_context(coco_folder, unseen="dog"))
    assert label_classes(single) == Classes(
        ("cat", "dog"), (("a photo of a cat.",), ("a photo of a dog.",)), (True, False)
    )
    found = {s.sample_id: s.target.label for s in zero_shot_classification.samples(single, "val")}
    assert found == {"5": 1, "2": 1}, (
        "200 px of dog against 144 of cat; no crowd; an image without objects has no class"
    )
    for split in ("train", HELD_OUT):
        assert set(labels(zero_shot_classification.samples(single, split))) == {0}


def test_voc_has_labels_too(voc_folder: Path, open_context: MakeContext) -> None:
    data = image_classification.open_data(open_context(voc_folder))
    names = label_classes(data).names
    assert (len(names), data.default_split, data.selection_split) == (20, "val", HELD_OUT)
    (first, _) = image_classification.samples(data, "val")
    told = {names[index]: first.target.labels[index] for index in np.flatnonzero(first.target.labels)}
    assert told == {"dog": 1, "cat": UNKNOWN}, "whether a difficult cat is shown is not known"
    unknown = "labels are unknown (objects marked difficult): answers to them are not scored"
    assert [(note.split, note.count, note.total) for note in data.notes if str(note).endswith(unknown)] == [
        ("train", 40, 800), ("val", 2, 40),
    ]  # fmt: skip
    assert str(data.notes[0]).startswith("the list Main/test.txt has annotations for none of its 1 images")
    single = zero_shot_classification.open_data(open_context(voc_folder))
    assert not [note for note in single.notes if "left out" in str(note)]
    assert len(zero_shot_classification.samples(single, "val")) == 2


def test_images_without_a_largest_class_are_left_out_and_said(coco_folder: Path, open_context: MakeContext) -> None:
    path = coco_folder / "annotations/instances_val.json"
    content = json.loads(path.read_text())
    for row in content["annotations"]:
        if row["image_id"] == 5:  # both objects become as large
            row["bbox"], row["area"] = [0.0, 0.0, 10.0, 10.0], 100.0
            row.pop("segmentation", None)
    path.write_text(json.dumps(content))
    data = zero_shot_classification.open_data(open_context(coco_folder))
    assert [sample.sample_id for sample in zero_shot_classification.samples(data, "val")] == ["2"]
    own = [note for note in data.notes if note.split == "val" and "in train too" not in str(note)]
    notes = {str(note): (note.count, note.total) for note in own}
    assert notes == {
        "split val: 1 of 3 images show no object that counts (crowds and difficult ones do not), so have no class and "
        "are left out": (1, 3),
        "split val: 1 of 3 images are covered as much by one class as by another, so have no largest and are left "
        "out": (1, 3),
    }


@pytest.mark.parametrize("task", [image_classification, zero_shot_classification])
def test_data_without_train_are_evaluated_only(tmp_path: Path, open_context: MakeContext, task: Any) -> None:
    root = write_squares(tmp_path / "d", {"val": 3})
    data = task.open_data(open_context(root))
    assert (data.splits, data.training_split, data.selection_split, data.default_split) == (("val",), None, None, "val")
    assert len(task.samples(data, "val")) == 18
    classes = task.spec(data, ()).classes
    assert classes.names == NAMES
    assert classes.seen == ((True,) * 6 if task is image_classification else (False,) * 6)
    if task is zero_shot_classification:
        named = label_classes(task.open_data(open_context(root, unseen="red")))
        assert [name for name, seen in zip(named.names, named.seen, strict=True) if not seen] == ["red"]
        assert task.chance(data, task.samples(data, "val")) == 1 / 6


def test_a_folder_of_classes_is_taken_whole_where_the_user_says_so(squares: Path, open_context: MakeContext) -> None:
    flat = squares / "train"
    divided = image_classification.open_data(open_context(flat))
    assert divided.splits == ("train", "val", "test")
    assert "no split folders: the 120 images are split 70/10/20" in str(divided.notes[0])
    whole = image_classification.open_data(open_context(flat, "all"))
    assert (whole.splits, whole.training_split, whole.default_split, whole.notes) == (("all",), None, "all", ())
    assert len(image_classification.samples(whole, "all")) == 120
    assert whole.digest != divided.digest
    shifted = image_classification.open_data(replace(open_context(flat), evaluate_only=True))
    assert (shifted.splits, shifted.digest) == (("all",), whole.digest)


def test_train_alone_is_evaluated_on_where_the_user_says_so(tmp_path: Path, open_context: MakeContext) -> None:
    root = write_squares(tmp_path / "d", {"train": 3})
    with pytest.raises(DataError, match=rf"{root} has only train: nothing is left to evaluate on.* --split train"):
        image_classification.open_data(open_context(root))
    data = image_classification.open_data(open_context(root, "train"))
    assert (data.splits, data.training_split, data.default_split) == (("train",), None, "train")
    assert len(image_classification.samples(data, "train")) == 18


def test_images_that_stand_in_two_splits_are_said(squares: Path, open_context: MakeContext) -> None:
    (squares / "test/red/00.png").write_bytes((squares / "train/blue/07.png").read_bytes())
    notes = [str(note) for note in image_classification.open_data(open_context(squares)).notes]
    shared = [note for note in notes if note.startswith("split test: ") and "images are in train too" in note]
    assert len(shared) == 1 and "what was trained on them has seen their answers" in shared[0]


def test_how_labels_are_meant_changes_no_sample(tmp_path: Path, open_context: MakeContext) -> None:
    root, path = tmp_path / "numbers", tmp_path / "p.csv"
    for number in (1, 2):
        (root / f"val/{number}").mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(root / f"val/{number}/0.png")
    path.write_text("sample_id,label\nval/1/0.png,1\nval/2/0.png,1\n")
    plain = open_data(image_classification, open_context(root))
    with pytest.raises(DataError, match="can be read in two ways"):
        image_classification.read_predictions(path, plain)
    for wish, expected in (("name", 0), ("index", 1)):
        data = open_data(image_classification, open_context(root, labels=wish))
        assert data.digest == plain.digest
        assert [outcome.prediction for outcome in image_classification.read_predictions(path, data)] == [expected] * 2
    with pytest.raises(UsageError, match=r"task.labels is names. Did you mean 'name'"):
        open_data(image_classification, open_context(root, labels="names"))


def test_a_class_file_orders_and_names_the_classes(tmp_path: Path, open_context: MakeContext) -> None:
    root = write_squares(tmp_path / "d", lacking={"train": ("white",)})
    with pytest.raises(DataError, match=r"class folder 'white' of val is unknown: train has no such folder.*--classes"):
        open_data(image_classification, open_context(root))
    (tmp_path / "c.json").write_text(json.dumps({name: name.upper() for name in reversed(NAMES)}))
    data = open_data(image_classification, open_context(root, classes=str(tmp_path / "c.json")))
    classes = label_classes(data)
    assert classes.names == ("YELLOW", "WHITE", "RED", "GREEN", "DARK_GREY", "BLUE")
    assert classes.seen == (True, False, True, True, True, True), "train has no white square"
    assert labels(image_classification.samples(data, "test")) == dict.fromkeys(range(6), 4)
    assert 1 not in labels(image_classification.samples(data, "val")), "what cannot be learned selects nothing"


def test_the_digest_covers_what_decides_a_sample_and_no_path(
    squares: Path, tmp_path: Path, open_context: MakeContext
) -> None:
    def digest(task: Any = zero_shot_classification, **settings: Any) -> str:
        return str(task.open_data(open_context(squares, **settings)).digest)

    (tmp_path / "a.txt").write_text("a {}")
    (tmp_path / "b.txt").write_text("a {}\n")
    (tmp_path / "c.txt").write_text("\n".join(NAMES))
    plain, from_file = digest(), digest(templates=str(tmp_path / "a.txt"))
    assert from_file == digest(templates=str(tmp_path / "b.txt"))
    (tmp_path / "b.txt").write_text("the {}\n")
    changed = digest(templates=str(tmp_path / "b.txt"))
    others = [changed, digest(templates="plain"), digest(unseen="red"), digest(image_classification)]
    assert len({plain, from_file, *others}) == 6
    assert digest(classes=str(tmp_path / "c.txt")) == plain, "the same names in the same order"
    (squares / "test/red/03.png").unlink()
    assert digest() != plain


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"templates": "simpel"}, "Did you mean 'simple'"),
        ({"classes": "no.txt"}, "No file .*no.txt"),
        ({"track": "context"}, r"'track' \(context\) is for Scenes, and .*squares is not. Leave it out"),
        ({"lexicon": "opaque"}, r"'lexicon' \(opaque\) is for Scenes"),
    ],
)
def test_wrong_settings_are_named(
    settings: dict[str, Any], message: str, squares: Path, open_context: MakeContext
) -> None:
    with pytest.raises((UsageError, DataError), match=message):
        open_data(image_classification, open_context(squares, **settings))


def test_templates_without_a_place_for_the_name_are_refused(
    squares: Path, tmp_path: Path, open_context: MakeContext
) -> None:
    (tmp_path / "t.txt").write_text("a bird\n")
    with pytest.raises(UsageError, match=r"holds 'a bird'; wanted one {}"):
        open_data(image_classification, open_context(squares, templates=str(tmp_path / "t.txt")))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("red\ngreen\nred\n", "c.txt: line 1 and line 3 have the same name 'red'"),
        ("", "names no class"),
        ("red\ngreen\n", "class folder 'blue' of train is unknown: .*c.txt does not list it"),
    ],
)
def test_class_files_that_do_not_fit_are_named(
    content: str, message: str, squares: Path, tmp_path: Path, open_context: MakeContext
) -> None:
    (tmp_path / "c.txt").write_text(content)
    with pytest.raises(DataError, match=message):
        open_data(image_classification, open_context(squares, classes=str(tmp_path / "c.txt")))


def test_folders_that_are_none_are_named(tmp_path: Path, open_context: MakeContext, coco_folder: Path) -> None:
    def refused(root: Path, message: str, task: Any = image_classification) -> None:
        with pytest.raises(DataError, match=message):
            task.open_data(open_context(root))

    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "notes.txt").touch()
    refused(tmp_path / "none", "No folder .*none. Give --data a folder of images by class, CIFAR, COCO or VOC")
    refused(tmp_path / "odd", r"odd has no labels in a format that is known \(seen: notes.txt\). Wanted: train/CLASS")
    one = write_squares(tmp_path / "one", lacking=dict.fromkeys(("train", "val", "test"), NAMES[1:]))
    for task in (image_classification, zero_shot_classification):
        refused(one, r"one is one-class data \(only 'blue'\): there is nothing to tell apart", task)
    for path in (coco_folder / "annotations").glob("*.json"):
        content = json.loads(path.read_text())
        content["categories"] = [row for row in content["categories"] if row["name"] == "dog"]
        content["annotations"] = [row for row in content["annotations"] if row["category_id"] == 7]
        path.write_text(json.dumps(content))
    refused(coco_folder, r"one-class data \(only 'dog'\)", zero_shot_classification)
    assert label_classes(open_data(image_classification, open_context(coco_folder))).names == ("dog",), (
        "whether an image shows a dog can be told"
    )


def test_an_empty_split_is_an_error(coco_folder: Path, open_context: MakeContext) -> None:
    path = coco_folder / "annotations/instances_val.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "annotations": []}))
    data = zero_shot_classification.open_data(open_context(coco_folder))
    with pytest.raises(DataError, match=r"the split val has no samples. Choose another with --split"):
        zero_shot_classification.samples(data, "val")


def test_quick_scores_by_hand() -> None:
    single = [LabelTarget(0), LabelTarget(1), LabelTarget(1), LabelTarget(2)]
    answers = [[0.6, 0.4, 0.0], [0.3, 0.3, 0.4], [0.5, 0.5, 0.0], [0.0, 0.1, 0.9]]
    assert quick_label_score(answers, single) == 0.5, "of equal probabilities none is the answer"
    assert quick_label_score([[0.5, 0.5], [0.5, 0.5]], [LabelTarget(0), LabelTarget(1)]) == 0
    assert quick_label_score([0, 1, 2, 2], single) == 0.75, "labels alone have a top-1"
    assert quick_label_score([0, [0.0, 1.0, 0.0], NO_CLASS, 0], single) == 0.5
    # class 0: right answers at ranks 1 and 3 -> (1 + 2/3) / 2; class 1: at rank 2 -> 1/2; class 2 never occurs
    several = [LabelTarget(-1, (1, 0, 0)), LabelTarget(-1, (0, 1, 0)), LabelTarget(-1, (1, 0, 0))]
    scores = [[0.9, 0.8, 0.1], [0.5, 0.6, 0.1], [0.4, 0.1, 0.1]]
    assert quick_label_score(scores, several) == pytest.approx(((1 + 2 / 3) / 2 + 1 / 2) / 2)
    with pytest.raises(DataError, match="An answer is one label, and images have several here"):
        quick_label_score([1, 1, 1], several)


def test_predictions_made_elsewhere_for_several_labels_need_not_sum_to_one(
    coco_folder: Path, tmp_path: Path, open_context: MakeContext
) -> None:
    path = tmp_path / "p.csv"
    several = open_data(image_classification, open_context(coco_folder))
    single = zero_shot_classification.open_data(open_context(coco_folder))
    path.write_text("sample_id,cat,dog\n5,0.9,0.8\n")
    assert begin_label_predictions(path)(several)[0].prediction == [0.9, 0.8]
    with pytest.raises(DataError, match=r"row 1 .sample 5. sums to 1.7000"):
        begin_label_predictions(path)(single)
    path.write_text("sample_id,label\n5,dog\n")
    assert begin_label_predictions(path)(single)[0].prediction == 1
    with pytest.raises(DataError, match="one label a sample, and samples of this data have several"):
        begin_label_predictions(path)(several)


def test_names_are_spoken() -> None:
    assert spoken("dark_grey_cat") == "dark grey cat"
