from __future__ import annotations

from .cells import Folders, Wish
from .checks import answered, check_task


def test_captioners(folders: Folders) -> None:
    found = check_task(Wish("coco-caption", "all"), "cross-attention", folders)
    assert answered(found, ("gaussian-noise-3", "pgd-linf-1", "fog-3", "square-linf-1")) == [13, 11, 1, 1]


def test_detectors(folders: Folders) -> None:
    found = check_task(Wish("coco-detection", "all"), "film", folders)
    assert answered(found, ("gaussian-noise-3", "pgd-linf-1", "typo-keyboard-3", "joint-attack-1")) == [9, 9, 6, 1]
