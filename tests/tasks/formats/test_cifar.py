"""CIFAR in both versions gives the same pixels; a pickle is opened only when it is the published one."""

from __future__ import annotations

import hashlib
import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.errors import DataError
from tasks.formats.cifar import VERSIONS, CifarFiles, find_cifar, read_cifar
from tasks.formats.cifar_pickles import read_images, torchvision_checksums

COUNTS = {"train": 20, "test": 10}
TEN_BINARY, TEN_PICKLED, HUNDRED_BINARY, HUNDRED_PICKLED = (replace(files, counts=COUNTS) for files in VERSIONS)


def batch(files: CifarFiles, name: str) -> tuple[np.ndarray, list[int]]:
    """Pixels [N, 3072] and labels of a file, the same in both versions."""
    seed = sum(map(ord, name.split(".")[0]))
    count = COUNTS["test"] if name.startswith("test") else COUNTS["train"]
    generator = np.random.default_rng(seed)
    return (
        generator.integers(0, 256, (count, 3072), dtype=np.uint8),
        generator.integers(0, files.classes, count).tolist(),
    )


def class_names(files: CifarFiles) -> list[str]:
    return [f"class {i}" for i in range(files.classes)]


def write_binary(root: Path, files: CifarFiles) -> Path:
    folder = root / files.folder
    folder.mkdir(parents=True)
    for name in (*files.train, *files.test):
        pixels, labels = batch(files, name)
        coarse = np.zeros((len(labels), files.label_bytes - 1), np.uint8)
        rows = np.concatenate([coarse, np.array(labels, np.uint8)[:, None], pixels], axis=1)
        (folder / name).write_bytes(rows.tobytes())
    (folder / files.names).write_text("\n".join(class_names(files)) + "\n\n")
    return folder


def write_pickles(root: Path, files: CifarFiles) -> CifarFiles:
    """Write the pickles and return their description with the right checksums."""
    folder = root / files.folder
    folder.mkdir(parents=True)
    content: dict[str, Any] = {files.names: {files.names_key: class_names(files)}}
    for name in (*files.train, *files.test):
        pixels, labels = batch(files, name)
        content[name] = {"data": pixels, files.label_key: labels, "batch_label": name}
    checksums = {}
    for name, value in content.items():
        data = pickle.dumps(value, protocol=2)
        (folder / name).write_bytes(data)
        checksums[name] = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return replace(files, checksums=checksums)


@pytest.mark.parametrize(
    ("binary", "pickled"), [(TEN_BINARY, TEN_PICKLED), (HUNDRED_BINARY, HUNDRED_PICKLED)], ids=["10", "100"]
)
def test_both_versions_have_the_same_pixels(binary: CifarFiles, pickled: CifarFiles, tmp_path: Path) -> None:
    write_binary(tmp_path / "binary", binary)
    pickled = write_pickles(tmp_path / "pickled", pickled)
    first = read_cifar(tmp_path / "binary", tmp_path / "cache", [binary])
    second = read_cifar(tmp_path / "pickled" / pickled.folder, tmp_path / "cache", [pickled])
    assert first.class_names == second.class_names == tuple(class_names(binary))
    total = 20 * len(binary.train)
    assert {split: len(images) for split, images in first.splits.items()} == {
        "train": total - total // 10,
        "val": total // 10,
        "test": 10,
    }
    for split, images in first.splits.items():
        assert [(image.image_id, image.label) for image in images] == [
            (image.image_id, image.label) for image in second.splits[split]
        ]
        for mine, other in zip(images, second.splits[split], strict=True):
            assert mine.path.read_bytes() == other.path.read_bytes()
    pixels, labels = batch(binary, binary.test[0])
    assert [image.label for image in first.splits["test"]] == labels
    with Image.open(first.splits["test"][3].path) as image:
        planes = pixels[3].reshape(3, 32, 32)
        np.testing.assert_array_equal(np.asarray(image), planes.transpose(1, 2, 0))
    assert set(first.splits["train"]).isdisjoint(first.splits["val"])


