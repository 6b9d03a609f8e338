"""Robustness records -> rows: one a model or control, its seeds taken together, of comparable records only."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from harness.condition import SHIFT
from harness.judge.robustness.cells import FAILED, SKIPPED, ModelTable, standard_cells_in
from harness.judge.robustness.corruption_error import (
    MeanCorruptionError,
    mean_corruption_error,
    not_an_error,
    under_corruption,
)
from harness.judge.robustness.drops import Drop, drop
from harness.judge.robustness.effective_robustness import effective_robustness, fit_baseline
from harness.judge.robustness.modality_use import modality_use
from harness.judge.robustness.multimodal_impact import IMAGE_GROUPS, TEXT_GROUPS, multimodal_impact
from harness.judge.robustness.other_means import other_cells
from harness.judge.robustness.reference import ReferenceTable
from harness.judge.robustness.row import Comparable, ConditionScore, RobustnessRow
from harness.judge.robustness.seeds import (
    Seeds,
    clean_count,
    condition_scores,
    current_seeds,
    run_metrics,
    scope_of,
    seeds_calibration,
    seeds_table,
    settings_shown,
    skipped_perturbations,
)
from harness.judge.robustness.worst_group import WorstGroup, slice_scores, worst_group
from harness.plan.installed_metrics import metric_named
from harness.record import RobustnessRecord, RunRecord, name_of
from harness.stats.propagation import Figure, absent

_VISION_ONLY_CONTROLS = ("C0", "C1")
_NOT_A_SHIFT = ("modality", "attack")


def summaries(
    records: Sequence[RobustnessRecord],
    runs: Sequence[RunRecord],
    reference: ReferenceTable | None = None,
    unfused: Collection[str] = (),
) -> list[RobustnessRow]:
    """Build the rows, comparable ones together and the best mPC (or clean score) first.

    Each setting of a model is a row and only records of its newest code count, as on the leaderboard. mPC is over the
    standard cells that any comparable model was meant to run, so that all rows are means over the same cells. `unfused`
    names the models that effective robustness is fitted on, beside the controls C0 and C1.
    """
    scopes: dict[Comparable, list[Seeds]] = {}
    for seeds in current_seeds(records, runs):
        scopes.setdefault(scope_of(seeds[0]), []).append(seeds)
    metrics, settings = {run.fingerprint: run for run in runs}, settings_shown(runs)
    rows: list[RobustnessRow] = []
    for models in scopes.values():
        rows += sorted(_Scope(models, metrics, reference, unfused).rows(), key=_order)
    return [replace(row, setting=settings.get(row.fingerprints[-1], "")) for row in rows]


def _order(row: RobustnessRow) -> tuple[int, float, str]:
    ranks = [figure.value for figure in (row.corruption.mpc, row.clean)]
    first = next((n for n, value in enumerate(ranks) if value is not None), len(ranks))
    return (first, -(ranks[first] or 0.0) if first < len(ranks) else 0.0, row.name)


class _Scope:
    """Models that can be compared, and what they share: the cells of mPC and the fits."""

    def __init__(
        self,
        models: Sequence[Seeds],
        runs: Mapping[str, RunRecord],
        reference: ReferenceTable | None,
        unfused: Collection[str],
    ) -> None:
        self.models, self.runs, self.reference = models, runs, reference
        self.tables = [seeds_table(seeds) for seeds in models]
        self.cells = standard_cells_in(self.tables)
        self.others = other_cells([record for seeds in models for record in seeds])
        baseline = [
            (name_of(seeds[0].model, seeds[0].control), table)
            for seeds, table in zip(models, self.tables, strict=True)
            if (seeds[0].model in unfused and seeds[0].control is None) or seeds[0].control in _VISION_ONLY_CONTROLS
        ]
        self.fits = {
            target: _unfit(models[0][0].metric)
            or fit_baseline([(name, table.clean, self._under(table, target)) for name, table in baseline])
            for target in self._targets()
        }

    def rows(self) -> list[RobustnessRow]:
        return [self._row(seeds, table) for seeds, table in zip(self.models, self.tables, strict=True)]

    def _targets(self) -> list[str]:
        names = {name for table in self.tables for name, _ in table.cells if name.startswith(f"{SHIFT}-")}
        return [*(["mPC"] if self.cells else []), *sorted(names)]

    def _under(self, table: ModelTable, target: str) -> Figure:
        return under_corruption(table, self.cells).mpc if target == "mPC" else table.over_severities(target)

    def _row(self, seeds: Seeds, table: ModelTable) -> RobustnessRow:
        first, conditions = seeds[0], condition_scores(seeds)
        skipped = skipped_perturbations(seeds)
        runs = [self.runs[record.fingerprint] for record in seeds if record.fingerprint in self.runs]
        return RobustnessRow(
            scope=scope_of(first),
            model=first.model,
            control=first.control,
            seeds=tuple(record.seed for record in seeds),
            fingerprints=tuple(record.fingerprint for record in seeds),
            clean=table.clean,
            corruption=under_corruption(table, self.cells),
            others={label: table.mean(cells) for label, cells in self.others.items()},
            mce=self._mean_corruption_error(first, table),
            mmi_image=multimodal_impact(table, IMAGE_GROUPS, first.chance, skipped),
            mmi_text=multimodal_impact(table, TEXT_GROUPS, first.chance, skipped),
            effective={
                target: effective_robustness(fit, table.clean, self._under(table, target))
                for target, fit in self.fits.items()
            },
            drops=_drops(table, first.chance),
            worst=_worst(conditions),
            worst_groups=_worst_groups(runs, first.metric),
            calibration=seeds_calibration(seeds),
            modality_use=modality_use(table, skipped, run_metrics(runs), first.metric),
            planned=len(conditions),
            failed=sum(condition.status == FAILED for condition in conditions),
            skipped=sum(condition.status == SKIPPED for condition in conditions),
            conditions=conditions,
            clean_count=clean_count(seeds),
        )

    def _mean_corruption_error(self, record: RobustnessRecord, table: ModelTable) -> MeanCorruptionError | None:
        if self.reference is None:
            return None
        refusal = not_an_error(record.metric, table) or self.reference.misfit(record)
        if refusal is None:
            return mean_corruption_error(table, self.reference)
        return MeanCorruptionError(self.reference.name, absent(refusal), absent(refusal), {})


def _unfit(metric: str) -> str | None:
    return None if metric_named(metric).is_share else f"{metric} is not bounded by 0 and 1: it has no logit"


def _drops(table: ModelTable, chance: float) -> dict[str, Drop]:
    names = dict.fromkeys(name for name, _ in table.cells)
    return {name: drop(table.clean, table.over_severities(name), chance) for name in names}


def _worst(conditions: Sequence[ConditionScore]) -> ConditionScore | None:
    scored = [c for c in conditions if c.score.value is not None and c.family not in _NOT_A_SHIFT]
    return min(scored, key=lambda c: c.score.known, default=None)


def _worst_groups(runs: Sequence[RunRecord], metric: str) -> tuple[WorstGroup, ...]:
    groups = [slice_scores(run.metrics, metric) for run in runs]
    return tuple(worst_group(of_run) for of_run in groups if len(of_run) > 1)
