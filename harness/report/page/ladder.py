"""The control ladder: what is left of a fused model's score when one of its advantages is taken away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from harness.judge.verdict.settings import TUNE, record_settings_of, tuning_free, unmatched
from harness.record import Estimate
from harness.report.page.controls import MEANINGS
from harness.report.page.entries import Board, Entry
from harness.report.page.pareto import pareto_difference
from harness.report.page.score_tables import grouped
from harness.report.tables.table import (
    ENDS,
    GAP,
    Origin,
    Table,
    TableCell,
    TableColumn,
    TableRow,
    name_column,
    score_cell,
    text_column,
)

_SEEDS_FOR_A_VERDICT = 5
_REACH = "1.43 half-widths of the interval of F − Ci: what 95 % confidence and 80 % power ask for"
_DETECTABLE = (1.959964 + 0.841621) / 1.959964
"""A true difference of this many half-widths is found in four of five such experiments."""


@dataclass(frozen=True)
class Rung:
    """One control of a fused model; `gap` is F - Ci."""

    control: Entry
    score: Estimate
    gap: Estimate

    @property
    def name(self) -> str:
        """C0 to C6."""
        return self.control.row.control or ""

    @property
    def verdict(self) -> str:
        """Say what the interval allows to say; fewer than five seeds allow no verdict."""
        seeds = len(self.control.row.seeds)
        if seeds < _SEEDS_FOR_A_VERDICT:
            return f"no verdict: {seeds} of {_SEEDS_FOR_A_VERDICT} seeds"
        if self.gap.interval is None:
            return f"no verdict: {self.gap.note}"
        low, high = self.gap.interval
        return "above 0" if low > 0 else "below 0" if high < 0 else "not told apart"


@dataclass(frozen=True)
class Ladder:
    """A fused model beside its controls."""

    model: Entry
    score: Estimate
    metric: str
    rungs: tuple[Rung, ...]


def build_ladders(board: Board) -> list[Ladder]:
    """Compare each model that has controls with each of them, by the metric that ranks."""
    ladders = []
    scored = [entry for entry in board.entries if entry.scored]
    free = tuning_free() if any(entry.row.control for entry in scored) else ()  # it loads plugins
    for _, members in grouped(scored):
        heads = [entry for entry in members if entry.row.control is None]
        controls: dict[str, list[_Told]] = {}
        for entry in members:
            if entry.row.control:
                controls.setdefault(entry.row.control, []).append(_Told.of(entry))
        for head in heads:
            score = head.row.metrics.get(board.main)
            fitting = _controls_of(_Told.of(head), controls, free, alone=len(heads) == 1)
            compared = [(e, own) for e in fitting if (own := e.row.metrics.get(board.main))]
            if score and compared:
                rungs = tuple(Rung(entry, own, pareto_difference(score, own)) for entry, own in compared)
                ladders.append(Ladder(head, score, board.main, rungs))
    return ladders


class _Told(NamedTuple):
    """A row with what its training and evaluation were told."""

    entry: Entry
    settings: Mapping[str, Any]

    @staticmethod
    def of(entry: Entry) -> _Told:
        return _Told(entry, record_settings_of(entry.records[-1]))


def _controls_of(
    head: _Told, controls: Mapping[str, Sequence[_Told]], free: tuple[str, ...], *, alone: bool
) -> list[Entry]:
    """A control of each kind: of the same settings as the model, where it or the control has several."""
    chosen = []
    for kind in controls.values():
        matched = next((told.entry for told in kind if _is_matched(head, told, free)), None)
        chosen += [matched] if matched else [kind[0].entry] if alone and len(kind) == 1 else []
    return chosen


def _is_matched(head: _Told, control: _Told, free: tuple[str, ...]) -> bool:
    return not unmatched(head.settings, control.settings, free if control.settings.get(TUNE) is None else ())


def ladder_table(ladder: Ladder) -> Table:
    """One line a control: what it is, its score, F - Ci with its interval and what that tells."""
    columns = (
        name_column("control"), text_column("what it is"), TableColumn(ladder.metric, interval=True, ends=ENDS),
        replace(GAP, name="F − Ci", ends=ENDS), TableColumn("smallest detectable"),
        text_column("what F − Ci measures"), text_column("verdict"),
    )  # fmt: skip
    lines = tuple(_line(ladder, rung) for rung in ladder.rungs)
    shown = f"{ladder.score.value:.3f} {ladder.score.bracket()}"
    notes = (
        f"F is {ladder.model.name}: {ladder.metric} {shown}.",
        "F − Ci has an interval made of the two scores' own, as if they were independent (MOVER): wider than that of a "
        "paired test. 'Smallest detectable' is the true difference that four of five such experiments would find.",
    )
    return Table("ladder", ladder.model.name, columns, lines, notes)


def _line(ladder: Ladder, rung: Rung) -> TableRow:
    what, tells = MEANINGS.get(rung.name, ("", ""))
    both = (ladder.model.key, rung.control.key)
    note = f"{ladder.model.name} minus its control {rung.name}; interval by MOVER from the two scores' own"
    gap = TableCell(rung.gap.value, rung.gap, origin=Origin(f"F − {rung.name}", both, note=note))
    why = Origin(f"smallest detectable F − {rung.name}", both, note=_REACH)
    ends = rung.gap.interval
    reach = None if ends is None else _DETECTABLE * (ends[1] - ends[0]) / 2
    cells = (
        TableCell(rung.name),
        TableCell(what),
        score_cell(rung.score, Origin(ladder.metric, (rung.control.key,))),
        gap,
        TableCell(reach, word="–" if reach is None else None, origin=why),
        TableCell(tells),
        TableCell(rung.verdict),
    )
    return TableRow(cells, group=rung.name, key=rung.control.name)
