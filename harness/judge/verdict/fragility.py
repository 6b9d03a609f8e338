"""Claim fragility: the fused model is fragile under corruption, more than its clean score explains.

Where un-fused models give a fit (Taori et al. 2020), the sign of effective robustness decides. Elsewhere two numbers
beside each other, F against vision alone, since a ratio flatters weak models and a difference strong ones:

    drop = (mPC_F - clean_F) - (mPC_C - clean_C)                      below 0: F loses more
    MMI  = loss_F - loss_C, loss = (clean - mPC) / (clean - chance)   above 0: F loses more

over the same corruptions and samples, with intervals over seeds and samples. Fragile where both are shown to say so;
refuted ("the drop is explained by clean accuracy") where neither the drop exceeds the margin nor MMI the same margin.
Where the metric that ranks is of classes unseen in training, C is C4: vision alone is at chance there, and a drop of
chance says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.judge.robustness.cells import CLEAN_NAME, STANDARD_CELLS, GridCell
from harness.judge.robustness.row import RobustnessRow
from harness.judge.verdict.comparison import decidable, few_samples, few_seeds, number, sample_values
from harness.judge.verdict.evidence import Evidence, Group
from harness.judge.verdict.missing_runs import run_command
from harness.judge.verdict.needs import (
    NO_CONTROL,
    ClaimNeeds,
    ClaimSubject,
    NeededRun,
    able_unfused_of,
    pair_of,
)
from harness.judge.verdict.verdict import (
    FRAGILITY_CLAIM,
    INCONCLUSIVE,
    LEVEL,
    NOT_SUPPORTED,
    SUPPORTED,
    Number,
    Verdict,
)
from harness.record import Estimate, RobustnessRecord
from harness.stats.difference import Difference, unpaired_difference, weighted_difference
from harness.stats.resampling import FloatArray
from harness.stats.seed_variance import mean_standard_error, without_interval

_EXPLAINED = "the drop is explained by clean accuracy"
_PERTURB = ["--controls", "--perturb standard"]


@dataclass(frozen=True)
class Bearing:
    """One model's clean and mean perturbed score by seed: `[seeds, samples]`, or `[seeds]` with errors."""

    clean: FloatArray
    perturbed: FloatArray
    clean_error: float = 0.0
    perturbed_error: float = 0.0


def needs(subject: ClaimSubject) -> ClaimNeeds:
    """The model and what is above chance without language, both under the standard corruptions."""
    cells = [f"{name}:{severity}" for name, severity in STANDARD_CELLS if severity in subject.breadth.severities]
    unfused = able_unfused_of(subject.model, subject.controls, subject.stand_in, next(iter(subject.metrics), ""))
    return pair_of(subject, unfused, NeededRun("", conditions=tuple(cells)))


def judge_all(evidence: Evidence, heads: list[Group]) -> list[Verdict]:
    """Decide claim fragility about each fused model, or once where no model of the table was perturbed."""
    if not heads:
        return []
    if not any(evidence.robustness_of(group) for group in evidence.groups):
        command = run_command(next(iter(heads[0].by_seed.values())), evidence.options.results, _PERTURB)
        return [Verdict(FRAGILITY_CLAIM, None, INCONCLUSIVE, "no model was perturbed", missing=(command,))]
    return [_judge(evidence, head) for head in heads]


def _judge(evidence: Evidence, head: Group) -> Verdict:
    row = _row(evidence, head)
    numbers = _side_numbers(row)
    command = run_command(next(iter(head.by_seed.values())), evidence.options.results, _PERTURB)
    effective = row.effective.get("mPC") if row else None
    figure = effective.figure if effective else None
    if row and figure and figure.value is not None and figure.low is not None and figure.high is not None:
        shown = Number("effective robustness (mPC)", figure.value, figure.low, figure.high)
        few = few_seeds(len(row.seeds))
        if few is not None:
            return Verdict(
                FRAGILITY_CLAIM, head.model, INCONCLUSIVE, few, (shown, *numbers), (f"{few} perturbed", command)
            )
        return _by_sign(evidence, head, shown, numbers)
    name, plain = evidence.unfused(head, able=True)
    if isinstance(plain, str):
        return Verdict(
            FRAGILITY_CLAIM,
            head.model,
            INCONCLUSIVE,
            plain,
            numbers,
            (plain, *([] if plain == NO_CONTROL else [command])),
        )
    compared = _compare(evidence, head, plain)
    if isinstance(compared, str):
        return Verdict(FRAGILITY_CLAIM, head.model, INCONCLUSIVE, compared, numbers, (compared, command))
    drop, impact = compared
    why = f"no fit: {figure.reason}" if figure and figure.reason else "no fit"
    own = (number(f"drop F − {name}", drop, why), number(f"MMI F − {name}", impact), *numbers)
    few = few_seeds(drop.seeds)
    if few is not None:
        return Verdict(FRAGILITY_CLAIM, head.model, INCONCLUSIVE, few, own, (f"{few} perturbed", command))
    return _by_both(evidence, head, (drop, impact), own)


