"""Claim label-efficiency: fusion needs fewer labels: the area under the score over log2 n, F against vision alone.

n counts the labels of validation too, which select the checkpoint. Where each sample has one class, subsets have k
samples of each (`train.shots`), nested, drawn anew with each seed, so that the interval is over draws as well; all
samples are one of them. Else training takes the first n samples (`train.limit`): nested subsets that are the same for
every seed, so the interval is about this one nest. Area: trapezoids over log2 n, divided by its range, which makes it a
mean score. Labels that are saved: see `harness.judge.verdict.labels_saved`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from harness.judge.verdict.comparison import Term, common_seeds, contrast_with_control, few_seeds, number
from harness.judge.verdict.evidence import Evidence, Group
from harness.judge.verdict.labels_saved import labels_saved
from harness.judge.verdict.missing_runs import run_command
from harness.judge.verdict.needs import (
    NO_CONTROL,
    SUGGESTED_SHOTS,
    SUGGESTED_SIZES,
    ClaimNeeds,
    ClaimSubject,
    NeededRun,
    beside_unfused,
    unfused_of,
)
from harness.judge.verdict.settings import LIMIT, MODEL_CODE, SHOTS, TUNE, unmatched
from harness.judge.verdict.verdict import INCONCLUSIVE, LABEL_EFFICIENCY_CLAIM, NOT_SUPPORTED, SUPPORTED, Verdict

LEAST_SIZES = 3
_CAVEAT = "one nest of subsets, validation labels counted"
_DRAWN = "subsets drawn with each seed, validation labels counted"


@dataclass(frozen=True)
class _Way:
    """How the number of samples is set: the setting that differs, what a table calls its values, and the caveat."""

    setting: str
    suggested: tuple[int, ...]
    caveat: str

    def command(self, evidence: Evidence, head: Group, size: int) -> str:
        """The command that makes the runs of one size; of 0 those on all samples."""
        like = next(iter(head.by_seed.values()))
        chosen = [f"--set {self.setting}={size}"] if size else []
        return run_command(like, evidence.options.results, ["--controls", *chosen])


_BY_SHOTS = _Way(SHOTS, SUGGESTED_SHOTS, _DRAWN)
_BY_LIMIT = _Way(LIMIT, SUGGESTED_SIZES, _CAVEAT)


def needs(subject: ClaimSubject) -> ClaimNeeds:
    """The model and vision alone, trained on each of several numbers of samples, and on all: these are judged."""
    if subject.one_class:
        return _of_all([beside_unfused(subject, shots=k) for k in subject.breadth.shots], beside_unfused(subject))
    sizes = subject.breadth.sizes
    if len(sizes) < LEAST_SIZES:
        return f"{len(sizes)} numbers of training samples; wanted {LEAST_SIZES}"
    return _of_all([beside_unfused(subject, limit=size) for size in sizes], (NeededRun(subject.model),))


def _of_all(of_sizes: list[ClaimNeeds], whole: ClaimNeeds) -> ClaimNeeds:
    """The runs on all samples, then those of each size; or why there are none."""
    every = [whole, *of_sizes]
    reason = next((each for each in every if isinstance(each, str)), None)
    return reason or tuple(run for each in every if not isinstance(each, str) for run in each)


def judge_all(evidence: Evidence, heads: list[Group]) -> list[Verdict]:
    """Decide claim label-efficiency about each model that was trained on several sizes, or once where none was."""
    ways = [(head, way) for head in heads if (way := _way(evidence, head)) is not None]
    verdicts = [_judge(evidence, head, way) for head, way in ways]
    if verdicts or not heads:
        return verdicts
    commands = [_BY_LIMIT.command(evidence, heads[0], size) for size in SUGGESTED_SIZES[:LEAST_SIZES]]
    reason = "no model was trained on several numbers of samples"
    return [Verdict(LABEL_EFFICIENCY_CLAIM, None, INCONCLUSIVE, reason, missing=tuple(commands))]


def _way(evidence: Evidence, head: Group) -> _Way | None:
    """By which setting a model was trained on several numbers of samples; by shots where both."""
    return next((way for way in (_BY_SHOTS, _BY_LIMIT) if len(_sizes(evidence, head, None, way)) > 1), None)


def area_weights(labels: list[int]) -> list[float]:
    """Weigh each size so that the sum of weight x score is the mean over log2 n; sizes ascending, two or more.

    >>> [round(weight, 3) for weight in area_weights([100, 200, 800])]
    [0.167, 0.5, 0.333]
    """
    places = np.log2(labels)
    gaps = np.diff(places) / (places[-1] - places[0])
    return [float(w) for w in (np.append(gaps, 0) + np.append(0, gaps)) / 2]


def _judge(evidence: Evidence, head: Group, way: _Way) -> Verdict:
    name, control = _unfused_control(evidence, head)
    if control is None:
        return Verdict(LABEL_EFFICIENCY_CLAIM, head.model, INCONCLUSIVE, NO_CONTROL, (), (NO_CONTROL,))
    fused, plain = _sizes(evidence, head, None, way), _sizes(evidence, head, control, way)
    sizes = sorted(fused.keys() & plain.keys(), key=lambda size: size or math.inf)
    lacking = sorted((fused.keys() | plain.keys()) - set(sizes))
    missing_runs = [way.command(evidence, head, size) for size in lacking]
    if len(sizes) < LEAST_SIZES:
        more = [size for size in way.suggested if size not in fused and size not in plain]
        missing_runs += [way.command(evidence, head, size) for size in more[: LEAST_SIZES - len(sizes) - len(lacking)]]
        reason = f"{len(sizes)} numbers of training samples with {name} beside; wanted {LEAST_SIZES}"
        return Verdict(LABEL_EFFICIENCY_CLAIM, head.model, INCONCLUSIVE, reason, (), tuple(missing_runs))
    curve = [(_labels(fused[size], size, way), fused[size], plain[size]) for size in sizes]
    groups = [group for _, *pair in curve for group in pair]
    terms: list[Term] = []
    for weight, (_, ours, theirs) in zip(area_weights([labels for labels, *_ in curve]), curve, strict=True):
        terms += [(weight, ours), (-weight, theirs)]
    found = contrast_with_control(evidence, evidence.metric, terms)
    if isinstance(found, str):
        return Verdict(LABEL_EFFICIENCY_CLAIM, head.model, INCONCLUSIVE, found, (), (found, *missing_runs))
    shown_sizes = ", ".join(str(size) if size else "all" for size in sizes)
    note = f"{'k' if way is _BY_SHOTS else 'n'} = {shown_sizes}; {way.caveat}"
    numbers = (number(f"area F − {name}", found, note), *labels_saved(evidence, name, curve))
    few = few_seeds(len(common_seeds(groups)))
    if few is not None:
        commands = tuple(way.command(evidence, head, size) for size in sizes)
        return Verdict(LABEL_EFFICIENCY_CLAIM, head.model, INCONCLUSIVE, few, numbers, (few, *commands))
    ends = f"n = {curve[0][0]}..{curve[-1][0]}" if way is _BY_SHOTS else f"n = {sizes[0]}..{sizes[-1]}"
    shown = f"area F − {name} {found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}] over {ends}"
    if found.high < evidence.options.margin:
        return Verdict(
            LABEL_EFFICIENCY_CLAIM, head.model, NOT_SUPPORTED, f"{shown} is below {evidence.options.margin:g}", numbers
        )
    if found.low > 0:
        return Verdict(LABEL_EFFICIENCY_CLAIM, head.model, SUPPORTED, f"{shown} ({way.caveat})", numbers)
    missing = (f"more {found.needs}: {found.detectable:.3f} would be found", *missing_runs)
    return Verdict(LABEL_EFFICIENCY_CLAIM, head.model, INCONCLUSIVE, f"not told apart: {shown}", numbers, missing)


def _unfused_control(evidence: Evidence, head: Group) -> tuple[str, tuple[str, str | None] | None]:
    """Name what stands for vision alone as (model, control): C0, the stand-in, or C1."""
    found = unfused_of(head.model, evidence.fusion.controls.get(head.model, ()), evidence.options.stand_in)
    return ("C0", None) if found is None else (found.name, (found.model, found.control))


def _sizes(evidence: Evidence, head: Group, control: tuple[str, str | None] | None, way: _Way) -> dict[int, Group]:
    """Find the records of one model that differ from the head in nothing but the number of training samples.

    All samples are size 0, which counts where numbers are of each class.
    """
    model, kind = control or (head.model, None)
    found: dict[int, Group] = {}
    for group in sorted(evidence.groups, key=lambda group: group.created):
        size: int | None = group.settings.get(way.setting)
        free = (way.setting, TUNE) if group.settings.get(TUNE) is None else (way.setting,)
        free = free if model == head.model else (*free, MODEL_CODE)
        same = (group.model, group.control) == (model, kind) and not unmatched(head.settings, group.settings, free)
        if same and (size is not None or (way is _BY_SHOTS and _trained(group))):
            found[size or 0] = group
    return found


def _labels(group: Group, size: int, way: _Way) -> int:
    """How many labels a training has seen, those of validation, which selected the checkpoint, too."""
    trained = _trained(group) if way is _BY_SHOTS else None
    return (trained or size) + _validation(group)


def _trained(group: Group) -> int | None:
    """On how many samples a model was trained, the mean over its seeds; None where a record does not say."""
    counts = [r.provenance.get("training", {}).get("samples", {}).get("trained") for r in group.records]
    return None if None in counts else round(sum(counts) / len(counts))


def _validation(head: Group) -> int:
    """How many labels selected the checkpoint: none where there was no validation."""
    count = head.settings.get("train.validation_limit", 0)
    return int(count) if isinstance(count, int) and not math.isnan(count) else 0
