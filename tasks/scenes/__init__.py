"""Scenes: small rendered worlds with known causes, generated in true COCO layout; cheap to import."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from harness.errors import UsageError, nearest
from harness.files import naming, one_at_a_time

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tasks.scenes.claims import Proposition, PropositionCounts

SCENES_VERSION: Final = "1.0.0"
"""Raised by hand whenever a pixel, an annotation or a text of any split changes on purpose."""
version: Final = SCENES_VERSION
_NO_RECIPE: Final = (
    "__init__.py",
    "attributes.py",
    "claims.py",
    "making.py",
    "oracle.py",
    "paraphrases.py",
    "parser.py",
)
"""Modules that only read what was generated or have it written; editing them leaves the data as it is."""


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


def cache_root(cache_dir: Path) -> Path:
    """Where `ensure_scenes` keeps the data set of this recipe."""
    return Path(cache_dir) / f"scenes-{recipe_digest()[:12]}"


def ensure_scenes(
    cache_dir: Path,
    splits: Sequence[str],
    *,
    processes: int = 2,
    progress: Callable[[str, int, int], None] | None = None,
) -> Path:
    """Generate the splits that `cache_dir` lacks and return the root of the data set (see `layout`).

    Safe to kill at any moment; of several processes, in containers that share a cache, too, one writes and the others
    wait. `progress` is called with (split, done, in all). An OSError names the place.
    """
    from tasks.scenes.making import make_splits

    root = cache_root(cache_dir)
    with one_at_a_time(root), naming(root):
        make_splits(root, splits, processes=processes, progress=progress)
    return root


def write_scenes(
    out: Path,
    splits: Sequence[str] | None = None,
    *,
    processes: int = 2,
    progress: Callable[[str, int, int], None] | None = None,
) -> None:
    """Write splits (all by default) as a COCO 2017 directory: `bench data scenes --out DIR`.

    Raises UsageError for a split that Scenes does not have, or for none; OSError names the place.
    """
    from tasks.scenes.making import make_splits

    wanted = split_names() if splits is None else splits
    for name in wanted:
        if name not in split_names():
            raise UsageError(f"Scenes has no split '{name}'. {nearest(name, split_names())}")
    if not wanted:
        raise UsageError(f"No split is named. Known: {', '.join(split_names())}.")
    with naming(Path(out)):
        make_splits(Path(out), wanted, processes=processes, progress=progress)


def propositions(caption: str) -> tuple[frozenset[Proposition], bool]:
    """(what a caption asserts, whether it is a sentence of the grammar); fragments of others are still read."""
    from tasks.scenes.claims import reading_propositions

    asserted, reading = reading_propositions(caption)
    return asserted, reading.grammatical


def true_propositions(facts: Mapping[str, Any]) -> frozenset[Proposition]:
    """Every proposition that is true of an image, from its `facts` in the captions file."""
    from tasks.scenes import claims

    return claims.true_propositions(facts)


def proposition_scores(
    caption: str, facts: Mapping[str, Any], reference_forms: Iterable[Mapping[str, Any]]
) -> PropositionCounts:
    """(asserted, asserted_true, reference, recalled, grammatical) of one caption.

    `facts` and `reference_forms` (the `logical_form` of each reference) come from the captions file. Over a
    corpus, precision = sum(asserted_true) / sum(asserted) and recall = sum(recalled) / sum(reference).
    """
    from tasks.scenes.claims import count_propositions

    return count_propositions(caption, facts, reference_forms)


def attribute_targets(root: Path, split: str = "train") -> tuple[npt.NDArray[np.int8], tuple[str, ...]]:
    """(int8 [images, attributes], names) of a training split, to pretrain a vision backbone on."""
    from tasks.scenes import attributes

    return attributes.attribute_targets(root, split)
