"""What trained models lack scores for, and which of them lack the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.cell import Cell
from harness.condition import Condition


@dataclass(frozen=True)
class Lacking:
    """A trained model and the conditions under which it has no current score."""

    cell: Cell
    conditions: Sequence[Condition]


def by_sharing(pending: Sequence[Lacking]) -> dict[tuple[str, tuple[int, ...]], list[Condition]]:
    """Group conditions by their split and by which models, by place, lack them."""
    wanted: dict[Condition, list[int]] = {}
    for position, lacking in enumerate(pending):
        for condition in lacking.conditions:
            wanted.setdefault(condition, []).append(position)
    groups: dict[tuple[str, tuple[int, ...]], list[Condition]] = {}
    for condition, positions in wanted.items():
        groups.setdefault((condition.split_key, tuple(positions)), []).append(condition)
    return groups