def _by_sign(evidence: Evidence, head: Group, shown: Number, numbers: tuple[Number, ...]) -> Verdict:
    low, high = shown.low or 0.0, shown.high or 0.0
    own = (shown, *numbers)
    if high < 0:
        return Verdict(FRAGILITY_CLAIM, head.model, SUPPORTED, f"{shown.shown} is below 0", own)
    if low > -evidence.options.margin:
        return Verdict(FRAGILITY_CLAIM, head.model, NOT_SUPPORTED, f"{_EXPLAINED}: {shown.shown}", own)
    missing = ("more seeds, more samples (--set perturb.limit=…) or more un-fused models in the fit",)
    return Verdict(FRAGILITY_CLAIM, head.model, INCONCLUSIVE, f"the sign is open: {shown.shown}", own, missing)


def _by_both(
    evidence: Evidence, head: Group, found: tuple[Difference, Difference], numbers: tuple[Number, ...]
) -> Verdict:
    (drop, impact), margin = found, evidence.options.margin
    shown = f"{numbers[0].shown}, {numbers[1].shown}"
    if drop.high < 0 and impact.low > 0:
        return Verdict(FRAGILITY_CLAIM, head.model, SUPPORTED, f"loses more: {shown}", numbers)
    if drop.low > -margin and impact.high < margin:
        return Verdict(FRAGILITY_CLAIM, head.model, NOT_SUPPORTED, f"{_EXPLAINED}: {shown}", numbers)
    missing = (f"more {drop.needs}: {drop.detectable:.3f} would be found (samples: --set perturb.limit=…)",)
    return Verdict(FRAGILITY_CLAIM, head.model, INCONCLUSIVE, f"not told apart: {shown}", numbers, missing)


def _row(evidence: Evidence, head: Group) -> RobustnessRow | None:
    prints = {record.fingerprint for record in head.records}
    rows = [row for row in evidence.robustness if set(row.fingerprints) <= prints]
    return max(rows, key=lambda row: len(row.seeds), default=None)


def _side_numbers(row: RobustnessRow | None) -> tuple[Number, ...]:
    """What the model loses to corrupted images and misspelt texts; that others read none is no robustness."""
    if row is None:
        return ()
    figures = {"MMI image": row.mmi_image.overall, "MMI text": row.mmi_text.overall, "mPC": row.corruption.mpc}
    return tuple(Number(name, f.value, f.low, f.high, kind=LEVEL) for name, f in figures.items() if f.value is not None)


def _compare(evidence: Evidence, head: Group, plain: Group) -> tuple[Difference, Difference] | str:
    ours, theirs = evidence.robustness_of(head), evidence.robustness_of(plain)
    seeds = sorted(ours.keys() & theirs.keys())
    if not seeds:
        return f"{head.name if not ours else plain.name} was not perturbed"
    sweeps = [ours[seed] for seed in seeds] + [theirs[seed] for seed in seeds]
    if len({(s.limit, s.shortest_px, s.metric, s.signature) for s in sweeps}) > 1:
        return "the two were perturbed on other samples or another canvas"
    cells = _cells(sweeps)
    if isinstance(cells, str):
        return cells
    chance = sweeps[0].chance
    for sweep in sweeps:
        clean = _estimate(sweep, (CLEAN_NAME, 0))
        if clean is None or clean.low is None or clean.low <= chance:
            return f"clean is not clearly above chance ({chance:.3f}) in seed {sweep.seed} of {sweep.model}"
    count = min(e.count for s in sweeps if (e := _estimate(s, (CLEAN_NAME, 0))) is not None)
    paired = _paired(evidence, (head, plain), seeds, cells)
    if paired is not None:
        (f, c), clusters = paired
        drop = weighted_difference((1, -1, -1, 1), (f.perturbed, f.clean, c.perturbed, c.clean), clusters)
        losses = (_linear_loss(f, chance), _linear_loss(c, chance))
        return _both(decidable(drop), decidable(weighted_difference((1, -1), losses, clusters)))
    few = few_samples(count)
    if few is not None:
        return few
    used = [e for sweep in sweeps for cell in ((CLEAN_NAME, 0), *cells) if (e := _estimate(sweep, cell)) is not None]
    if reason := without_interval(used):
        return f"a score has no interval ({reason})"
    f, c = (_from_records([by[seed] for seed in seeds], cells) for by in (ours, theirs))
    return _unpaired(f, c, chance, count)


