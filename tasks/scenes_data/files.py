"""Whether the files of the built-in Scenes in a cache are still those that were made: their digest names the recipe."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from harness.files import replace_atomically
from harness.storage.content import Contents
from tasks.scenes import layout


def forget_changed(root: Path, splits: Iterable[str], contents: Contents) -> list[str]:
    """Mark the splits of which a file was changed or lost as not made, and name them.

    The first look at a split that is there remembers its files; a cache that cannot be written is believed.
    """
    return [split for split in splits if layout.is_complete(root, split) and _was_changed(root, split, contents)]


def _was_changed(root: Path, split: str, contents: Contents) -> bool:
    note = root / "annotations" / f"sha256_{layout.folder_name(split)}.txt"
    seen = _digest(root, split, contents)
    if not note.is_file():
        with suppress(OSError), replace_atomically(note) as temporary:
            temporary.write_text(f"{seen}\n", encoding="utf-8")
        return False
    if note.read_bytes().strip() == seen.encode():
        return False
    note.unlink()
    layout.annotation_file(root, "scenes", split).unlink()
    return True


def _digest(root: Path, split: str, contents: Contents) -> str:
    folders = [layout.image_dir(root, split), *(layout.map_dir(root, kind, split) for kind in layout.MAP_KINDS)]
    paths = [layout.annotation_file(root, kind, split) for kind in layout.FILE_KINDS]
    paths += [path for folder in folders for path in sorted(folder.glob("*.png"))]
    digest = hashlib.sha256()
    for path, content in zip(paths, contents.of(paths), strict=True):
        digest.update(f"{path.relative_to(root).as_posix()} {content}\n".encode())
    return digest.hexdigest()
