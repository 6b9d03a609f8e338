"""Panoptic and semantic maps: segment ids and classes pixel by pixel, and each flaw named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.errors import DataError
from tasks.formats.coco_layout import SplitFile, find_panoptic_files, find_pixel_map_files
from tasks.formats.coco_panoptic import digest_of_panoptic, is_thing, panoptic_semantic_map, read_panoptic, segment_map
from tasks.formats.label_maps import class_map, digest_of_label_maps
from tasks.formats.pixel_maps import read_pixel_maps

Folder = Any
INDEX = {2: 0, 9: 1}


def test_a_small_split_is_read_as_it_stands(panoptic: Folder) -> None:
    found = read_panoptic(panoptic.file)
    assert [(c.category_id, c.name, is_thing(c)) for c in found.categories] == [(2, "cat", True), (9, "sky", False)]
    assert [entry.image_id for entry in found.entries] == [30, 10]
    assert [(s.segment_id, s.category_id, s.iscrowd) for s in found.entries[0].segments] == [
        (1, 2, True),
        (70_000, 9, False),
    ]
    ids = segment_map(found.entries[0])
    assert ids.dtype == np.int32
    assert ids.shape == (10, 20)
    assert np.unique(ids).tolist() == [0, 1, 70_000]
    assert (ids[0, 0], ids[2, 19], ids[9, 0]) == (1, 70_000, 0)


def test_classes_pixel_by_pixel(panoptic: Folder) -> None:
    first, second = read_panoptic(panoptic.file).entries
    classes = panoptic_semantic_map(first, INDEX)
    assert classes.dtype == np.uint8
    assert np.unique(classes[0]).tolist() == [255], "a crowd and unlabelled pixels"
    assert np.unique(classes[1:3]).tolist() == [1]
    assert np.unique(classes[3:]).tolist() == [255]
    assert np.unique(panoptic_semantic_map(second, INDEX)).tolist() == [0]
    assert np.unique(panoptic_semantic_map(second, {9: 1})).tolist() == [255], "a category without an index"


def test_many_classes_need_sixteen_bits_and_another_ignore(panoptic: Folder) -> None:
    first = read_panoptic(panoptic.file).entries[0]
    classes = panoptic_semantic_map(first, {9: 300, 2: 255}, ignore=-1)
    assert classes.dtype == np.int16
    assert np.unique(classes).tolist() == [-1, 300]
    with pytest.raises(ValueError, match="255 cannot mean both"):
        panoptic_semantic_map(first, {9: 300, 2: 255})


def info(position: int, number: int, **change: Any) -> Callable[[Any], None]:
    return lambda content: content["annotations"][position]["segments_info"][number].update(change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["categories"][0].pop("isthing") and None, "category 9 'sky' has None as its 'isthing'"),
        (lambda c: c["categories"][0].update(isthing=2), "category 9 'sky' has 2 as its 'isthing'; wanted 0 or 1"),
        (lambda c: c["annotations"][0].pop("segments_info") and None, r"annotations\[0\] lacks 'segments_info'"),
        (lambda c: c["annotations"][0].update(segments_info=3), r"annotations\[0\] has 3 as its .*wanted a list"),
        (lambda c: c["annotations"][0].update(image_id=30), r"annotations\[1\] is a second one for image 30"),
        (lambda c: c["annotations"][0].update(image_id=99), r"annotates 1 images that it does not list \(first: 99"),
        (lambda c: c["annotations"].pop(), r"has no annotation of 1 \(first: 30\)"),
        (lambda c: c["annotations"][0].update(file_name="no.png"), "names 1 of 2 files .*looked for .*/no.png"),
        (lambda c: c["annotations"][0].update(file_name="../10.png"), r"annotations\[0\] .*not inside the image"),
        (info(1, 1, id=1), r"segments_info\[1\] of image 30 repeats the segment id 1"),
        (info(1, 1, id=0), r"segments_info\[1\] of image 30 has the id 0; wanted 1..16777215"),
        (info(1, 1, id=256**3), r"segments_info\[1\] of image 30 has the id 16777216"),
        (info(1, 1, category_id=7), r"segments_info\[1\] of image 30 has the unknown category 7"),
        (info(1, 1, iscrowd=None), r"segments_info\[1\] of image 30 has None as its 'iscrowd'"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(change: Callable[[Any], Any], message: str, panoptic: Folder) -> None:
    path = panoptic.edit(change)
    with pytest.raises(DataError, match=rf"{path}.*{message}"):
        read_panoptic(panoptic.file)


def test_maps_that_do_not_fit_are_named(panoptic: Folder) -> None:
    maps = panoptic.file.maps
    Image.new("RGB", (20, 11)).save(maps / "10.png")
    with pytest.raises(DataError, match=r"10.png has 20 x 11 px; wanted 20 x 10, the size of image 10"):
        read_panoptic(panoptic.file)
    (maps / "10.png").write_bytes(b"no")
    with pytest.raises(DataError, match=r"10.png is not a PNG"):
        read_panoptic(panoptic.file)
    (maps / "10.png").unlink()
    with pytest.raises(DataError, match=r"names 1 of 2 files that are not there \(looked for .*panoptic_val/10.png\)"):
        read_panoptic(panoptic.file)
    file = panoptic.file
    with pytest.raises(DataError, match="no folder of panoptic PNG maps"):
        read_panoptic(SplitFile("val", file.annotations, file.images))


def test_segments_of_map_and_json_must_agree(panoptic: Folder) -> None:
    entry = read_panoptic(panoptic.file).entries[1]
    Image.new("RGB", (20, 10), (0, 2, 0)).save(entry.png)
    with pytest.raises(DataError, match=r"10.png has 1 segments that .*not describe \(first: id 512, 200 pixels\)"):
        segment_map(entry)
    Image.new("RGB", (20, 10)).save(entry.png)
    with pytest.raises(DataError, match=r"10.png lacks 1 of the 1 segments of image 10 \(first: id 1\)"):
        segment_map(entry)
    Image.new("L", (20, 10)).save(entry.png)
    with pytest.raises(DataError, match=r"10.png has the mode L; wanted COCO's panoptic PNG"):
        segment_map(entry)
    Image.new("RGB", (10, 20), (1, 0, 0)).save(entry.png)
    with pytest.raises(DataError, match=r"10.png has 10 x 20 px"):
        segment_map(entry)


def test_the_digest_follows_the_maps(panoptic: Folder) -> None:
    first = digest_of_panoptic(read_panoptic(panoptic.file))
    Image.new("RGB", (20, 10), (1, 0, 0)).save(panoptic.file.maps / "10.png", compress_level=1)
    assert digest_of_panoptic(read_panoptic(panoptic.file)) != first


@pytest.mark.parametrize("split", ["train", "val"])
def test_real_maps_have_the_areas_that_their_json_states(split: str, mini: Path) -> None:
    file = find_panoptic_files(mini)[split]
    found = read_panoptic(file)
    assert len(found.categories) == 133
    original = {row["image_id"]: row for row in json.loads(file.annotations.read_bytes())["annotations"]}
    index = {category.category_id: i for i, category in enumerate(found.categories)}
    for entry in found.entries[:25]:
        areas = dict(zip(*np.unique(segment_map(entry), return_counts=True), strict=True))
        classes = panoptic_semantic_map(entry, index)
        for row in original[entry.image_id]["segments_info"]:
            assert areas[row["id"]] == row["area"]
        for category_id in {s.category_id for s in entry.segments if not s.iscrowd}:
            rows = original[entry.image_id]["segments_info"]
            area = sum(r["area"] for r in rows if r["category_id"] == category_id and not r["iscrowd"])
            assert np.count_nonzero(classes == index[category_id]) == area


def test_scenes_panoptic_and_semantic_maps_agree(scenes: Path) -> None:
    for split, file in find_panoptic_files(scenes).items():
        found = read_panoptic(file)
        maps = read_pixel_maps(find_pixel_map_files(scenes)[split])
        assert maps.scheme.class_names == tuple(category.name for category in found.categories)
        assert len(maps.scheme.class_names) == 51
        index = {category.category_id: i for i, category in enumerate(found.categories)}
        for entry, labelled in zip(found.entries, maps.entries, strict=True):
            assert str(entry.image_id) == labelled.image_id
            np.testing.assert_array_equal(panoptic_semantic_map(entry, index), class_map(labelled, maps.scheme))


def stuff(panoptic: Folder, value: int) -> SplitFile:
    """COCO-Stuff's pixel maps: category ids, 0 where unlabelled."""
    maps = panoptic.root / "annotations/stuff_val_pixelmaps"
    for name in ("10", "30"):
        labels = np.zeros((10, 20), np.uint8)
        labels[5:] = 9
        labels[0, :3] = value
        maps.mkdir(exist_ok=True)
        Image.fromarray(labels).save(maps / f"{name}.png")
    return SplitFile("val", panoptic.file.annotations, panoptic.file.images, maps)