def _both(drop: Difference | str, impact: Difference | str) -> tuple[Difference, Difference] | str:
    """Both differences, or why one of them decides nothing."""
    if isinstance(drop, str):
        return drop
    return impact if isinstance(impact, str) else (drop, impact)


def _cells(sweeps: Sequence[RobustnessRecord]) -> tuple[GridCell, ...] | str:
    """The standard cells that any of the robustness runs had; all must have all of them."""
    run = [{(s.perturbation, s.severity) for s in sweep.scores} for sweep in sweeps]
    cells = tuple(cell for cell in STANDARD_CELLS if any(cell in names for names in run))
    for sweep in sweeps:
        lacking = next((cell for cell in cells if _estimate(sweep, cell) is None), None)
        if lacking is not None:
            return f"{lacking[0]} {lacking[1]} has no score in seed {sweep.seed} of {sweep.model}"
    return cells or "none of the standard corruptions was run"


def _estimate(sweep: RobustnessRecord, cell: GridCell) -> Estimate | None:
    found = next((s for s in sweep.scores if (s.perturbation, s.severity) == cell), None)
    estimate = found.metrics.get(sweep.metric) if found and found.status == "ok" else None
    return estimate if estimate is not None and np.isfinite(estimate.value) else None


def _paired(
    evidence: Evidence, groups: tuple[Group, Group], seeds: Sequence[int], cells: Sequence[GridCell]
) -> tuple[tuple[Bearing, Bearing], tuple[str, ...]] | None:
    """Read all contributions, `[2, seeds, samples]` a condition; None where any is not stored."""
    terms = [(1.0, group) for group in groups]
    clean = sample_values(evidence.read, evidence.metric, terms, seeds, f"{CLEAN_NAME}-0")
    if clean is None:
        return None
    total = np.zeros_like(clean.values)
    for name, severity in cells:
        found = sample_values(evidence.read, evidence.metric, terms, seeds, f"{name}-{severity}")
        if found is None or found.clusters != clean.clusters:
            return None
        total += found.values
    mean = total / len(cells)
    return (Bearing(clean.values[0], mean[0]), Bearing(clean.values[1], mean[1])), clean.clusters


def _linear_loss(bearing: Bearing, chance: float) -> FloatArray:
    """[seeds, samples] numbers whose mean over samples is MMI, linear in the samples drawn."""
    clean, perturbed = bearing.clean - chance, bearing.perturbed - chance
    below = clean.mean(axis=1, keepdims=True)
    kept = perturbed.mean(axis=1, keepdims=True) / below
    return np.asarray(1 - kept - (perturbed - kept * clean) / below)


def _from_records(sweeps: Sequence[RobustnessRecord], cells: Sequence[GridCell]) -> Bearing:
    clean = [e for s in sweeps if (e := _estimate(s, (CLEAN_NAME, 0))) is not None]
    under = [[e for cell in cells if (e := _estimate(s, cell)) is not None] for s in sweeps]
    return Bearing(
        clean=np.array([e.value for e in clean]),
        perturbed=np.array([np.mean([e.value for e in of_seed]) for of_seed in under]),
        clean_error=mean_standard_error(clean) or 0.0,
        perturbed_error=mean_standard_error([e for es in under for e in es]) or 0.0,
    )


def _unpaired(f: Bearing, c: Bearing, chance: float, count: int) -> tuple[Difference, Difference]:
    """From the records' intervals: those of one model as fully correlated, the two models as independent."""
    drop = (f.perturbed - f.clean) - (c.perturbed - c.clean)
    drop_variance = sum((b.perturbed_error + b.clean_error) ** 2 for b in (f, c))
    losses, variance = [], 0.0
    for bearing in (f, c):
        clean, perturbed = bearing.clean - chance, bearing.perturbed - chance
        losses.append((clean - perturbed) / clean)
        slopes = (float(np.mean(1 / clean)), float(np.mean(perturbed / clean**2)))
        variance += (slopes[0] * bearing.perturbed_error + abs(slopes[1]) * bearing.clean_error) ** 2
    return unpaired_difference(drop, drop_variance, count), unpaired_difference(losses[0] - losses[1], variance, count)
