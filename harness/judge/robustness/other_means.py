"""Means over perturbations that no published number covers: other corruptions, movements, and those of third parties.

mPC is over the 15 of ImageNet-C, MMI over the perturbations that it was published with. What else was run has a mean by
family, over the conditions that any comparable model was meant to run, so that all rows are means over the same ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.condition import SHIFT
from harness.judge.robustness.cells import CLEAN_NAME, GridCell
from harness.judge.robustness.multimodal_impact import IMAGE_GROUPS, TEXT_GROUPS
from harness.perturb.grids import STANDARD_CORRUPTIONS
from harness.record import RobustnessRecord

_OTHERWISE_SHOWN = (SHIFT, "modality", "attack", "joint")
"""Families with columns of their own, or whose conditions are no degrees of one thing."""
_PUBLISHED = {
    CLEAN_NAME,
    *STANDARD_CORRUPTIONS,
    *(name for of in (IMAGE_GROUPS, TEXT_GROUPS) for names in of.values() for name in names),
}


def other_cells(records: Sequence[RobustnessRecord]) -> Mapping[str, tuple[GridCell, ...]]:
    """The cells of each family that no published number covers, by what a table calls their mean."""
    families: dict[str, dict[GridCell, None]] = {}
    for score in (score for record in records for score in record.scores):
        if score.family not in _OTHERWISE_SHOWN and score.perturbation not in _PUBLISHED:
            families.setdefault(score.family, {})[score.perturbation, score.severity] = None
    return {_label(family, list(cells)): tuple(sorted(cells)) for family, cells in families.items()}


def _label(family: str, cells: Sequence[GridCell]) -> str:
    """Name a mean by the perturbation where a family has one, else by the family.

    >>> _label("print", [("posterize", 1), ("posterize", 2)]), _label("geometry", [("rotate", 1), ("flip", 1)])
    ('mean over 2 cells of posterize', 'mean over 2 cells of geometry')
    """
    names = {name for name, _ in cells}
    count = "1 cell" if len(cells) == 1 else f"{len(cells)} cells"
    return f"mean over {count} of {names.pop() if len(names) == 1 else family}"
