"""Which file says what is in the images, what is absent without it, and what the signature names."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import MissingPath
from harness.protocols import DataContext, open_data
from harness.sample import Dataset, Sample
from tasks.captioning.annotated_objects import annotated_objects, find_instances
from tasks.captioning.inventions import Inventions
from tasks.captioning.task import coco_caption
from tasks.targets.targets import CaptionTarget

MakeCaptions = Callable[..., Path]
SAMPLES = [
    Sample("101", Path(), CaptionTarget(("a dog in a park",))),
    Sample("102", Path(), CaptionTarget(("a man",))),
    Sample("109", Path(), CaptionTarget(("a cat",))),
]


def instances(path: Path, categories: dict[int, str], objects: list[tuple[int, int]]) -> Path:
    images = [{"id": number, "file_name": f"{number}.png", "width": 9, "height": 9} for number in (101, 102)]
    box = {"bbox": [0, 0, 4, 4], "area": 16, "iscrowd": 0}
    content = {
        "images": images,
        "categories": [{"id": number, "name": name} for number, name in categories.items()],
        "annotations": [
            {"id": place, "image_id": image, "category_id": category, **box}
            for place, (image, category) in enumerate(objects, start=1)
        ],
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def data_of(scoring: Any, root: Path = Path(), layout: str = "coco") -> Dataset:
    return Dataset("captions_val2017", root, "", layout, ("val",), None, None, "val", scoring=scoring)


def inventions(path: Path, tmp_path: Path) -> Inventions:
    return Inventions(False, annotated_objects(data_of(find_instances(str(path), None)), tmp_path / "cache"))


def test_the_file_beside_the_captions_is_found_and_another_one_may_be_given(
    captions_in: MakeCaptions, tmp_path: Path
) -> None:
    root = captions_in(tmp_path / "data", "2017")
    context = DataContext(str(root), None, None, tmp_path, tmp_path / "cache", lambda *_: None)
    assert open_data(coco_caption, context).scoring == {}
    path = instances(root / "annotations/instances_val2017.json", {1: "dog"}, [])
    found = open_data(coco_caption, context).scoring
    assert Path(found["instances_beside"]) == path.resolve()
    other = instances(tmp_path / "mine.json", {1: "dog"}, [(101, 1)])
    given = DataContext(str(root), None, None, tmp_path, tmp_path, lambda *_: None, {"instances": str(other)})
    wished = open_data(coco_caption, given).scoring
    assert wished["instances"] == str(other) and wished["instances_sha256"] != found["instances_sha256"]
    wrong = DataContext(str(root), None, None, tmp_path, tmp_path, lambda *_: None, {"instances": "no.json"})
    with pytest.raises(MissingPath, match=r"task\.instances: there is no file no\.json"):
        open_data(coco_caption, wrong)


def test_references_alone_look_beside_themselves_and_never_into_other_data(tmp_path: Path) -> None:
    elsewhere = instances(tmp_path / "instances_other.json", {1: "dog"}, [])
    beside = find_instances(None, elsewhere.with_name("captions_other.json"))
    assert annotated_objects(data_of(beside, tmp_path, "references"), tmp_path) is None
    own = instances(tmp_path / "instances_val2017.json", {1: "dog"}, [])
    found = annotated_objects(data_of(beside, tmp_path, "references"), tmp_path)
    assert found is not None and found.path == own


def test_counts_notes_and_signature(tmp_path: Path) -> None:
    path = instances(tmp_path / "i.json", {1: "dog", 2: "person", 3: "cat"}, [(101, 1), (102, 2)])
    own = inventions(path, tmp_path)
    assert own.prepare() == f"|objects:1:{find_instances(str(path), None)['instances_sha256'][:12]}"
    captions = {"101": "a dog and a bus", "102": "a woman with a cat", "109": "a dog"}
    values = {name: s and s.value for name, s in own.score(SAMPLES, captions).items()}
    assert values["CHAIRi"] == pytest.approx(1 / 3)  # a bus is no category of this file: it may be there
    assert values["CHAIRs"] == pytest.approx(1 / 2)
    (note,) = own.notes(SAMPLES, captions)
    assert str(note).startswith("CHAIR leaves out images that i.json does not list") and (note.count, note.total) == (
        1,
        3,
    )
    silent = own.notes(SAMPLES, dict.fromkeys(captions, "green"))
    assert "no caption mentions an object" in str(silent[-1])


def test_without_annotations_all_is_absent_and_a_line_says_why(tmp_path: Path) -> None:
    captions = {"101": "a dog", "102": "a dog", "109": "a dog"}
    nothing = Inventions()
    assert nothing.prepare() == "" and set(nothing.score(SAMPLES, captions).values()) == {None}
    assert "--set task.instances=FILE" in str(nothing.notes(SAMPLES, captions)[0])
    strange = inventions(instances(tmp_path / "i.json", {1: "widget"}, [(101, 1)]), tmp_path)
    assert strange.prepare() == "" and set(strange.score(SAMPLES, captions).values()) == {None}
    assert "none of the 80 categories" in str(strange.notes(SAMPLES, captions)[0])


def test_two_models_are_compared_at_equal_length(tmp_path: Path) -> None:
    own = inventions(instances(tmp_path / "i.json", {1: "dog", 3: "cat"}, [(101, 1), (102, 1)]), tmp_path)
    long = dict.fromkeys(("101", "102", "109"), "a dog and a cat")
    short = dict.fromkeys(long, "a dog")
    found = own.score_alike(SAMPLES, long, short)
    assert [s["CHAIRi-at-equal-length"].value for s in found] == [0.0, 0.0]  # type: ignore[union-attr]
