"""Records -> rows of a leaderboard: seeds taken together, sorted by the first metric.

Rows of different data, split, number of samples or metric signature are never ranked together: each
such group is a table of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from harness.judge.known_row import KnownRow
from harness.judge.prompt_scores import PromptScores, mean_over_prompts, prompts_json
from harness.judge.record_settings import setting_key
from harness.judge.row_records import RowRecords, name_of_row, records_of_rows
from harness.judge.sequence_scores import SequenceScores, sequence_scores, sequences_json
from harness.judge.trial_scores import TrialScores, trial_scores, trials_json
from harness.judge.variant_facts import VariantFacts, parent_of, under_parents, variant_facts
from harness.record import Efficiency, Estimate, RunRecord, evaluated_samples, prompt_of
from harness.records.unanswered import SERVICE, failed_samples
from harness.stats.rank_intervals import Contender, RankInterval, rank_intervals
from harness.stats.sample_scores import SampleScores
from harness.stats.seed_variance import Spread, combine_seeds, shared_sampling, spread_of_seeds


@dataclass(frozen=True)
class Row:
    """One line of a leaderboard: a model on a split, its seeds taken together."""

    task: str
    data: str
    data_digest: str
    split: str
    signature: str | None
    model: str
    control: str | None
    status: str
    error: str | None
    seeds: tuple[int, ...]
    metrics: Mapping[str, Estimate | None]
    efficiency: Efficiency
    device: str
    fingerprints: tuple[str, ...]
    ceilings: Mapping[str, Mapping[str, float]]
    learnable: bool | None
    seed_estimates: Mapping[str, tuple[Estimate, ...]] = field(default_factory=dict)
    spreads: Mapping[str, Spread] = field(default_factory=dict)
    rank: RankInterval | None = None
    samples: tuple[int, int] | None = None
    """How many samples of the split it is about, and how many the split has; None where that is not recorded."""
    setting: str = ""
    """What tells it from other rows of the model with the same control, such as `steps=50`; "" where it is alone."""
    older: tuple[str, ...] = ()
    """Fingerprints of records of this model and control that other code made and that are not shown."""
    replaced: tuple[str, ...] = ()
    """Those of the same settings and code that were only measured or resampled otherwise: the newest is shown."""
    conflicts: tuple[str, ...] = ()
    """Those of its records that another run made otherwise at the same time; that other record is kept beside."""
    failed_samples: Mapping[str, Any] = field(default_factory=dict)
    """Of a row without a score because samples have no answer: how many, why, and the bounds of its metrics."""
    service: Mapping[str, Any] = field(default_factory=dict)
    """What is known of the service that answered; empty for models that run here."""
    by_prompt: tuple[PromptScores, ...] = ()
    """What it scores by each of its prompts, of which its own scores are the mean; empty for fewer than two."""
    trials: tuple[TrialScores, ...] = ()
    """The settings that were tried for each of its trainings; empty where only those that were asked for."""
    sequences: tuple[SequenceScores, ...] = field(default=(), compare=False)
    """What each of its trainings on one domain after the other has kept; empty where they were on one alone."""
    parent: str | None = None
    """The model that it is a compressed variant of; None for other rows."""
    trained_as: str = field(default="", compare=False)
    """All that its training was told, the same for a model and its variants; "" where nothing is stored of it."""
    variant: VariantFacts | None = None
    """Its parity, size and speed beside that model."""
    verdict: str | None = None
    """Of the claim fusion-gain (`harness.verdict`); None for controls and models without fusion."""

    @property
    def name(self) -> str:
        """The model, with its control in brackets, and what tells it from its other settings."""
        return name_of_row(self.model, self.control, self.setting)

    @property
    def units(self) -> list[tuple[int, str]]:
        """What its scores are averaged over, seeds or prompts: the number of each, and a fingerprint of it."""
        if self.by_prompt:
            return [(scores.number, scores.fingerprints[0]) for scores in self.by_prompt]
        return list(zip(self.seeds, self.fingerprints, strict=True))

    def to_json(self, *, scores: bool = True) -> dict[str, Any]:
        """Turn into the documented keys of `bench leaderboard --format json`; the scores may be left empty."""
        cost = self.efficiency
        return {
            "task": self.task,
            "data": self.data,
            "data_digest": self.data_digest,
            "split": self.split,
            "samples": self.samples[0] if self.samples else None,
            "samples_total": self.samples[1] if self.samples else None,
            "model": self.model,
            "control": self.control,
            "setting": self.setting,
            "older_records": list(self.older),
            "replaced_records": list(self.replaced),
            "conflicts": list(self.conflicts),
            "status": self.status,
            "error": self.error,
            "failed_samples": {k: v for k, v in self.failed_samples.items() if k != "samples"} or None,
            "service": dict(self.service) or None,
            "seeds": len(self.seeds),
            "learnable": self.learnable,
            "ceilings": {name: dict(by_source) for name, by_source in self.ceilings.items()},
            "rank": asdict(self.rank) if self.rank else None,
            "verdict": self.verdict,
            "metrics": {name: e.to_json() if e else None for name, e in self.metrics.items() if scores},
            "spreads": {name: asdict(spread) for name, spread in self.spreads.items() if scores},
            "prompts": prompts_json(self.by_prompt),
            "trials": trials_json(self.trials),
            "sequence": sequences_json(self.sequences),
            "parent": self.parent,
            "variant": self.variant.to_json() if self.variant else None,
            "parameters_total": cost.parameters_total,
            "parameters_trainable": cost.parameters_trainable,
            "flops": cost.flops,
            "latency_p50_seconds": cost.latency_p50_seconds,
            "latency_p95_seconds": cost.latency_p95_seconds,
            "latency_runs": cost.latency_runs,
            "throughput_per_second": cost.throughput_per_second,
            "throughput_batch": cost.throughput_batch,
            "peak_memory_bytes": cost.peak_memory_bytes,
            "memory_added_bytes": cost.memory_added_bytes,
            "energy_joules": cost.energy_joules,
            "train_seconds": cost.train_seconds,
            "device": self.device,
            "signature": self.signature,
            "fingerprint": self.fingerprints[-1],
            "fingerprints": list(self.fingerprints),
        }


def build_rows(
    records: Sequence[RunRecord], metrics: Sequence[str], *, every_code: bool = False, join_prompts: bool = False
) -> list[list[Row]]:
    """Group records into tables and sort each by the first metric; newest data group last.

    Each setting of a model is a row, each of its prompts too, unless `join_prompts` averages over these. Records of
    older versions of the code are named on one row of their model, and are rows of their own with `every_code`.
    """
    found = records_of_rows(records, every_code=every_code, join_prompts=join_prompts)
    return [rows_of_table(table, signature, metrics) for signature, table in found]


def rows_of_table(
    table: Sequence[RowRecords],
    signature: str | None,
    metrics: Sequence[str],
    known: Mapping[tuple[str, ...], KnownRow] | None = None,
) -> list[Row]:
    """Make the rows of one table and sort them; what is `known` of some, by their fingerprints, is not found out."""
    rows = [_row(own, signature, (known or {}).get(own.fingerprints)) for own in table]
    return under_parents(sorted(rows, key=lambda row: _order(row, metrics)))


def samples_told(rows: Sequence[Row]) -> str:
    """Say on how many samples the rows stand, and of how many where these are not all: the end of a title.

    Empty where nothing is known.
    """
    known = [row.samples for row in rows if row.samples]
    counts = [count for count, _ in known] or [e.count for row in rows for e in row.metrics.values() if e]
    if not counts:
        return ""
    total = max((of for _, of in known), default=max(counts))
    share = "" if total == max(counts) else f" of {total:,}"
    return f", {max(counts):,}{share} samples"


def ranked(
    tables: Sequence[Sequence[Row]], metrics: Sequence[str], read: Callable[[str, str], SampleScores | None]
) -> list[list[Row]]:
    """Give each scored row the ranks that it may have, and its intervals what its seeds share of the sampling.

    `read` finds the sample scores of (task, fingerprint).
    """
    return [_ranked(rows, metrics, read) for rows in tables]


def _ranked(rows: Sequence[Row], metrics: Sequence[str], read: Callable[[str, str], SampleScores | None]) -> list[Row]:
    scores = [tuple(read(row.task, fingerprint) for _, fingerprint in row.units) for row in rows]
    known = [_with_shared(row, own) for row, own in zip(rows, scores, strict=True)]
    name = next((name for name in metrics if any(row.metrics.get(name) for row in rows)), None)
    contenders = {
        place: Contender(row.seed_estimates[name], own, tuple(number for number, _ in row.units))
        for place, (row, own) in enumerate(zip(known, scores, strict=True))
        if name is not None and row.metrics.get(name) is not None
    }
    ranks = dict(zip(contenders, rank_intervals(list(contenders.values()), name or ""), strict=True))
    return [replace(row, rank=ranks.get(place)) for place, row in enumerate(known)]


def _with_shared(row: Row, scores: Sequence[SampleScores | None]) -> Row:
    """Tell apart what seeds and samples do in the metrics whose contributions are stored for every seed."""
    found = {name: shared_sampling(scores, name) for name in row.seed_estimates}
    known = {name: (row.seed_estimates[name], shared) for name, shared in found.items() if shared is not None}
    return replace(
        row,
        metrics={**row.metrics, **{name: combine_seeds(seeds, shared) for name, (seeds, shared) in known.items()}},
        spreads=row.spreads if row.by_prompt
        else {**row.spreads, **{name: spread_of_seeds(seeds, shared) for name, (seeds, shared) in known.items()}},
    )  # fmt: skip


def _row(own: RowRecords, signature: str | None, known: KnownRow | None = None) -> Row:
    done, shown = own.done, own.shown
    last = shown[-1]
    failed = [cell for cell in own.records if cell.status != "ok"]
    by_prompt = _by_prompt(done)
    known = known or _averaged(done, by_prompt)
    return Row(
        task=last.task,
        data=last.data,
        data_digest=last.data_digest,
        split=last.split,
        signature=signature,
        model=last.model,
        control=last.control,
        status=failed[0].status if failed else "ok",
        error=failed[0].error if failed else None,
        seeds=tuple(dict.fromkeys(cell.seed for cell in shown)),
        metrics=known.metrics,
        efficiency=_combined_efficiency(done),
        device=last.device,
        fingerprints=own.fingerprints,
        ceilings=last.ceilings,
        learnable=_learnable(done),
        samples=evaluated_samples(last),
        failed_samples={} if done else failed_samples(last),
        service=last.provenance.get(SERVICE, {}),
        seed_estimates=_seed_estimates(known.metrics, by_prompt or done),
        spreads=known.spreads,
        rank=known.rank,
        verdict=known.verdict,
        by_prompt=by_prompt,
        parent=parent_of(last),
        trained_as=setting_key(last) if last.cell else "",
        variant=variant_facts(done),
        trials=tuple(found for cell in done if (found := trial_scores(cell)) is not None),
        sequences=_sequences(done),
        setting=own.setting,
        older=own.older,
        replaced=own.replaced,
    )  # fmt: skip


def _averaged(done: Sequence[RunRecord], by_prompt: Sequence[PromptScores]) -> KnownRow:
    """What is found out of a row by itself; ranks and marks are those of a table."""
    metrics = mean_over_prompts(by_prompt) if by_prompt else _combined_metrics(done)
    seeds = {} if by_prompt else _seed_estimates(metrics, done)
    return KnownRow(metrics, {name: spread_of_seeds(estimates) for name, estimates in seeds.items()}, None, None)


def _seed_estimates(
    metrics: Mapping[str, Estimate | None], units: Sequence[PromptScores] | Sequence[RunRecord]
) -> dict[str, tuple[Estimate, ...]]:
    """The score of each seed, or of each prompt, by metric."""
    return {
        name: tuple(e for unit in units if (e := unit.metrics[name]) is not None)
        for name, estimate in metrics.items()
        if estimate is not None
    }


def _sequences(cells: Sequence[RunRecord]) -> tuple[SequenceScores, ...]:
    """The sequences of some seeds; none where a seed lacks its own, or has that of other samples."""
    found = [own for cell in cells if (own := sequence_scores(cell)) is not None]
    return tuple(found) if len(found) == len(cells) and len({own.same for own in found}) == 1 else ()


def _by_prompt(cells: Sequence[RunRecord]) -> tuple[PromptScores, ...]:
    """The scores of each prompt, its seeds taken together; none for a single prompt."""
    found: dict[str, list[RunRecord]] = {}
    for cell in cells:
        found.setdefault(prompt_of(cell), []).append(cell)
    return tuple(
        PromptScores(prompt, tuple(cell.fingerprint for cell in own), _combined_metrics(own))
        for prompt, own in found.items()
        if len(found) > 1
    )


def _learnable(cells: Sequence[RunRecord]) -> bool | None:
    """Whether every seed could fit 32 samples; None where that was not asked."""
    asked = [cell.provenance.get("training", {}).get("learnable") for cell in cells]
    known = [answer for answer in asked if answer is not None]
    return all(known) if known else None


def _combined_metrics(cells: Sequence[RunRecord]) -> dict[str, Estimate | None]:
    names = list(dict.fromkeys(name for cell in cells for name in cell.metrics))
    combined: dict[str, Estimate | None] = {}
    for name in names:
        estimates = [cell.metrics.get(name) for cell in cells]
        present = [e for e in estimates if e is not None]
        combined[name] = combine_seeds(present) if len(present) == len(estimates) else None
    return combined


def _combined_efficiency(cells: Sequence[RunRecord]) -> Efficiency:
    """Median over seeds of what was measured on the device of the last one; the rest is equal for all of them."""
    if not cells:
        return Efficiency()
    values = dict(vars(cells[-1].efficiency))
    cells = [cell for cell in cells if cell.device == cells[-1].device]
    for name, value in values.items():
        measured = sorted(v for v in (getattr(cell.efficiency, name) for cell in cells) if isinstance(v, float))
        if isinstance(value, float) and measured:
            values[name] = measured[len(measured) // 2]
    return Efficiency(**values)


def _order(row: Row, metrics: Sequence[str]) -> tuple[int, float, str]:
    present = (row.metrics.get(name) for name in metrics)  # multi-label data has no top-1: mAP ranks there
    first = next((estimate for estimate in present if estimate is not None), None)
    return (0, -first.value, row.model) if first else (1, 0.0, row.model)
