"""Splits are found in every layout that people have; what is missing is said with what was seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import DataError
from tasks.formats.coco_layout import find_instance_files, find_panoptic_files, find_pixel_map_files


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if name.endswith("/") else path.write_text("{}")
    return root


@pytest.mark.parametrize("year", ["2017", "2014"])
def test_years_have_folders_of_their_own(year: str, tmp_path: Path) -> None:
    names = [f"annotations/instances_{split}{year}.json" for split in ("train", "val")]
    touch(tmp_path, *names, f"train{year}/", f"val{year}/", "annotations/person_keypoints_val2017.json")
    found = find_instance_files(tmp_path)
    assert list(found) == ["train", "val"]
    assert found["val"].annotations == tmp_path / names[1]
    assert found["val"].images == tmp_path / f"val{year}"


def test_a_plain_folder_has_one_folder_of_images(tmp_path: Path) -> None:
    touch(tmp_path, *(f"annotations/instances_{split}.json" for split in ("train", "val", "test")), "images/")
    found = find_instance_files(tmp_path)
    assert set(found) == {"train", "val", "test"}
    assert {file.images for file in found.values()} == {tmp_path / "images"}


def test_two_years_are_told_apart_by_their_images(tmp_path: Path) -> None:
    names = [f"annotations/instances_{split}{year}.json" for split in ("train", "val") for year in (2014, 2017)]
    touch(tmp_path, *names, "train2014/", "val2014/")
    assert find_instance_files(tmp_path)["train"].annotations.name == "instances_train2014.json"
    touch(tmp_path, "train2017/")
    with pytest.raises(DataError, match=r"instances_train2014.json and instances_train2017.json .*Keep one year"):
        find_instance_files(tmp_path)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"No folder {tmp_path}/no"):
        find_instance_files(tmp_path / "no")
    with pytest.raises(DataError, match=r"no instances file for train, val or test \(seen in annotations: nothing\)"):
        find_instance_files(tmp_path)
    touch(tmp_path, "annotations/instances_other.json", "annotations/panoptic_val2017.json")
    with pytest.raises(DataError, match=r"no instances file .*instances_other.json.*Wanted"):
        find_instance_files(tmp_path)
    with pytest.raises(DataError, match=r"no panoptic file with a folder panoptic_<split> for train, val or test"):
        find_panoptic_files(tmp_path)


def test_maps_of_each_kind_are_found(tmp_path: Path) -> None:
    for split in ("train", "val"):
        touch(
            tmp_path,
            f"annotations/panoptic_{split}2017.json",
            f"annotations/stuff_{split}2017.json",
            f"annotations/panoptic_{split}2017/",
            f"annotations/semantic_{split}2017/",
        )
    assert find_panoptic_files(tmp_path)["val"].maps == tmp_path / "annotations/panoptic_val2017"
    scenes = find_pixel_map_files(tmp_path)["val"]
    assert (scenes.annotations.name, scenes.maps) == (
        "panoptic_val2017.json",
        tmp_path / "annotations/semantic_val2017",
    )
    touch(tmp_path, "annotations/stuff_train2017_pixelmaps/", "annotations/stuff_val2017_pixelmaps/")
    stuff = find_pixel_map_files(tmp_path)["val"]
    assert (stuff.annotations.name, stuff.maps) == (
        "stuff_val2017.json",
        tmp_path / "annotations/stuff_val2017_pixelmaps",
    )
