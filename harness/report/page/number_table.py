"""The numbers of `harness.robustness` as a table: MMI, mCE, effective robustness, and which modality is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.judge.robustness.row import RobustnessRow
from harness.record import Estimate
from harness.report.page.table import ABSENT, Cell, Column, Line, Origin, Table, without_empty_columns
from harness.stats.propagation import Figure

_TITLE = "Impact, corruption error and use of each modality"
_NOTES = (
    "MMI is the share of the score above chance that is lost, the mean over the perturbations that were run "
    "(Qiu et al. 2024); effective robustness what is kept beyond what the clean scores of un-fused models predict "
    "(Taori et al. 2020).",
    "Image and text are used where taking them away or exchanging them lowers the score beyond its interval.",
)


def number_table(rows: Sequence[RobustnessRow], keys: Mapping[str, str]) -> Table | None:
    """One line a row; `keys` are the ids of the leaderboard's rows by name. None where nothing was perturbed."""
    shown = [row for row in rows if row.name in keys]
    if not shown:
        return None
    reference = next((row.mce.reference for row in shown if row.mce), None)
    targets = list(dict.fromkeys(target for row in shown for target in row.effective))
    columns = [Column("model", "name"), Column("MMI image", low=True), Column("MMI text", low=True)]
    columns += [Column(f"{name}@{reference}", low=True) for name in ("mCE", "relative mCE")] if reference else []
    columns += [Column(f"effective robustness: {target}", extra=target != "mPC") for target in targets]
    columns += [Column("uses image", "text"), Column("uses text", "text"), Column("worst condition", "text")]
    lines = tuple(_line(row, keys[row.name], bool(reference), targets) for row in shown)
    notes = (*_NOTES, *_reasons(shown))  # they say why no model has a number for what is left out
    return without_empty_columns(Table("robustness-numbers", _TITLE, tuple(columns), lines, notes))[0]


def _reasons(rows: Sequence[RobustnessRow]) -> list[str]:
    """Why there are numbers that are not there, each reason once with the models that it holds for."""
    found: dict[str, list[str]] = {}
    for row in rows:
        figures = {"MMI image": row.mmi_image.overall, "MMI text": row.mmi_text.overall}
        figures |= {f"effective: {target}": each.figure for target, each in row.effective.items()}
        for name, figure in figures.items():
            if figure.value is None:
                found.setdefault(f"{name}: {figure.reason}", []).append(row.name)
    whom = {reason: "all" if len(names) == len(rows) else ", ".join(names) for reason, names in found.items()}
    return [f"No {reason} ({names})." for reason, names in whom.items()]


def _line(row: RobustnessRow, key: str, errors: bool, targets: Sequence[str]) -> Line:
    figures = [("MMI image", row.mmi_image.overall), ("MMI text", row.mmi_text.overall)]
    if errors:
        none = Figure(None, reason="the reference does not fit these records")
        figures += [("mCE", row.mce.mce if row.mce else none), ("relative mCE", row.mce.relative if row.mce else none)]
    missing = Figure(None, reason="not run")
    effective = {target: each.figure for target, each in row.effective.items()}
    figures += [(f"effective: {target}", effective.get(target, missing)) for target in targets]
    count = min((condition.count for condition in row.conditions if condition.count), default=0)
    cells = [Cell(row.name), *(_cell(figure, name, key, count) for name, figure in figures)]
    worst = f"{row.worst.perturbation} {row.worst.severity or ''}".strip() if row.worst else ABSENT
    use = row.modality_use
    cells += [Cell(use.image.verdict), Cell(use.text.verdict), Cell(worst)]
    return Line(tuple(cells), level="control" if row.control else "model", group=row.model, key=row.name)


def _cell(figure: Figure, name: str, key: str, count: int) -> Cell:
    if figure.value is None:
        return Cell(ABSENT)
    estimate = None
    if figure.low is not None and figure.high is not None:
        estimate = Estimate(figure.value, figure.low, figure.high, count)
    return Cell(f"{figure.value:.3f}", figure.value, estimate, Origin(name, (key,)))
