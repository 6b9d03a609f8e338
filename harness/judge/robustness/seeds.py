"""The seeds of one model taken together: which records they are, their table, their conditions, their calibration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.judge.robustness.calibration_shift import Calibration, calibration_by_severity
from harness.judge.robustness.cells import (
    CLEAN_NAME,
    FAILED,
    SKIPPED,
    GridCell,
    ModelTable,
    first_sentence,
    score_figure,
    table_of,
)
from harness.judge.robustness.row import Comparable, ConditionScore
from harness.judge.row_records import records_of_rows
from harness.record import Estimate, PerturbedScore, RobustnessRecord, RunRecord
from harness.stats.propagation import Figure, absent, over_seeds
from harness.stats.seed_variance import combine_seeds

Seeds = tuple[RobustnessRecord, ...]


def scope_of(record: RobustnessRecord) -> Comparable:
    """Say what a record may be compared with."""
    return Comparable(**{name: getattr(record, name) for name in Comparable.__dataclass_fields__})


def current_seeds(records: Sequence[RobustnessRecord], runs: Sequence[RunRecord]) -> list[Seeds]:
    """Gather the seeds of each model and control; records whose run is known only as far as it is current."""
    known = {run.fingerprint for run in runs}
    rows = (row for _, table in records_of_rows(runs) for row in table)
    shown = {record.fingerprint: place for place, row in enumerate(rows) for record in row.shown}
    groups: dict[tuple[object, ...], dict[int, RobustnessRecord]] = {}
    for record in sorted(records, key=lambda record: (record.created, record.fingerprint)):
        place = shown.get(record.fingerprint)
        if place is None and record.fingerprint in known:
            continue
        key = (scope_of(record), record.model, record.control, place)
        groups.setdefault(key, {})[record.seed] = record
    return [tuple(by_seed[seed] for seed in sorted(by_seed)) for by_seed in groups.values()]


def settings_shown(runs: Sequence[RunRecord]) -> dict[str, str]:
    """What tells the row of each run that is current from the model's other rows, by fingerprint."""
    rows = (row for _, table in records_of_rows(runs) for row in table)
    return {record.fingerprint: row.setting for row in rows for record in row.shown}


def seeds_table(seeds: Seeds) -> ModelTable:
    """Average every cell over seeds; a cell without a score in one of them has none."""
    tables = [table_of(record) for record in seeds]
    cells: dict[GridCell, Figure] = {}
    for cell in dict.fromkeys(cell for table in tables for cell in table.cells):
        cells[cell] = over_seeds([table.at(cell) for table in tables])
    return ModelTable(over_seeds([table.clean for table in tables]), cells)


def condition_scores(seeds: Seeds) -> tuple[ConditionScore, ...]:
    """List the conditions beside clean in the order in which they were run; one failed seed makes one failed.

    Joint conditions can share name and severity (fog 1 + typo 3, fog 3 + typo 1): their order tells them apart.
    """
    found: dict[tuple[GridCell, int], list[PerturbedScore]] = {}
    for record in seeds:
        turns = Counter[GridCell]()
        for score in (score for score in record.scores if score.perturbation != CLEAN_NAME):
            cell = (score.perturbation, score.severity)
            found.setdefault((cell, turns[cell]), []).append(score)
            turns[cell] += 1
    return tuple(_condition(scores, seeds[0].metric, len(seeds)) for scores in found.values())


def clean_count(seeds: Seeds) -> int | None:
    """How many samples the clean score is of; None where it is not there."""
    clean = next(
        (score for score in seeds[0].scores if score.perturbation == CLEAN_NAME and score.status == "ok"), None
    )
    estimate = None if clean is None else clean.metrics.get(seeds[0].metric)
    return estimate.count if estimate else None


def _condition(scores: Sequence[PerturbedScore], metric: str, seeds: int) -> ConditionScore:
    shown = next((score for score in scores if score.status != "ok"), scores[0])
    figure = over_seeds([score_figure(shown, metric), *(score_figure(s, metric) for s in scores if s is not shown)])
    if len(scores) < seeds and figure.value is not None:
        figure = absent(f"{shown.perturbation} {shown.severity} was not run with every seed")
    estimate = shown.metrics.get(metric) if shown.status == "ok" else None
    return ConditionScore(
        perturbation=shown.perturbation,
        severity=shown.severity,
        family=shown.family,
        modality=shown.modality,
        status=shown.status,
        score=figure,
        count=estimate.count if estimate else None,
    )


def skipped_perturbations(seeds: Seeds) -> dict[str, str]:
    """Say which perturbations say nothing of this model, and why; one that failed anywhere is not among them."""
    scores = [score for record in seeds for score in record.scores]
    failed = {score.perturbation for score in scores if score.status == FAILED}
    return {
        score.perturbation: first_sentence(score.error)
        for score in scores
        if score.status == SKIPPED and score.perturbation not in failed
    }


def seeds_calibration(seeds: Seeds) -> tuple[Calibration, ...]:
    """Average calibration over seeds at each severity that all of them have."""
    by_seed = [{c.severity: c for c in calibration_by_severity(record)} for record in seeds]
    shared = [severity for severity in by_seed[0] if all(severity in found for found in by_seed)]
    return tuple(_mean_calibration([found[severity] for found in by_seed]) for severity in shared)


def _mean_calibration(of_seeds: Sequence[Calibration]) -> Calibration:
    return Calibration(
        severity=of_seeds[0].severity,
        error=over_seeds([c.error for c in of_seeds]),
        null=over_seeds([c.null for c in of_seeds]),
        excess=over_seeds([c.excess for c in of_seeds]),
        cells=of_seeds[0].cells,
    )


def run_metrics(runs: Sequence[RunRecord]) -> dict[str, Estimate | None]:
    """Average what the runs themselves say over seeds; absent where one seed lacks it."""
    names = dict.fromkeys(name for run in runs for name in run.metrics)
    found: dict[str, Estimate | None] = {}
    for name in names:
        estimates = [run.metrics.get(name) for run in runs]
        present = [estimate for estimate in estimates if estimate is not None]
        found[name] = combine_seeds(present) if len(present) == len(estimates) else None
    return found
