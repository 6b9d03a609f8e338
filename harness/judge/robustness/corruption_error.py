"""mPC and rPC; CE, mCE and their relative forms.

mPC is the mean score over 15 corruptions x 5 severities, rPC = mPC / clean (Michaelis et al. 2019, arXiv 1907.07484).
CE_c = sum_s E[s, c] / sum_s E_ref[s, c] with errors E = 1 - score, mCE the mean of CE over the corruptions: a mean of
ratios, not a ratio of means. The relative forms subtract the clean error from each E, above and below
(Hendrycks & Dietterich 2019, arXiv 1903.12261). A reference is frozen: its own uncertainty is not in the intervals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.judge.robustness.cells import SEVERITIES, STANDARD_CELLS, GridCell, ModelTable
from harness.judge.robustness.reference import ReferenceTable
from harness.perturb.grids import STANDARD_CORRUPTIONS
from harness.plan.installed_metrics import metric_named
from harness.stats.propagation import Figure, absent, difference, mean_of, missing, propagate, ratio

LEAST_DENOMINATOR = 0.01
"""Of a sum of errors over the severities: CE is undefined at and below it."""


@dataclass(frozen=True)
class UnderCorruption:
    """mPC and rPC as fractions of 1 (of the metric's unit), and how many cells they are means over.

    Only over all 15 x 5 cells is it the published mPC: `label` says otherwise.
    """

    mpc: Figure
    rpc: Figure
    cells: int
    corruptions: int
    complete: bool

    @property
    def label(self) -> str:
        """Name the number: mPC, or how many cells of how many corruptions it is a mean over."""
        if self.complete:
            return "mPC"
        conditions = "1 condition" if self.cells == 1 else f"{self.cells} conditions"
        return f"mean over {conditions} of {self.corruptions} corruption{'' if self.corruptions == 1 else 's'}"


def under_corruption(table: ModelTable, cells: Sequence[GridCell] = STANDARD_CELLS) -> UnderCorruption:
    """Average over cells; no number where one of them failed, was skipped or was not run.

    The interval's reach is the mean of those of the cells, which is what full correlation between them gives.
    """
    mpc = table.mean(cells) if cells else absent("no corruption was run")
    return UnderCorruption(
        mpc=mpc,
        rpc=ratio(mpc, table.clean),
        cells=len(cells),
        corruptions=len({name for name, _ in cells}),
        complete=set(cells) == set(STANDARD_CELLS),
    )


@dataclass(frozen=True)
class CorruptionError:
    """CE and relative CE of one corruption, 1 being as wrong as the reference."""

    error: Figure
    relative: Figure


@dataclass(frozen=True)
class MeanCorruptionError:
    """mCE and relative mCE, 1 being as wrong as the reference, and their parts by corruption."""

    reference: str
    mce: Figure
    relative: Figure
    parts: Mapping[str, CorruptionError]


def mean_corruption_error(
    table: ModelTable, reference: ReferenceTable, corruptions: Sequence[str] = STANDARD_CORRUPTIONS
) -> MeanCorruptionError:
    """Compare a model's errors with the reference's; no mean where one of the corruptions has no CE."""
    parts = {name: _corruption_error(table, reference, name) for name in corruptions}
    return MeanCorruptionError(
        reference=reference.name,
        mce=mean_of([part.error for part in parts.values()]),
        relative=mean_of([part.relative for part in parts.values()]),
        parts=parts,
    )


def not_an_error(metric: str | None, table: ModelTable) -> str | None:
    """Say why 1 - score is not an error here; None where it is one."""
    if metric is not None and not metric_named(metric).is_share:
        return f"mCE is for errors 1 - score, and {metric} is not bounded by 0 and 1"
    values = [f.value for f in (table.clean, *table.cells.values()) if f.value is not None]
    outside = next((value for value in values if not 0 <= value <= 1), None)
    return None if outside is None else f"mCE is for errors 1 - score, and a score is {outside:.4g}, not within 0..1"


def _corruption_error(table: ModelTable, reference: ReferenceTable, name: str) -> CorruptionError:
    score = table.mean([(name, severity) for severity in SEVERITIES])
    if name not in reference.errors:
        nothing = absent(f"the reference {reference.name} has no {name}")
        return CorruptionError(nothing, nothing)
    return CorruptionError(
        error=_share(_error(score), reference.errors[name], f"{reference.name}'s error on {name}"),
        relative=_relative(table, score, reference, name),
    )


def _relative(table: ModelTable, score: Figure, reference: ReferenceTable, name: str) -> Figure:
    if reference.clean_error is None:
        return absent(f"the clean error of the reference {reference.name} is not known")
    growth = reference.errors[name] - reference.clean_error
    return _share(difference(table.clean, score), growth, f"what {name} adds to {reference.name}'s error")


def _error(score: Figure) -> Figure:
    return score if missing([score]) else propagate(1 - score.known, [(-1.0, score)])


def _share(error: Figure, of: float, what: str) -> Figure:
    """Divide a mean error by the reference's, which is the same as dividing the sums."""
    if missing([error]):
        return error
    if of * len(SEVERITIES) <= LEAST_DENOMINATOR:
        return absent(f"undefined: {what} is {of * len(SEVERITIES):.4f} over {len(SEVERITIES)} severities")
    return propagate(error.known / of, [(1 / of, error)])
