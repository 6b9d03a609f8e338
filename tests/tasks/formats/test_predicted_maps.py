"""Predicted label images are found by sample id or image name, or refused with the first three that do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import DataError
from tasks.formats.predicted_maps import naming_notes, read_predicted_maps

IMAGES = {"139": Path("/data/000000000139.jpg"), "7": Path("/data/street.jpg"), "8": Path("/data/9.png")}


def maps(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")
    return folder


def test_label_images_are_found_by_id_or_stem(tmp_path: Path) -> None:
    folder = maps(tmp_path / "stems", "street.png", "000000000139.png", "9.tif", "notes.txt", ".hidden.png")
    by_stem = {"139": folder / "000000000139.png", "7": folder / "street.png", "8": folder / "9.tif"}
    assert read_predicted_maps(folder, IMAGES) == by_stem
    (note,) = naming_notes(folder, IMAGES)
    assert (note.count, note.total) == (3, 3)
    assert "read as names of image files: '000000000139' is the sample '139'" in str(note)
    folder = maps(tmp_path / "ids", "139.png", "7.png", "8.tif")
    assert read_predicted_maps(folder, IMAGES) == {
        "139": folder / "139.png",
        "7": folder / "7.png",
        "8": folder / "8.tif",
    }
    assert naming_notes(folder, IMAGES) == ()


def test_ids_and_image_names_are_not_mixed(tmp_path: Path) -> None:
    folder = maps(tmp_path / "maps", "street.png", "139.png", "9.tif")
    with pytest.raises(DataError, match=r"as sample ids 2 of 3 are unknown .*as names of image files 1 of 3 are unkn"):
        read_predicted_maps(folder, IMAGES)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("139.png",), r"lacks 2 of the split's samples \(first: 7, 8\)"),
        (
            ("139.png", "7.png", "8.png", "x.png"),
            r".*as sample ids 1 of 4 .*\(first: x; the split has 139, 7, 8\)",
        ),
        (("139.png", "139.tif", "7.png", "8.png"), r"predicts again for 1 samples \(first: 139\)"),
        (("139.png", "000000000139.png", "7.png", "8.png"), r".*as sample ids 1 of 4 .*as names of image files 3 of 4"),
    ],
)
def test_label_images_that_do_not_fit_are_named(names: tuple[str, ...], message: str, tmp_path: Path) -> None:
    folder = maps(tmp_path / "maps", *names)
    with pytest.raises(DataError, match=rf"{folder}:? {message}"):
        read_predicted_maps(folder, IMAGES)
    with pytest.raises(DataError, match=rf"No folder {tmp_path}/no"):
        read_predicted_maps(tmp_path / "no", IMAGES)


def test_names_that_may_mean_two_samples_are_refused(tmp_path: Path) -> None:
    swapped = {"1": Path("/data/2.png"), "2": Path("/data/1.png")}
    folder = maps(tmp_path / "maps", "1.png", "2.png")
    with pytest.raises(DataError, match=r"two ways: '1' is the sample '1' as one of the sample ids, and '2' as one of"):
        read_predicted_maps(folder, swapped)
    with pytest.raises(DataError, match=r"names of image files 2 of 2 are unknown .*the split has none"):
        read_predicted_maps(folder, {"cat/1": Path("/cat/1.png"), "dog/1": Path("/dog/1.png")})
