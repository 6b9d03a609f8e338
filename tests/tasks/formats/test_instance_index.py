"""Instances through the cache: the same as the file says, parsed once, and never taken for another file's."""

from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tasks.formats.annotation_index
from harness.errors import DataError
from harness.storage.content import Contents
from tasks.detection.data import image_notes
from tasks.formats import instance_index
from tasks.formats.coco_instances import Instances, read_instances
from tasks.formats.instance_index import open_categories, open_instances
from tasks.formats.stored_masks import StoredMasks, chosen_masks


def columns_of(found: Instances) -> list[Any]:
    names = ("annotation_ids", "category_index", "boxes", "stated_boxes", "areas", "iscrowd")
    arrays = [[getattr(objects, name) for name in names] for objects in found.objects]
    return [[(a.dtype, a.shape, a.tolist()) for a in row] for row in arrays]


def no_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a file is parsed from now on."""

    def refuse(*_: Any) -> Any:
        raise AssertionError("it was parsed again")

    monkeypatch.setattr(tasks.formats.annotation_index, "_make", refuse)
    monkeypatch.setattr(instance_index, "read_instances", refuse)


@pytest.mark.parametrize(("packed", "processes"), [(False, 1), (True, 1), (False, 2)])
def test_an_index_says_what_the_file_says(
    packed: bool, processes: int, instances: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if processes > 1:
        monkeypatch.setattr(instance_index, "_WORTH_SHARING", 1)
        monkeypatch.setattr(instance_index, "usable_processors", lambda: processes)
    path, images = instances.file.annotations, instances.file.images
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    contents = Contents(tmp_path / "cache")
    direct, made = read_instances(path, images), open_instances(path, images, contents)
    no_parsing(monkeypatch)
    for found in (made, open_instances(path, images, contents)):
        assert columns_of(found) == columns_of(direct)
        assert list(found.images) == list(direct.images)
        assert [list(o.segmentations) for o in found.objects] == [list(o.segmentations) for o in direct.objects]
        assert (found.categories, found.sources, found.notes) == (direct.categories, direct.sources, direct.notes)
        assert image_notes("val", found) == image_notes("val", direct)
    assert open_categories(path, contents) == direct.categories
    assert not list((tmp_path / "cache").rglob("*.pkl"))


def test_masks_are_decoded_when_they_are_asked_for(instances: Any, tmp_path: Path) -> None:
    found = open_instances(instances.file.annotations, None, Contents(tmp_path / "cache"))
    second = found.objects[1]  # image 10: a polygon, and an annotation without a mask
    assert isinstance(second.segmentations, StoredMasks) and len(second) == 2
    assert second.segmentations[0] == [[2.0, 1.0, 6.0, 1.0, 6.0, 4.0, 2.0, 4.0]] and second.segmentations[1] is None
    kept = chosen_masks(second.segmentations, np.array([False, True]))
    assert isinstance(kept, StoredMasks) and list(kept) == [None]
    assert chosen_masks((None, [[1.0]]), np.array([False, True])) == ([[1.0]],)
    assert pickle.loads(pickle.dumps(second)).segmentations == tuple(second.segmentations)
    assert [len(objects) for objects in found.objects[:2]] == [1, 2] and len(found.objects[-1]) == 0
    assert not second.boxes.flags.writeable


def test_files_are_looked_for_each_time(instances: Any, tmp_path: Path) -> None:
    path, images = instances.file.annotations, instances.file.images
    contents = Contents(tmp_path / "cache")
    open_instances(path, images, contents)
    (images / "10.png").unlink()
    with pytest.raises(DataError) as indexed:
        open_instances(path, images, contents)
    with pytest.raises(DataError, match="names 1 of 3 files that are not there") as direct:
        read_instances(path, images)
    assert str(indexed.value) == str(direct.value)


def test_a_file_that_changed_gets_an_index_of_its_own(instances: Any, tmp_path: Path) -> None:
    path, contents = instances.file.annotations, Contents(tmp_path / "cache")
    assert len(open_instances(path, None, contents).objects[1]) == 2
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "annotations": content["annotations"][:1]}))
    assert len(open_instances(path, None, contents).objects[1]) == 1
    path.write_text(json.dumps({**content, "annotations": []}))
    assert [len(objects) for objects in open_instances(path, None, contents).objects] == [0, 0, 0]
    assert len(list((tmp_path / "cache/annotations").glob("*.columns"))) == 3


def test_a_damaged_index_is_made_again(instances: Any, tmp_path: Path) -> None:
    path, contents = instances.file.annotations, Contents(tmp_path / "cache")
    before = columns_of(open_instances(path, None, contents))
    (index,) = (tmp_path / "cache/annotations").glob("*.columns")
    index.write_bytes(bytes(index.stat().st_size))
    assert columns_of(open_instances(path, None, contents)) == before


def test_without_room_for_an_index_the_file_is_read_and_that_is_said(instances: Any, tmp_path: Path) -> None:
    told: list[str] = []
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/annotations").write_text("in the way")
    contents = Contents(tmp_path / "cache", lambda text, *_: told.append(text))
    found = open_instances(instances.file.annotations, None, contents)
    assert columns_of(found) == columns_of(read_instances(instances.file.annotations, None))
    assert len(told) == 1 and "cannot hold an index of instances_val.json" in told[0]


def test_images_without_objects_are_counted_as_the_file_has_them(tmp_path: Path) -> None:
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 8, "height": 8} for i in range(6)]
    crowds = {0: [1], 1: [], 2: [0, 1], 3: [1, 1], 4: [0], 5: []}
    boxes = [(image, crowd) for image, own in crowds.items() for crowd in own]
    objects = [
        {"id": i, "image_id": image, "category_id": 1, "bbox": [1, 1, 2, 2], "area": 4, "iscrowd": crowd}
        for i, (image, crowd) in enumerate(boxes)
    ]
    for name, some in (("some", objects), ("none", [])):
        path = tmp_path / f"{name}.json"
        content = {"images": images, "annotations": some, "categories": [{"id": 1, "name": "one"}]}
        path.write_text(json.dumps(content))
        notes = image_notes(None, open_instances(path, None, Contents(tmp_path / "cache")))
        assert notes == image_notes(None, read_instances(path, None))
        assert [note.count for note in notes] == ([2, 2] if some else [6])


def test_coco_s_own_empty_boxes_and_missing_flags_are_noted(instances: Any, tmp_path: Path) -> None:
    path = instances.file.annotations
    content = json.loads(path.read_text())
    for image in content["images"]:
        image["id"] = 200365 if image["id"] == 10 else image["id"]
    for annotation in content["annotations"]:
        annotation["image_id"] = 200365 if annotation["image_id"] == 10 else annotation["image_id"]
    del content["annotations"][1]["iscrowd"]
    content["annotations"].append({**content["annotations"][0], "id": 918, "bbox": [1, 1, 4, 0]})
    path.write_text(json.dumps(content))
    direct, found = read_instances(path, None), open_instances(path, None, Contents(tmp_path / "cache"))
    assert [str(note)[:12] for note in found.notes] == ["1 of COCO's ", "1 of 4 annot"]
    assert found.notes == direct.notes and columns_of(found) == columns_of(direct)


def test_many_annotations_are_read_in_parts(instances: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instance_index, "_CHUNK", 2)
    found = open_instances(instances.file.annotations, None, Contents(tmp_path / "cache"))
    direct = read_instances(instances.file.annotations, None)
    assert columns_of(found) == columns_of(direct)
    assert [list(o.segmentations) for o in found.objects] == [list(o.segmentations) for o in direct.objects]
