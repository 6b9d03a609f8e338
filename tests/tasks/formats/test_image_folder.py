"""Folders of images by class: every layout, a split that depends on nothing but names, and each flaw named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from torchvision.datasets import ImageFolder as TorchvisionFolder

from harness.errors import DataError
from tasks.formats.class_files import ClassFile, read_class_file
from tasks.formats.image_folder import digest_of_image_folder, is_image_folder, read_image_folder

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
    assert "70/10/20" in found.notes[0]
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
    assert "train has no image of 1 of 3 classes (first: zebra)" in found.notes
    named = read_image_folder(split_root, classes(tmp_path, "dog\ta good dog\ncat\ta cat"))
    assert named.class_names == ("a good dog", "a cat")
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
        (remove("test/cat"), r"test/cat has no image \(looked for .*\.png"),
        (add("train/cow"), r"train/cow has no image"),
        (add("validation/cat"), r"has both val/ and validation/ for val"),
        (lambda root: [remove(n)(root) or (root / n).rmdir() for n in ("val", "test")], r"has only train/: nothing is"),
        (lambda root: remove("train")(root) or (root / "train").rmdir(), r"has test and val but no train/ with class"),
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


def test_the_digest_follows_content_and_not_the_place(split_root: Path, tmp_path: Path) -> None:
    first = digest_of_image_folder(read_image_folder(split_root))
    moved = split_root.rename(tmp_path / "moved")
    assert digest_of_image_folder(read_image_folder(moved)) == first
    (moved / "train/cat/0.png").rename(moved / "train/dog/9.png")
    assert digest_of_image_folder(read_image_folder(moved)) != first