def test_pixel_maps_of_stuff(panoptic: Folder) -> None:
    maps = read_pixel_maps(stuff(panoptic, 2))
    assert [entry.image_id for entry in maps.entries] == ["30", "10"]
    classes = class_map(maps.entries[0], maps.scheme)
    assert classes.dtype == np.uint8
    assert classes[0, :4].tolist() == [0, 0, 0, 255]
    assert np.unique(classes[5:]).tolist() == [1]
    first = digest_of_label_maps(maps)
    stuff(panoptic, 0)
    assert digest_of_label_maps(maps) != first
    with pytest.raises(DataError, match=r"30.png has the label 44 in 3 pixels .*\(2 classes, values 2..9; ignored"):
        class_map(read_pixel_maps(stuff(panoptic, 44)).entries[0], maps.scheme)
    stuff_file = stuff(panoptic, 0)
    (panoptic.root / "annotations/stuff_val_pixelmaps/10.png").unlink()
    with pytest.raises(DataError, match=r"names 1 of 2 files that are not there \(looked for .*10.png"):
        read_pixel_maps(stuff_file)


def test_a_segment_that_does_not_say_iscrowd_is_none_and_counted(panoptic: Folder) -> None:
    panoptic.edit(lambda c: c["annotations"][1]["segments_info"][1].pop("iscrowd") and None)
    found = read_panoptic(panoptic.file)
    assert [segment.iscrowd for segment in found.entries[0].segments] == [True, False]
    assert list(map(str, found.notes)) == ["1 of 3 segments do not say 'iscrowd' and are taken for no crowds"]
