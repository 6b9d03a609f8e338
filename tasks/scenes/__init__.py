"""Scenes: small rendered worlds with known causes, generated in true COCO layout. Importing this costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

SCENES_VERSION: Final = "1.0.0"
"""Raised by hand whenever a pixel, an annotation or a text of any split changes on purpose."""
version: Final = SCENES_VERSION
_NO_RECIPE: Final = ("__init__.py", "attributes.py", "oracle.py", "parser.py", "propositions.py")
"""Modules that only read what was generated; editing them leaves the data as it is."""


def recipe_digest() -> str:
    """A sha256 over the version and this package's source: what a cache or a record is keyed by.

    Reads the source without importing it; takes about a millisecond.
    """
    import hashlib

    digest = hashlib.sha256(SCENES_VERSION.encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.name in _NO_RECIPE:
            continue
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def split_names() -> tuple[str, ...]:
    """The names of all splits."""
    from tasks.scenes.splits import SPLITS

    return tuple(SPLITS)


def ensure_scenes(
    cache_dir: Path,
    splits: Sequence[str],
    *,
    processes: int = 2,
    progress: Callable[[str, int, int], None] | None = None,
) -> Path:
    """Generate the splits that `cache_dir` lacks and return the root of the data set (see `layout`).

    Safe to kill at any moment and to run twice at once; `progress` is called with (split, done, in all).
    """
    from tasks.scenes.generate import write_splits

    root = Path(cache_dir) / f"scenes-{recipe_digest()[:12]}"
    write_splits(root, splits, processes=processes, progress=progress)
    return root


def write_scenes(
    out: Path,
    splits: Sequence[str] | None = None,
    *,
    processes: int = 2,
    progress: Callable[[str, int, int], None] | None = None,
) -> None:
    """Write splits (all by default) as a COCO 2017 directory: `bench data scenes --out DIR`."""
    from tasks.scenes.generate import write_splits

    write_splits(
        Path(out), split_names() if splits is None else splits, processes=processes, progress=progress
    )