@pytest.mark.parametrize("files", [TEN_BINARY, HUNDRED_BINARY])
def test_the_test_batch_alone_is_there_to_be_evaluated_on(files: CifarFiles, tmp_path: Path) -> None:
    write_binary(tmp_path, files)
    whole = read_cifar(tmp_path, tmp_path / "cache", [files])
    for name in files.train[1:]:
        (tmp_path / files.folder / name).unlink()
    if files.train[1:]:
        with pytest.raises(DataError, match=rf"{files.train[1]} cannot be read"):
            read_cifar(tmp_path, tmp_path / "cache", [files])
    (tmp_path / files.folder / files.train[0]).unlink()
    alone = read_cifar(tmp_path, tmp_path / "cache", [files])
    assert (list(alone.splits), alone.notes, alone.class_names) == (["test"], (), whole.class_names)
    assert [(i.image_id, i.label, i.path.read_bytes()) for i in alone.splits["test"]] == [
        (i.image_id, i.label, i.path.read_bytes()) for i in whole.splits["test"]
    ]
    assert alone.source != whole.source


def test_images_are_written_once(tmp_path: Path) -> None:
    write_binary(tmp_path, TEN_BINARY)
    first = read_cifar(tmp_path, tmp_path / "cache", [TEN_BINARY])
    path = first.splits["test"][0].path
    changed = path.stat().st_mtime_ns
    left_over = path.parents[2] / f".{path.parents[1].name}.killed"
    left_over.mkdir()
    assert read_cifar(tmp_path, tmp_path / "cache", [TEN_BINARY]) == first
    assert path.stat().st_mtime_ns == changed
    other = tmp_path / TEN_BINARY.folder / "test_batch.bin"
    content = bytearray(other.read_bytes())
    content[5] ^= 1
    other.write_bytes(content)
    assert read_cifar(tmp_path, tmp_path / "cache", [TEN_BINARY]).splits["test"][0].path != path


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path) -> None:
    write_binary(tmp_path, TEN_BINARY)
    first = read_cifar(tmp_path, tmp_path / "cache", [TEN_BINARY])
    folder = first.splits["test"][0].path.parents[1]
    folder.rename(folder.with_name(f".{folder.name}.killed"))
    assert read_cifar(tmp_path, tmp_path / "cache", [TEN_BINARY]) == first
    assert not folder.with_name(f".{folder.name}.killed").exists()


def test_the_real_files_have_the_real_sizes() -> None:
    assert [dict(files.counts) for files in VERSIONS] == [
        {"train": 10_000, "test": 10_000},
        {"train": 10_000, "test": 10_000},
        {"train": 50_000, "test": 10_000},
        {"train": 50_000, "test": 10_000},
    ]
    checksums = torchvision_checksums()
    for files in VERSIONS:
        assert not files.checksums
        if files.pickled:
            assert {*files.train, *files.test, files.names} <= set(checksums)


def test_wrong_sizes_labels_and_names_are_named(tmp_path: Path) -> None:
    folder = write_binary(tmp_path, TEN_BINARY)
    path = folder / "data_batch_2.bin"
    whole = path.read_bytes()
    for content in (whole[:-1], whole[:-3073], whole + whole[:3073]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=rf"{path} has {len(content)} bytes; wanted 61460 \(20 images of 3073"):
            read_cifar(tmp_path, tmp_path / "cache", [TEN_BINARY])
    path.write_bytes(b"\x0a" + whole[1:])
    with pytest.raises(DataError, match=rf"{folder}: image 20 of train has the label 10; wanted 0..9"):
        read_cifar(tmp_path, tmp_path / "cache", [TEN_BINARY])
    path.unlink()
    with pytest.raises(DataError, match=rf"{path} cannot be read: No such file"):
        read_cifar(tmp_path, tmp_path / "cache", [TEN_BINARY])
    path.write_bytes(whole)
    (folder / "batches.meta.txt").write_text("cat\ncat\n")
    with pytest.raises(DataError, match=r"batches.meta.txt has 2 class names, 1 different ones; wanted 10"):
        read_cifar(tmp_path, tmp_path / "cache", [TEN_BINARY])


