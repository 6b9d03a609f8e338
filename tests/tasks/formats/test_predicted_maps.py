"""Predicted label images are found by sample id or image name, or refused with the first three that do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import DataError
from tasks.formats.predicted_maps import read_predicted_maps

IMAGES = {"139": Path("/data/000000000139.jpg"), "7": Path("/data/street.jpg"), "8": Path("/data/9.png")}


def maps(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")
    return folder


def test_label_images_are_found_by_id_or_stem(tmp_path: Path) -> None:
    folder = maps(tmp_path / "maps", "street.png", "139.png", "9.tif", "notes.txt", ".hidden.png")
    assert read_predicted_maps(folder, IMAGES) == {
        "139": folder / "139.png",
        "7": folder / "street.png",
        "8": folder / "9.tif",
    }


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("139.png",), r"lacks 2 of the split's samples \(first: 7, 8\)"),
        (("139.png", "7.png", "8.png", "x.png"), r"predicts for 1 samples that are not in the split \(first: x.png\)"),
        (("139.png", "000000000139.png", "7.png", "8.png"), r"predicts again for 1 samples \(first: 139\)"),
    ],
)
def test_label_images_that_do_not_fit_are_named(names: tuple[str, ...], message: str, tmp_path: Path) -> None:
    folder = maps(tmp_path / "maps", *names)
    with pytest.raises(DataError, match=rf"{folder} {message}"):
        read_predicted_maps(folder, IMAGES)
    with pytest.raises(DataError, match=rf"No folder {tmp_path}/no"):
        read_predicted_maps(tmp_path / "no", IMAGES)


def test_names_that_may_mean_two_samples_mean_the_id_or_nothing(tmp_path: Path) -> None:
    swapped = {"1": Path("/data/2.png"), "2": Path("/data/1.png")}
    folder = maps(tmp_path / "maps", "1.png", "2.png")
    assert read_predicted_maps(folder, swapped) == {"1": folder / "1.png", "2": folder / "2.png"}
    with pytest.raises(DataError, match=r"predicts for 2 samples that are not in the split \(first: 1.png, 2.png\)"):
        read_predicted_maps(folder, {"cat/1": Path("/cat/1.png"), "dog/1": Path("/dog/1.png")})
