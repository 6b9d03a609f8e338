"""Folders of images by class: every layout, a split that depends on nothing but names, and each flaw named."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from torchvision.datasets import ImageFolder as TorchvisionFolder

from harness.errors import DataError
from harness.sample import Note
from tasks.formats.class_names import ClassFile, read_class_file
from tasks.formats.image_files import image_suffixes
from tasks.formats.image_folder import digest_of_image_folder, is_flat, is_image_folder, read_image_folder

Paint = Callable[..., Path]


@pytest.fixture
def split_root(tmp_path: Path, paint_in: Paint) -> Path:
    for split, count in (("train", 3), ("val", 2), ("test", 1)):
        for label, name in enumerate(("dog", "cat")):
            for i in range(count):
                paint_in(tmp_path / "data" / split / name / f"{i}.png", value=10 * label + i)
    return tmp_path / "data"


def test_split_folders_are_read_as_torchvision_reads_them(split_root: Path) -> None:
    found = read_image_folder(split_root)
    assert found.class_names == ("cat", "dog")
    assert list(found.splits) == ["train", "val", "test"]
    assert found.notes == ()
    for split, images in found.splits.items():
        reference = TorchvisionFolder(str(split_root / split))
        assert list(found.class_names) == reference.classes
        assert [(str(image.path), image.label) for image in images] == reference.samples
    assert found.splits["test"][1].image_id == "test/dog/0.png"
    assert is_image_folder(split_root)


@pytest.mark.parametrize("name", ["valid", "validation", "Val"])
def test_val_has_other_names(name: str, split_root: Path) -> None:
    (split_root / "val").rename(split_root / name)
    found = read_image_folder(split_root)
    assert list(found.splits) == ["train", "val", "test"]
    assert found.splits["val"][0].image_id == f"{name}/cat/0.png"


def test_a_missing_test_split_is_left_out(split_root: Path) -> None:
    for path in sorted((split_root / "test").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (split_root / "test").rmdir()
    assert list(read_image_folder(split_root).splits) == ["train", "val"]


def test_images_of_all_kinds_and_depths_and_nothing_else(split_root: Path, paint_in: Paint) -> None:
    for name in ("a.JPG", "deep/er/b.tiff", "c.WebP", "d.gif"):
        paint_in(split_root / "train/cat" / name)
    for name in ("notes.txt", ".hidden.png", "._d.gif"):
        (split_root / "train/cat" / name).write_text("")
    (split_root / "train/.cache").mkdir()
    (split_root / "README.md").write_text("")
    ids = [image.image_id for image in read_image_folder(split_root).splits["train"]]
    assert ids[:7] == [
        f"train/cat/{name}" for name in ("0.png", "1.png", "2.png", "a.JPG", "c.WebP", "d.gif", "deep/er/b.tiff")
    ]
    assert ids == sorted(ids)


@pytest.fixture
def plain_root(tmp_path: Path, paint_in: Paint) -> Path:
    for name, count in (("cat", 20), ("dog", 10), ("train", 7)):
        for i in range(count):
            paint_in(tmp_path / "plain" / name / f"{i}.png")
    return tmp_path / "plain"


def test_without_split_folders_each_class_is_split(plain_root: Path, paint_in: Paint) -> None:
    found = read_image_folder(plain_root)
    assert found.class_names == ("cat", "dog", "train"), "a class of trains is no split"
    assert str(found.notes[0]).startswith("no split folders: the 37 images are split 70/10/20 within each class")
    assert str(found.notes[0]).endswith(
        "(26 train, 4 val, 7 test); --split all evaluates on all of them, without training"
    )
    assert (found.notes[0].count, found.notes[0].total) == (7, 37)
    counts = {s: [sum(image.label == k for image in images) for k in range(3)] for s, images in found.splits.items()}
    assert counts == {"train": [14, 7, 5], "val": [2, 1, 1], "test": [4, 2, 1]}
    ids = {split: {image.image_id for image in images} for split, images in found.splits.items()}
    assert len(set.union(*ids.values())) == 37
    assert read_image_folder(plain_root) == found
    paint_in(plain_root / "dog/new.png")
    again = {image.image_id for image in read_image_folder(plain_root).splits["test"]}
    assert {name for name in ids["test"] if name.startswith("cat")} == {n for n in again if n.startswith("cat")}


def test_the_split_is_the_same_everywhere(plain_root: Path) -> None:
    # printf cat/<i>.png | sha256sum, sorted: the first four are 03d1… 10, 04de… 8, 1a07… 0 and 2572… 7
    test = [image.image_id for image in read_image_folder(plain_root).splits["test"] if image.label == 0]
    assert test == ["cat/0.png", "cat/10.png", "cat/7.png", "cat/8.png"]


def classes(tmp_path: Path, text: str) -> ClassFile:
    path = tmp_path / "classes.txt"
    path.write_text(text)
    return read_class_file(path)


def test_a_class_file_gives_names_and_order(split_root: Path, tmp_path: Path) -> None:
    found = read_image_folder(split_root, classes(tmp_path, "zebra\ndog\ncat"))
    assert found.class_names == ("zebra", "dog", "cat")
    assert {image.label for image in found.splits["train"] if "/dog/" in image.image_id} == {1}
    assert Note("no image of 1 of 3 classes (first: zebra)", "train", 1, 3) in found.notes
    named = read_image_folder(split_root, classes(tmp_path, "dog\ta good dog\ncat\ta cat"))
    assert (named.class_names, named.folders) == (("a good dog", "a cat"), ("dog", "cat"))
    assert {image.label for image in named.splits["val"] if "/dog/" in image.image_id} == {0}


def test_with_a_class_file_test_may_hold_classes_that_train_lacks(
    split_root: Path, tmp_path: Path, paint_in: Paint
) -> None:
    paint_in(split_root / "test/cow/0.png")
    with pytest.raises(DataError, match=r"folder 'cow' of test is unknown: train has no such folder\..*--classes"):
        read_image_folder(split_root)
    found = read_image_folder(split_root, classes(tmp_path, "cat\ncow\ndog"))
    assert [image.label for image in found.splits["test"]] == [0, 1, 2]
    with pytest.raises(DataError, match=r"class folder 'cow' of test is unknown: .*classes.txt does not list it"):
        read_image_folder(split_root, classes(tmp_path, "cat\ncows\ndog"))


def remove(*names: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        for name in names:
            for path in sorted((root / name).rglob("*"), reverse=True):
                path.unlink() if path.is_file() else path.rmdir()

    return change


def add(name: str) -> Callable[[Path], None]:
    return lambda root: (root / name).mkdir(parents=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove("test"), r"test has no folders: the test split is empty"),
        (remove("test/cat"), r"test/cat has no image that can be opened: it is empty"),
        (add("train/cow"), r"train/cow has no image"),
        (add("train/cow/.cache"), r"train/cow has no image that can be opened: only 1 hidden\. Put images there"),
        (add("validation/cat"), r"has both val/ and validation/ for val"),
        (
            lambda root: [remove(f"{n}/dog")(root) or (root / n / "dog").rmdir() for n in ("train", "val", "test")],
            r"is one-class data \(only 'cat'\)",
        ),
    ],
)
def test_what_is_wrong_is_named(change: Callable[[Path], object], message: str, split_root: Path) -> None:
    change(split_root)
    with pytest.raises(DataError, match=rf"{split_root}.*{message}"):
        read_image_folder(split_root)


def test_a_folder_that_is_not_there_or_empty_or_too_small(tmp_path: Path, paint_in: Paint) -> None:
    with pytest.raises(DataError, match=rf"No folder {tmp_path}/no"):
        read_image_folder(tmp_path / "no")
    with pytest.raises(DataError, match="has no folders: there are no class folders"):
        read_image_folder(tmp_path)
    paint_in(tmp_path / "few/cat/0.png")
    with pytest.raises(DataError, match=r"one-class data \(only 'cat'\)"):
        read_image_folder(tmp_path / "few")
    paint_in(tmp_path / "few/dog/0.png")
    with pytest.raises(DataError, match="the val split would be empty"):
        read_image_folder(tmp_path / "few")
    assert not is_image_folder(tmp_path / "no")
    assert not is_image_folder(tmp_path / "few/cat")


@pytest.mark.parametrize("suffix", ["pgm", "jfif", "webp", "tif", "jp2", "avif", "ppm", "jpe", "qoi", "pnm", "TGA"])
def test_every_suffix_that_pillow_opens_is_an_image(suffix: str, split_root: Path, paint_in: Paint) -> None:
    path = split_root / f"val/cat/x.{suffix}"
    Image.new("L" if suffix == "pgm" else "RGB", (9, 7)).save(path)
    found = read_image_folder(split_root)
    assert path in [image.path for image in found.splits["val"]]
    with Image.open(path) as image:
        assert image.size == (9, 7)


def test_suffixes_are_those_that_decode_here() -> None:
    found = image_suffixes()
    assert not found & {".txt", ".pdf", ".mpg", ".h5", ".grib", ".wmf", ".heic", ".ps", ".svg", ""}
    for suffix, name in {".png": "PNG", ".webp": "WEBP", ".gif": "GIF", ".bmp": "BMP", ".mpo": "MPO"}.items():
        stream = io.BytesIO()
        Image.new("RGB", (4, 4)).save(stream, name)
        assert suffix in found and Image.open(stream).size == (4, 4)


def test_what_is_left_out_is_counted(split_root: Path) -> None:
    for name in ("a.heic", "b.heic", "notes.txt", "README", ".DS_Store", "._0.png"):
        (split_root / "val/cat" / name).write_text("")
    (split_root / "val/dog/gone.png").symlink_to("nowhere.png")
    (split_root / "val/dog/again").symlink_to(split_root / "val")
    (note,) = read_image_folder(split_root).notes
    assert (note.split, note.count, note.total) == ("val", 8, 12)
    assert note.text == (
        "left out beside 4 images: 2 .heic + 1 without suffix + 1 .txt that are no image format, "
        "2 hidden, 1 linked folders that lead back above themselves, 1 links that lead nowhere"
    )


def test_linked_folders_and_files_are_followed_as_torchvision_does(
    split_root: Path, tmp_path: Path, paint_in: Paint
) -> None:
    for number in range(6):
        paint_in(tmp_path / f"elsewhere/deep/{number}.png")
    (split_root / "train/cat/more").symlink_to(tmp_path / "elsewhere")
    (split_root / "train/dog/one.png").symlink_to(tmp_path / "elsewhere/deep/0.png")
    (tmp_path / "cows").mkdir()
    paint_in(tmp_path / "cows/1.png")
    (split_root / "train/cow").symlink_to(tmp_path / "cows")
    found = read_image_folder(split_root).splits["train"]
    reference = TorchvisionFolder(str(split_root / "train"))
    assert sorted((str(image.path), image.label) for image in found) == sorted(reference.samples)
    assert len(found) == 3 + 6 + 3 + 1 + 1


@pytest.mark.parametrize("kept", [["val"], ["test"], ["val", "test"]])
def test_without_train_there_are_the_other_splits(kept: list[str], split_root: Path) -> None:
    for split in {"train", "val", "test"} - set(kept):
        remove(split)(split_root)
        (split_root / split).rmdir()
    found = read_image_folder(split_root)
    assert (list(found.splits), found.class_names, found.notes) == (kept, ("cat", "dog"), ())
    for name in kept:
        (split_root / name / "dog").rename(split_root / name / ("cow" if name == "val" else "dog"))
    assert read_image_folder(split_root).class_names == tuple(
        name for name in ("cat", "cow", "dog") if name == "cat" or ("val" if name == "cow" else "test") in kept
    )


def test_a_folder_of_classes_can_be_taken_whole(plain_root: Path) -> None:
    found = read_image_folder(plain_root, whole=True)
    reference = TorchvisionFolder(str(plain_root))
    assert found.notes == ()
    assert [(str(image.path), image.label) for image in found.splits["all"]] == reference.samples
    assert is_flat(plain_root)


def test_wordnet_folders_of_one_split_have_names(tmp_path: Path, paint_in: Paint) -> None:
    for name in ("n01440764", "n01443537"):
        paint_in(tmp_path / f"imagenet/val/{name}/ILSVRC2012_val_1.JPEG")
    found = read_image_folder(
        tmp_path / "imagenet", classes(tmp_path, "n01443537 goldfish\nn01440764 tench\nn01484850 white shark")
    )
    assert found.class_names == ("goldfish", "tench", "white shark")
    assert found.folders == ("n01443537", "n01440764", "n01484850")
    assert [image.label for image in found.splits["val"]] == [1, 0]
    assert found.notes == (Note("no image of 1 of 3 classes (first: white shark)", "val", 1, 3),)


@pytest.mark.parametrize(
    ("folders", "content", "names"),
    [
        (("001", "002"), {"001": "cat", "002": "dog"}, ("cat", "dog")),
        (("1", "2"), "1 cat\n2 dog", ("cat", "dog")),
        (("cat", "dog"), {"7": "dog", "3": "cat"}, ("cat", "dog")),
        (("1", "b"), {"1": "cat", "b": "dog"}, ("cat", "dog")),
    ],
)
def test_keys_that_are_numbers_are_folders_or_indices_for_all(
    folders: tuple[str, ...], content: Any, names: tuple[str, ...], tmp_path: Path, paint_in: Paint
) -> None:
    for name in folders:
        paint_in(tmp_path / f"d/val/{name}/0.png")
    path = tmp_path / ("c.txt" if isinstance(content, str) else "c.json")
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    found = read_image_folder(tmp_path / "d", read_class_file(path))
    assert found.class_names == names
    assert [image.label for image in found.splits["val"]] == [0, 1]


def test_numbers_that_are_names_and_keys_are_refused(tmp_path: Path, paint_in: Paint) -> None:
    for name in ("0", "1"):
        paint_in(tmp_path / f"d/val/{name}/0.png")
    (tmp_path / "c.json").write_text(json.dumps({"0": "1", "1": "0"}))
    with pytest.raises(
        DataError, match=r"read in two ways. The folder '0' is '0' by its folder or name, and '1' by its"
    ):
        read_image_folder(tmp_path / "d", read_class_file(tmp_path / "c.json"))


def test_accents_in_either_coding_are_one_class(tmp_path: Path, paint_in: Paint) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    for path in (f"d/train/{decomposed}/0.png", f"d/val/{composed}/0.png", "d/train/dog/0.png", "d/val/dog/0.png"):
        paint_in(tmp_path / path)
    found = read_image_folder(tmp_path / "d")
    assert found.class_names == (composed, "dog")
    listed = read_image_folder(tmp_path / "d", classes(tmp_path, f"dog\n{decomposed}"))
    assert listed.class_names == ("dog", composed)
    assert [image.label for image in listed.splits["val"]] == [1, 0]
    paint_in(tmp_path / f"d/train/{composed}/1.png")
    with pytest.raises(DataError, match=r"has two folders '.*' which differ in how accents are coded. Keep one"):
        read_image_folder(tmp_path / "d")


def test_a_name_that_is_not_utf8_is_an_image_like_any_other(split_root: Path) -> None:
    source = split_root / "val/cat/0.png"
    odd = os.fsencode(source.parent) + b"/caf\xe9.png"
    Path(os.fsdecode(odd)).write_bytes(source.read_bytes())
    found = read_image_folder(split_root)
    (image,) = [image for image in found.splits["val"] if "caf" in image.image_id]
    assert image.image_id == "val/cat/caf\\xe9.png"
    assert os.fsencode(image.path) == odd
    assert "1 file names are not UTF-8; in ids such bytes are written as \\xNN" in str(found.notes[-1])
    assert len(digest_of_image_folder(found)) == 64


def test_the_digest_follows_content_and_not_the_place(split_root: Path, tmp_path: Path) -> None:
    first = digest_of_image_folder(read_image_folder(split_root))
    moved = split_root.rename(tmp_path / "moved")
    assert digest_of_image_folder(read_image_folder(moved)) == first
    (moved / "train/cat/0.png").rename(moved / "train/dog/9.png")
    assert digest_of_image_folder(read_image_folder(moved)) != first
