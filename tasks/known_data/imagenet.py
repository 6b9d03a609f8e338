"""ImageNet's archives as class folders: `train/WNID/IMAGE` and `val/WNID/IMAGE`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from harness.acquire.unpack import unpack_archive
from harness.errors import DataError

Progress = Callable[[str, int, int], None]
_DEVKIT = "ILSVRC2012_devkit_t12"
_CLASSES = 1000


def unpack_classes(folder: Path, progress: Progress) -> None:
    """Unpack the archive of each class into its folder."""
    archives = sorted((folder / "train").glob("*.tar"))
    for number, archive in enumerate(archives, 1):
        unpack_archive(archive, archive.with_suffix(""), lambda *told: None)
        archive.unlink()
        progress("unpacking classes", number, len(archives))


def sort_validation(folder: Path, progress: Progress) -> None:
    """Move each validation image into the folder of its class, by the development kit's labels; the kit goes."""
    kit = folder / _DEVKIT / "data"
    names = _wordnet_ids(kit / "meta.mat")
    labels = (kit / "ILSVRC2012_validation_ground_truth.txt").read_text(encoding="ascii").split()
    images = sorted((folder / "val").glob("*.JPEG"))
    if len(images) != len(labels):
        raise DataError(f"{folder / 'val'} has {len(images):,} images, and the development kit {len(labels):,} labels.")
    for number, (image, label) in enumerate(zip(images, labels, strict=True), 1):
        place = folder / "val" / names[int(label)]
        place.mkdir(exist_ok=True)
        image.rename(place / image.name)
        progress("sorting images by class", number, len(images))
    shutil.rmtree(folder / _DEVKIT)


def _wordnet_ids(path: Path) -> dict[int, str]:
    """Read which WordNet id each number means; the classes are the first thousand, leaves of the hierarchy."""
    from scipy.io import loadmat

    synsets = loadmat(path, squeeze_me=True)["synsets"]
    return {int(row["ILSVRC2012_ID"]): str(row["WNID"]) for row in synsets if int(row["ILSVRC2012_ID"]) <= _CLASSES}
