"""Images that two splits share, by what their files hold and by what the data calls them.

Whoever has trained on an image has seen the answer. COCO's years share images (val 2014 is mostly train 2017), and
folders are linked or copied twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from harness.sample import Note
from harness.storage.content import ABSENT, UNREADABLE, Contents

_OF_A_YEAR = re.compile(r"COCO_[a-z]+\d{4}_")


@dataclass(frozen=True)
class KnownImage:
    """An image of a split: what samples call it, its file, and what tells the same image elsewhere ("": nothing)."""

    called: str
    path: Path
    key: str = ""


def coco_image(image_id: int | str, path: Path) -> KnownImage:
    """An image as COCO's files list it: the same id and file name, with or without a year, mean the same image."""
    return KnownImage(str(image_id), path, f"{image_id} {_OF_A_YEAR.sub('', path.name)}")


def shared_images(splits: Mapping[str, Sequence[KnownImage]], contents: Contents) -> tuple[Note, ...]:
    """Say for each pair of splits how many images of the second one stand in the first one too."""
    if len(splits) < 2:
        return ()
    names = list(splits)
    digests = {split: contents.of([image.path for image in images]) for split, images in splits.items()}
    return tuple(
        note
        for first, second in combinations(names, 2)
        if (note := _note(first, second, splits[first], splits[second], (digests[first], digests[second])))
    )


def _note(
    first: str,
    second: str,
    known: Sequence[KnownImage],
    images: Sequence[KnownImage],
    digests: tuple[Sequence[str], Sequence[str]],
) -> Note | None:
    keys = {image.key for image in known} - {""}
    held = set(digests[0]) - {ABSENT, UNREADABLE}
    by_content = [image.called for image, digest in zip(images, digests[1], strict=True) if digest in held]
    by_name = [image.called for image in images if image.key in keys]
    either = {*by_content, *by_name}
    shared = [image.called for image in images if image.called in either]
    if not shared:
        return None
    how = f"{len(by_content)} by the content of their files" + (f", {len(by_name)} by name" if by_name else "")
    text = (
        f"{len(shared)} of {len(images)} images are in {first} too (first: {', '.join(shared[:3])}; {how}): what was "
        "trained on them has seen their answers"
    )
    return Note(text, second, len(shared), len(images))
