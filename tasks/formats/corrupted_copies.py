"""Published copies of a test set under corruptions, read as they are: CIFAR-10-C, CIFAR-100-C and ImageNet-C.

Hendrycks & Dietterich 2019 (arXiv 1903.12261). CIFAR: `<corruption>.npy`, uint8 `[N, 32, 32, 3]`, a fifth of N at each
severity from 1 to 5, beside `labels.npy` `[N]` or `[N / 5]`. ImageNet: `<corruption>/<severity>/<class>/*.JPEG`, the
corruptions in the folder itself or one below (`blur/`, `noise/`, …).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.condition import Part
from harness.errors import DataError
from harness.files import one_at_a_time
from harness.storage.content import Contents
from tasks.formats.cifar import CIFAR_SIDE_PX
from tasks.formats.class_names import ClassFile
from tasks.formats.image_files import is_hidden
from tasks.formats.image_folder import ImageFolder, LabelledImage, read_image_folder

COPY_SEVERITIES = 5
_LABELS = "labels.npy"
_CIFAR_10 = "airplane automobile bird cat deer dog frog horse ship truck"
_CIFAR_100 = (
    "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can "
    "castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin "
    "elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard "
    "lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear "
    "pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark "
    "shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone "
    "television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm"
)
_CLASSES = {10: tuple(_CIFAR_10.split()), 100: tuple(_CIFAR_100.split())}
_OTHER_NAMES = {"jpeg-compression": "jpeg"}
"""Corruptions that are called otherwise here."""


@dataclass(frozen=True)
class CifarCopies:
    """The arrays of a folder by corruption, and the class of each row of an array."""

    class_names: tuple[str, ...]
    arrays: Mapping[str, Path]
    labels: npt.NDArray[np.int64]

    @property
    def parts(self) -> dict[str, Part]:
        """The corruption and severity of each split."""
        return {split_of(part): part for part in parts_of(self.arrays)}


def is_cifar_c(root: Path) -> bool:
    """Tell whether a folder holds arrays of corrupted CIFAR images with their labels."""
    return (root / _LABELS).is_file() and any(path.name != _LABELS for path in root.glob("*.npy"))


def read_cifar_c(root: Path) -> CifarCopies:
    """Open the arrays without reading them; raises DataError naming the file that is wrong.

    Class names are CIFAR-100's where a label is above 9 or the folder's name has a 100, else CIFAR-10's.
    """
    paths = {_name_of(path.stem): path for path in sorted(root.glob("*.npy")) if path.name != _LABELS}
    labels = _load(root / _LABELS)
    rows = {path.name: len(_pixels(path)) for path in paths.values()}
    wrong = {name: count for name, count in rows.items() if count % COPY_SEVERITIES or count != max(rows.values())}
    if wrong:
        name, count = next(iter(wrong.items()))
        raise DataError(
            f"{root / name} has {count} images; wanted as many as the other arrays have ({max(rows.values())}), a "
            f"fifth of them at each of {COPY_SEVERITIES} severities. Fetch it again."
        )
    total = next(iter(rows.values()))
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) not in (total, total // COPY_SEVERITIES):
        raise DataError(
            f"{root / _LABELS} has {labels.dtype} {list(labels.shape)}; wanted whole numbers [{total}] or "
            f"[{total // COPY_SEVERITIES}], one for each image. Fetch it again."
        )
    labels = np.tile(labels, total // len(labels)).astype(np.int64)
    names = _CLASSES[100 if labels.max() > 9 or "100" in root.resolve().name else 10]
    if labels.min() < 0 or labels.max() >= len(names):
        raise DataError(
            f"{root / _LABELS} has labels from {labels.min()} to {labels.max()}; wanted 0..{len(names) - 1}."
        )
    return CifarCopies(names, paths, labels)


def write_cifar_c(copies: CifarCopies, split: str, cache: Path) -> list[LabelledImage]:
    """Take one corruption at one severity; its images are written below `cache` as PNG files where they are not there.

    They lie in a folder named by what the array holds, which takes its name only when it is whole.
    """
    part = copies.parts[split]
    path = copies.arrays[part.name]
    own = len(copies.labels) // COPY_SEVERITIES
    first = own * (part.severity - 1)
    target = cache / "cifar-c" / f"{Contents(cache).of([path])[0][:24]}-{part.severity}"
    _write_images(target, _pixels(path)[first : first + own])
    labels = copies.labels[first : first + own].tolist()
    return [
        LabelledImage(f"{split}/{number:05d}", target / f"{number:05d}.png", label)
        for number, label in enumerate(labels)
    ]


def find_imagenet_c(root: Path) -> dict[str, Path]:
    """Find the folder of each corruption by its name: all of its folders are severities, with class folders in them."""
    groups = [root, *_subfolders(root)]
    return {_name_of(path.name): path for group in groups for path in _subfolders(group) if _has_severities(path)}


def read_imagenet_c(folders: Mapping[str, Path], split: str, classes: ClassFile | None) -> ImageFolder:
    """Read one corruption at one severity as a folder of images by class."""
    part = {split_of(part): part for part in imagenet_c_parts(folders)}[split]
    return read_image_folder(folders[part.name] / str(part.severity), classes, whole=True)


def imagenet_c_parts(folders: Mapping[str, Path]) -> list[Part]:
    """The corruptions at the severities that are there."""
    return [
        Part(name, severity)
        for name, folder in folders.items()
        for severity in sorted(int(path.name) for path in _subfolders(folder))
    ]


def parts_of(names: Mapping[str, Any] | Sequence[str]) -> list[Part]:
    """Each corruption at each severity."""
    return [Part(name, severity) for name in names for severity in range(1, COPY_SEVERITIES + 1)]


def split_of(part: Part) -> str:
    """Name the split of a corruption at a severity."""
    return f"{part.name}-{part.severity}"


def _name_of(stem: str) -> str:
    name = stem.lower().replace("_", "-")
    return _OTHER_NAMES.get(name, name)


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not is_hidden(path.name) and path.is_dir())


def _has_severities(folder: Path) -> bool:
    found = _subfolders(folder)
    numbers = {str(severity) for severity in range(1, COPY_SEVERITIES + 1)}
    return bool(found) and all(path.name in numbers and _subfolders(path) for path in found)


def _load(path: Path) -> npt.NDArray[Any]:
    """Map an array into memory; pickled objects, which could run code, are refused."""
    try:
        loaded: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} cannot be read as an array without objects: {error}. Fetch it again.") from None
    return loaded


def _pixels(path: Path) -> npt.NDArray[np.uint8]:
    pixels = _load(path)
    if (
        pixels.dtype != np.uint8
        or pixels.ndim != 4
        or pixels.shape[1:] != (CIFAR_SIDE_PX, CIFAR_SIDE_PX, 3)
        or not len(pixels)
    ):
        raise DataError(
            f"{path} has {pixels.dtype} {list(pixels.shape)}; "
            f"wanted uint8 [N, {CIFAR_SIDE_PX}, {CIFAR_SIDE_PX}, 3]. Get it again."
        )
    return pixels


def _write_images(target: Path, pixels: npt.NDArray[np.uint8]) -> None:
    from PIL import Image

    target.parent.mkdir(parents=True, exist_ok=True)
    with one_at_a_time(target):
        if target.is_dir():
            return
        for left_over in target.parent.glob(f".{target.name}.*"):  # of a process that was killed: the lock is ours
            shutil.rmtree(left_over)
        temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
        temporary.chmod(0o755)
        for number, image in enumerate(pixels):
            Image.fromarray(np.ascontiguousarray(image)).save(temporary / f"{number:05d}.png", compress_level=1)
        temporary.rename(target)
