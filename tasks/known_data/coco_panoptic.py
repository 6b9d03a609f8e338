"""COCO's panoptic archive holds archives of maps: they are unpacked beside the files that describe them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.acquire.unpack import unpack_archive


def unpack_maps(folder: Path, progress: Callable[[str, int, int], None]) -> None:
    """Unpack `annotations/panoptic_*.zip` in their folder and remove them."""
    for archive in sorted((folder / "annotations").glob("panoptic_*.zip")):
        unpack_archive(archive, archive.parent, progress)
        archive.unlink()