def test_binary_files_are_preferred_and_two_data_sets_are_refused(tmp_path: Path) -> None:
    assert find_cifar(tmp_path) is None
    with pytest.raises(DataError, match=rf"No CIFAR in {tmp_path}"):
        read_cifar(tmp_path, tmp_path)
    write_pickles(tmp_path, TEN_PICKLED)
    folder = write_binary(tmp_path, TEN_BINARY)
    assert find_cifar(tmp_path) == (folder, VERSIONS[0])
    write_binary(tmp_path, HUNDRED_BINARY)
    with pytest.raises(DataError, match="has both CIFAR-10 and CIFAR-100"):
        find_cifar(tmp_path)
    assert find_cifar(folder) == (folder, VERSIONS[0])


def test_a_pickle_that_is_not_the_published_one_is_not_opened(tmp_path: Path) -> None:
    write_pickles(tmp_path, TEN_PICKLED)
    path = tmp_path / TEN_PICKLED.folder / "data_batch_1"
    path.write_bytes(pickle.dumps(Harmful(tmp_path / "harm")))
    seen = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    wanted = torchvision_checksums()["data_batch_1"]
    with pytest.raises(DataError, match=rf"{path} is a pickle with the md5 {seen}; wanted {wanted}.*binary version"):
        read_cifar(tmp_path, tmp_path / "cache", [TEN_PICKLED])
    assert not (tmp_path / "harm").exists()


class Harmful:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda path: Harmful(path), r"asks for posix.mkdir, which no image needs"),
        (lambda path: {"data": np.zeros((1, 3072), np.uint8), "labels": [Harmful(path)]}, "asks for posix.mkdir"),
        (lambda path: [1], "holds a list; wanted a dictionary"),
        (lambda path: {"labels": [1]}, "has NoneType as its 'data'"),
        (lambda path: {"data": np.zeros((1, 9), np.uint8), "labels": [1]}, r"has \(1, 9\) as its 'data'"),
        (lambda path: {"data": np.zeros((2, 3072), np.uint8), "labels": [1]}, "has no list of 2 whole"),
        (lambda path: {"data": np.zeros((1, 3072), np.uint8), "labels": ["1"]}, "has no list of 1 whole"),
    ],
)
def test_even_with_the_right_checksum_nothing_but_arrays_is_made(content: Any, message: str, tmp_path: Path) -> None:
    data = pickle.dumps(content(tmp_path / "harm"), protocol=2)
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    with pytest.raises(DataError, match=rf"batch {message}"):
        read_images(tmp_path / "batch", data, md5, "labels")
    assert not (tmp_path / "harm").exists()


def test_a_broken_pickle_with_the_right_checksum_is_named(tmp_path: Path) -> None:
    md5 = hashlib.md5(b"nonsense", usedforsecurity=False).hexdigest()
    with pytest.raises(DataError, match="batch cannot be unpickled"):
        read_images(tmp_path / "batch", b"nonsense", md5, "labels")


def test_pickles_as_python_2_wrote_them_are_understood(tmp_path: Path) -> None:
    # the published files: protocol 2, byte strings, numpy.core.multiarray
    pixels = np.arange(3072, dtype=np.uint8).reshape(1, 3072)
    raw = pickle.dumps(pixels, protocol=2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    data = b"\x80\x02}(U\x04data" + raw[2:-1] + b"U\x06labels]K\x07au."
    assert b"cnumpy.core.multiarray\n_reconstruct" in data
    found = read_images(tmp_path / "batch", data, hashlib.md5(data, usedforsecurity=False).hexdigest(), "labels")
    np.testing.assert_array_equal(found[0], pixels)
    assert found[1] == [7]
