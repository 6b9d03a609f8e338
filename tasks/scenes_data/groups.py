"""Groups of Scenes: the badge of an image, which training may tie to the pattern of the biggest object.

In the split *groups* each pair of pattern (striped, dotted) and badge (disc, bar) has 400 images: there the badge says
nothing of the class. In ordinary training images it says nothing either (agreement .5). `badge_agreement = 0.95` trains
on the split *groups-train* instead, 1,600 images of kinds of these two patterns, where striped goes with disc and
dotted with bar in 95 of 100.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError
from tasks.scenes.factors import GROUP_BADGES, GROUP_PATTERNS

if TYPE_CHECKING:
    from harness.protocols import DataContext
    from tasks.scenes.factors import Kind

AGREEMENT = "badge_agreement"
INDEPENDENT, TIED = 0.5, 0.95
"""How often badge and pattern go together in training: as by chance, or nearly always."""
_SPLITS: Mapping[float, str] = {INDEPENDENT: "train", TIED: "groups-train"}


def agreement_options(context: DataContext) -> dict[str, Any]:
    """Read `badge_agreement`, an option only where it changes what is trained on; raises UsageError for others."""
    given = context.settings.get(AGREEMENT, INDEPENDENT)
    if given not in _SPLITS:
        raise UsageError(f"task.{AGREEMENT} = {given}: wanted {INDEPENDENT} (as by chance) or {TIED}.")
    return {} if given == INDEPENDENT else {AGREEMENT: float(given)}


def agreement_split(options: Mapping[str, Any]) -> str:
    """Which split is trained on."""
    return _SPLITS[options.get(AGREEMENT, INDEPENDENT)]


def agreement_name(name: str, options: Mapping[str, Any]) -> str:
    """Name a data set by its agreement too, where that is not chance's."""
    return f"{name}+badge={options[AGREEMENT]:g}" if AGREEMENT in options else name


def group_name(row: Mapping[str, Any]) -> str | None:
    """The group of an image, `striped disc`; None outside the splits of groups."""
    group = row.get("group")
    return None if group is None else f"{group['label']} {group['badge']}"


def lured_classes(row: Mapping[str, Any], kinds: Sequence[Kind]) -> tuple[int, ...]:
    """The indices of the kinds whose pattern the image's badge goes with in biased training."""
    group = row.get("group")
    if group is None:
        return ()
    pattern = GROUP_PATTERNS[GROUP_BADGES.index(group["badge"])]
    return tuple(index for index, kind in enumerate(kinds) if kind.pattern == pattern)


def in_groups(kind: Kind) -> bool:
    """Whether a kind has one of the two patterns."""
    return kind.pattern in GROUP_PATTERNS
