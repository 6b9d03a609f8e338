"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009): the binary version, or the checksummed pickles that torchvision takes.

Their pixels are written once as PNG files below a cache folder, so that a sample has a path like any other.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.errors import DataError
from harness.files import one_at_a_time
from harness.sample import Note
from tasks.formats.image_folder import ImageFolder, LabelledImage, ordered_by_hash

Pixels = npt.NDArray[np.uint8]
CIFAR_SIDE_PX = 32
_PIXEL_BYTES = 3 * CIFAR_SIDE_PX**2
_HELD_OUT = 10


@dataclass(frozen=True)
class CifarFiles:
    """The files of one version of one data set; `counts` are images in each file of train and of test."""

    name: str
    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    names: str
    classes: int
    counts: Mapping[str, int]
    pickled: bool
    label_bytes: int = 1
    label_key: str = "labels"
    names_key: str = "label_names"
    checksums: Mapping[str, str] = field(default_factory=dict)
    """md5 by file name of pickles; empty means torchvision's."""


_TEN_THOUSAND = {"train": 10_000, "test": 10_000}
_FIFTY_THOUSAND = {"train": 50_000, "test": 10_000}
_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
VERSIONS = (
    CifarFiles(
        "cifar-10", "cifar-10-batches-bin", tuple(f"{name}.bin" for name in _BATCHES), ("test_batch.bin",),
        "batches.meta.txt", 10, _TEN_THOUSAND, False,
    ),
    CifarFiles(
        "cifar-10", "cifar-10-batches-py", _BATCHES, ("test_batch",), "batches.meta", 10, _TEN_THOUSAND, True
    ),
    CifarFiles(
        "cifar-100", "cifar-100-binary", ("train.bin",), ("test.bin",), "fine_label_names.txt", 100, _FIFTY_THOUSAND,
        False, label_bytes=2,
    ),
    CifarFiles(
        "cifar-100", "cifar-100-python", ("train",), ("test",), "meta", 100, _FIFTY_THOUSAND, True,
        label_key="fine_labels", names_key="fine_label_names",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class _Images:
    pixels: Pixels  # [N, 3, 32, 32] RGB
    labels: tuple[int, ...]


def find_cifar(root: Path, versions: Sequence[CifarFiles] = VERSIONS) -> tuple[Path, CifarFiles] | None:
    """Find CIFAR in a folder or in its usual subfolder; binary files are preferred. None when there is none.

    Raises DataError where both CIFAR-10 and CIFAR-100 are found.
    """
    found = [
        (folder, files)
        for files in sorted(versions, key=lambda files: files.pickled)
        for folder in (root, root / files.folder)
        if (folder / files.names).is_file() and any((folder / name).is_file() for name in (*files.train, *files.test))
    ]
    if len({files.name for _, files in found}) > 1:
        folders = " and ".join(str(folder) for folder, _ in found)
        raise DataError(f"{root} has both CIFAR-10 and CIFAR-100. Give one of their folders: {folders}.")
    return found[0] if found else None


def read_cifar(root: Path, cache: Path, versions: Sequence[CifarFiles] = VERSIONS) -> ImageFolder:
    """Read CIFAR and write its images below `cache` where they are not there yet.

    val is the last tenth of train by the sha256 of the image id; where none of train's files is there, there is only
    test. Raises DataError for a missing file, a wrong size, a label out of range, or a pickle whose md5 is not
    torchvision's.
    """
    place = find_cifar(root, versions)
    if place is None:
        raise DataError(f"No CIFAR in {root}. Wanted: the files of {', '.join(files.folder for files in versions)}.")
    folder, files = place
    names, parts, digest = _read_pickles(folder, files) if files.pickled else _read_binary(folder, files)
    for split, images in parts.items():
        _check_labels(folder, files, split, images.labels)
    images_folder = _write_images(cache / "cifar", f"{files.name}-{digest[:24]}", parts)
    samples = {
        split: tuple(
            LabelledImage(f"{split}/{i:05d}", images_folder / split / f"{i:05d}.png", label)
            for i, label in enumerate(images.labels)
        )
        for split, images in parts.items()
    }
    if "train" not in samples:
        return ImageFolder(names, samples, source=digest)
    order = ordered_by_hash(image.image_id for image in samples["train"])
    held_out = set(order[len(order) - len(order) // _HELD_OUT :])
    splits = {
        "train": tuple(image for image in samples["train"] if image.image_id not in held_out),
        "val": tuple(image for image in samples["train"] if image.image_id in held_out),
        "test": samples["test"],
    }
    note = Note("val is the last tenth of train by the sha256 of the image id", count=len(held_out), total=len(order))
    return ImageFolder(names, splits, (note,), digest)


def _stored(folder: Path, files: CifarFiles) -> list[tuple[str, tuple[str, ...]]]:
    """The splits and their files; without train where none of its files is there."""
    trained = any((folder / name).is_file() for name in files.train)
    return [("train", files.train), ("test", files.test)] if trained else [("test", files.test)]


def _read_binary(folder: Path, files: CifarFiles) -> tuple[tuple[str, ...], dict[str, _Images], str]:
    digest = hashlib.sha256()
    parts = {}
    for split, file_names in _stored(folder, files):
        blocks = []
        for name in file_names:
            content = _content(folder / name)
            record, count = files.label_bytes + _PIXEL_BYTES, files.counts[split]
            if len(content) != record * count:
                raise DataError(
                    f"{folder / name} has {len(content)} bytes; wanted {record * count} ({count} images of {record} "
                    f"bytes, the binary version of {files.name}). Fetch it again."
                )
            digest.update(content)
            blocks.append(np.frombuffer(content, np.uint8).reshape(count, record))
        rows = np.concatenate(blocks)
        labels = tuple(rows[:, files.label_bytes - 1].tolist())
        parts[split] = _Images(rows[:, files.label_bytes :].reshape(-1, 3, CIFAR_SIDE_PX, CIFAR_SIDE_PX), labels)
    lines = _content(folder / files.names).decode("utf-8", "replace").split("\n")
    names = tuple(line.strip() for line in lines if line.strip())
    return _checked_names(folder, files, names), parts, digest.hexdigest()


def _read_pickles(folder: Path, files: CifarFiles) -> tuple[tuple[str, ...], dict[str, _Images], str]:
    from tasks.formats.cifar_pickles import read_images, read_names, torchvision_checksums

    checksums = files.checksums or torchvision_checksums()
    digest, parts = hashlib.sha256(), {}
    for split, file_names in _stored(folder, files):
        pixels, labels = [], []
        for name in file_names:
            content = _content(folder / name)
            found = read_images(folder / name, content, checksums[name], files.label_key)
            if len(found[0]) != files.counts[split]:
                raise DataError(f"{folder / name} has {len(found[0])} images; wanted {files.counts[split]}.")
            digest.update(content)
            pixels.append(found[0])
            labels += found[1]
        parts[split] = _Images(np.concatenate(pixels).reshape(-1, 3, CIFAR_SIDE_PX, CIFAR_SIDE_PX), tuple(labels))
    path = folder / files.names
    names = read_names(path, _content(path), checksums[files.names], files.names_key)
    return _checked_names(folder, files, names), parts, digest.hexdigest()


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Fetch the data set again.") from None


def _checked_names(folder: Path, files: CifarFiles, names: tuple[str, ...]) -> tuple[str, ...]:
    if len(names) != files.classes or len(set(names)) != files.classes:
        raise DataError(
            f"{folder / files.names} has {len(names)} class names, {len(set(names))} different ones; "
            f"wanted {files.classes}. Fetch it again."
        )
    return names


def _check_labels(folder: Path, files: CifarFiles, split: str, labels: Sequence[int]) -> None:
    for position, label in enumerate(labels):
        if not 0 <= label < files.classes:
            raise DataError(
                f"{folder}: image {position} of {split} has the label {label}; wanted 0..{files.classes - 1}. "
                "Fetch the data set again."
            )


def _write_images(cache: Path, key: str, parts: Mapping[str, _Images]) -> Path:
    """Write PNG files in a folder that takes its name only when it is whole."""
    from PIL import Image

    target = cache / key
    with one_at_a_time(target):
        if target.is_dir():
            return target
        for left_over in cache.glob(f".{key}.*"):  # of a process that was killed: the lock is ours
            shutil.rmtree(left_over)
        temporary = Path(tempfile.mkdtemp(dir=cache, prefix=f".{key}."))
        temporary.chmod(0o755)
        for split, images in parts.items():
            (temporary / split).mkdir()
            for i, pixels in enumerate(images.pixels.transpose(0, 2, 3, 1)):
                Image.fromarray(np.ascontiguousarray(pixels)).save(temporary / split / f"{i:05d}.png", compress_level=1)
        temporary.rename(target)
    return target
