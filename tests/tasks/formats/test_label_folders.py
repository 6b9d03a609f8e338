"""Folders of photographs and label images in ADE20K's and CamVid's layouts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.errors import DataError
from tasks.formats.class_names import ClassFile, read_class_file
from tasks.formats.label_folders import CAMVID, find_label_folders, read_label_folders
from tasks.formats.label_maps import class_map, digest_of_label_maps

Paint = Callable[..., Path]
ADE = (
    "Idx\tRatio\tTrain\tVal\tStuff\tName\n1\t.2\t9\t9\t1\twall\n2\t.1\t9\t9\t1\tbuilding, edifice\n3\t.1\t9\t9\t1\tsky"
)


def label(path: Path, values: list[int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    row = np.resize(np.array(values, np.uint8), 20)
    Image.fromarray(np.tile(row, (10, 1))).save(path)


@pytest.fixture
def ade(tmp_path: Path, paint_in: Paint) -> Path:
    root = tmp_path / "ade"
    for split in ("training", "validation"):
        for number in (2, 1):
            paint_in(root / f"images/{split}/ADE_{number}.jpg")
            label(root / f"annotations/{split}/ADE_{number}.png", [0, 1, 2, 3])
    (root / "objectInfo150.txt").write_text(ADE)
    return root


@pytest.fixture
def camvid(tmp_path: Path, paint_in: Paint) -> Path:
    root = tmp_path / "camvid"
    for split in ("train", "val", "test"):
        for number in (2, 1):
            paint_in(root / f"{split}/frame_{number}.png")
            label(root / f"{split}annot/frame_{number}.png", [0, 10, 11])
    return root


def classes(tmp_path: Path, text: str) -> ClassFile:
    path = tmp_path / "classes.txt"
    path.write_text(text)
    return read_class_file(path)


def test_ade_counts_from_one_and_ignores_zero(ade: Path) -> None:
    found = read_label_folders(ade)
    assert list(found) == ["train", "val"]
    maps = found["train"]
    assert [entry.image_id for entry in maps.entries] == ["ADE_1", "ADE_2"]
    assert maps.scheme.class_names == ("wall", "building, edifice", "sky")
    assert class_map(maps.entries[0], maps.scheme)[0, :5].tolist() == [255, 0, 1, 2, 255]
    assert maps.sources == (ade / "objectInfo150.txt",)


def test_camvid_has_eleven_classes_and_void(camvid: Path) -> None:
    found = read_label_folders(camvid)
    assert list(found) == ["train", "val", "test"]
    maps = found["test"]
    assert maps.scheme is CAMVID
    assert len(maps.scheme.class_names) == 11
    assert class_map(maps.entries[1], maps.scheme)[0, :4].tolist() == [0, 10, 255, 0]


def test_labels_of_camvids_own_naming(camvid: Path) -> None:
    for path in (camvid / "valannot").iterdir():
        path.rename(path.with_stem(f"{path.stem}_L"))
    entries = read_label_folders(camvid)["val"].entries
    assert [(entry.image_id, entry.labels.name) for entry in entries] == [
        ("frame_1", "frame_1_L.png"),
        ("frame_2", "frame_2_L.png"),
    ]


def test_names_are_paired_composed_or_decomposed_and_other_files_are_counted(camvid: Path) -> None:
    for path in (camvid / "val/frame_1.png", camvid / "valannot/frame_1.png"):
        path.rename(path.with_name("cafe\u0301.png" if "annot" in str(path) else "caf\u00e9.png"))
    (camvid / "val/notes.txt").write_text("")
    (camvid / "valannot/.DS_Store").write_text("")
    found = read_label_folders(camvid)["val"]
    assert [entry.image_id for entry in found.entries] == ["caf\u00e9", "frame_2"]
    assert all(entry.labels.is_file() for entry in found.entries)
    assert list(map(str, found.notes)) == ["1 of 3 files of val/ are no images and are left out (first: notes.txt)"]


def test_a_class_file_goes_before_all(ade: Path, camvid: Path, tmp_path: Path) -> None:
    own = classes(tmp_path, "other\nwall\nhouse\nsky")
    maps = read_label_folders(ade, own)["val"]
    assert class_map(maps.entries[0], maps.scheme)[0, :4].tolist() == [0, 1, 2, 3]
    maps = read_label_folders(camvid, classes(tmp_path, "0 sky\n10 bicycle\n11 void"))["val"]
    assert maps.scheme.class_names == ("sky", "bicycle")
    assert class_map(maps.entries[0], maps.scheme)[0, :3].tolist() == [0, 1, 255]


def test_colours_are_classes(camvid: Path, tmp_path: Path) -> None:
    own = classes(tmp_path, "0 0 0 Void\n128 128 128 Sky\n64 0 128 Car")
    pixels = np.zeros((10, 20, 3), np.uint8)
    pixels[0], pixels[1] = (128, 128, 128), (64, 0, 128)
    for path in camvid.glob("*annot/*.png"):
        Image.fromarray(pixels).save(path)
    maps = read_label_folders(camvid, own)["val"]
    assert class_map(maps.entries[0], maps.scheme)[:3, 0].tolist() == [0, 1, 255]
    maps = read_label_folders(camvid, classes(tmp_path, "0 0 0 Void\n128 128 128 Sky"))["val"]
    with pytest.raises(DataError, match=r"frame_1.png has 20 pixels of the colour 64 0 128"):
        class_map(maps.entries[0], maps.scheme)
    with pytest.raises(DataError, match=r"frame_1.png is in colours"):
        class_map(maps.entries[0], CAMVID)


def test_a_value_that_is_not_in_the_class_list_is_named(ade: Path, camvid: Path) -> None:
    label(ade / "annotations/validation/ADE_2.png", [4, 1])
    maps = read_label_folders(ade)["val"]
    with pytest.raises(DataError, match=r"ADE_2.png has the label 4 in 100 pixels .*3 classes, values 1..3; ignored"):
        class_map(maps.entries[1], maps.scheme)
    label(camvid / "valannot/frame_1.png", [12])
    maps = read_label_folders(camvid)["val"]
    with pytest.raises(DataError, match=r"frame_1.png has the label 12 in 200 pixels"):
        class_map(maps.entries[0], maps.scheme)


def test_sizes_must_agree(camvid: Path) -> None:
    Image.new("L", (10, 5)).save(camvid / "valannot/frame_1.png")
    maps = read_label_folders(camvid)["val"]
    with pytest.raises(DataError, match=r"frame_1.png has 10 x 5 px and .*val/frame_1.png 20 x 10 px.*nothing is res"):
        class_map(maps.entries[0], maps.scheme)


def unlink_all(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: (r / "valannot/frame_2.png").unlink(), r"valannot lacks 1 label images of frame_2\."),
        (lambda r: unlink_all(r / "val"), r"val lacks 2 images of the label images frame_1, frame_2\."),
        (lambda r: [unlink_all(r / n) for n in ("val", "valannot")], r"val has no image: the split is empty"),
        (lambda r: label(r / "val/frame_1.bmp", [1]), r"val has both frame_1.bmp and frame_1.png"),
        (lambda r: [label(r / n / "0.png", [1]) for n in ("valid", "validannot")], r"has both .*val and .*valid for"),
    ],
)
def test_what_is_wrong_is_named(change: Callable[[Path], object], message: str, camvid: Path) -> None:
    change(camvid)
    with pytest.raises(DataError, match=rf"{camvid}.*{message}"):
        read_label_folders(camvid)


def test_folders_that_say_nothing_are_named(ade: Path, tmp_path: Path) -> None:
    (ade / "objectInfo150.txt").unlink()
    with pytest.raises(DataError, match=r"says nowhere what its label values mean .*--classes FILE"):
        read_label_folders(ade)
    (tmp_path / "empty").mkdir()
    assert find_label_folders(tmp_path / "empty") == {}
    with pytest.raises(DataError, match=r"no folders of label images \(seen: nothing\)\. Wanted: images"):
        read_label_folders(tmp_path / "empty")


def test_the_digest_follows_labels_and_classes(ade: Path, tmp_path: Path) -> None:
    first = digest_of_label_maps(read_label_folders(ade)["val"])
    assert digest_of_label_maps(read_label_folders(ade, classes(tmp_path, "a\nb\nc\nd"))["val"]) != first
    label(ade / "annotations/validation/ADE_2.png", [0, 1, 2, 2])
    assert digest_of_label_maps(read_label_folders(ade)["val"]) != first
