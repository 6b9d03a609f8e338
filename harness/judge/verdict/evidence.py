"""What the stored records know of a fused model and its controls: seeds, sample scores, perturbed scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from harness.judge.explained import ReadExplained
from harness.judge.record_settings import code_key, of_newest_code, setting_key, settings_of_row, telling_names
from harness.judge.robustness.row import RobustnessRow
from harness.judge.verdict.needs import NO_CONTROL, able_unfused_of, unfused_of
from harness.judge.verdict.settings import (
    LIMIT,
    MODEL_CODE,
    SEQUENCE,
    SHOTS,
    TUNE,
    record_settings_of,
    remedies_told,
    unmatched,
)
from harness.judge.verdict.verdict import ClaimScope
from harness.record import ExplanationRecord, RobustnessRecord, RunRecord, name_of
from harness.records.group_columns import GroupColumns
from harness.stats.sample_scores import SampleScores

LADDER = ("C0", "C1", "C2", "C3", "C4")
ReadScores = Callable[[str, str, str | None], SampleScores | None]
"""(task, fingerprint, condition or None for clean) -> what each sample contributes; None where it was not stored."""


@dataclass(frozen=True)
class Options:
    """What a user may say.

    `margin` is the smallest difference of interest, in the metric's unit. `stand_in` names the un-fused model that is
    C0 of models which offer none. `results` is the folder that commands are to write to, as the user named it.
    `groups` are the columns by which claim group-bias divides samples; None for the slices of the task.
    """

    margin: float = 0.01
    stand_in: str | None = None
    results: str | None = None
    groups: GroupColumns | None = None


@dataclass(frozen=True)
class FusionControls:
    """What the installed plugins say: the controls of each fused model that serves the task, and un-fused models."""

    controls: Mapping[str, tuple[str, ...]]
    unfused: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """The seeds of one model or control under the same settings; all of its records are ok."""

    model: str
    control: str | None
    records: tuple[RunRecord, ...]

    @property
    def name(self) -> str:
        """The model, with its control in brackets."""
        return name_of(self.model, self.control)

    @cached_property
    def by_seed(self) -> dict[int, RunRecord]:
        """The record of each seed, ascending."""
        return {record.seed: record for record in sorted(self.records, key=lambda record: record.seed)}

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What its training and evaluation were told."""
        return record_settings_of(self.records[0])

    @property
    def created(self) -> str:
        """When its newest record was made."""
        return max(record.created for record in self.records)

    @property
    def learnable(self) -> bool | None:
        """Whether every seed could fit 32 samples; None where the gate was not run and something was trained."""
        answers = [_learnable(record) for record in self.records]
        if any(answer is False for answer in answers):
            return False
        return True if all(answers) else None


@dataclass(frozen=True)
class Evidence:
    """All comparable records of a task on some data: the table that verdicts are made of."""

    scope: ClaimScope
    groups: tuple[Group, ...]
    fusion: FusionControls
    read: ReadScores
    sweeps: Mapping[str, RobustnessRecord] = field(default_factory=dict)
    options: Options = field(default_factory=Options)
    explained: Mapping[str, ExplanationRecord] = field(default_factory=dict)
    read_explained: ReadExplained = lambda record, table: None

    @property
    def metric(self) -> str:
        """The metric that ranks."""
        return self.scope.metric

    def heads(self) -> list[Group]:
        """The fused models by name, each in the setting of the most training samples.

        Those of one domain and no number of shots come first. Of several the newest code counts, then the most matched
        controls, then the model by itself (its own policy of tuning, no remedy in training), then the newest records:
        so runs that another claim has asked for, such as tuned ones, take no other claim's place.
        """
        found: dict[str, list[Group]] = {}
        for group in sorted(self.fused_groups(), key=lambda group: group.created, reverse=True):
            found.setdefault(group.model, []).append(group)
        return [self._head(found[name]) for name in sorted(found)]

    def _head(self, every: Sequence[Group]) -> Group:
        newest_first = [
            group for group in every if not group.settings.get(SEQUENCE) and not group.settings.get(SHOTS)
        ] or every
        most = max(training_limit(group) or math.inf for group in newest_first)
        left = [group for group in newest_first if (training_limit(group) or math.inf) == most]
        if len(left) == 1:
            return left[0]
        return max(_of_newest_code(left), key=lambda group: (self._controls_of(group), _as_it_is(group)))

    def _controls_of(self, group: Group) -> int:
        """Count the controls of the ladder that were run with the same settings."""
        offered = self.fusion.controls.get(group.model, ())
        return sum(isinstance(self.control(group, name), Group) for name in LADDER if name in offered)

    def fused_groups(self) -> list[Group]:
        """Every setting of every fused model."""
        return [g for g in self.groups if g.control is None and g.model in self.fusion.controls]

    def choices(self, heads: Sequence[Group]) -> list[str]:
        """Say of each model with several settings of the same code which of them is judged, and which are not."""
        return [told for head in heads if (told := self._choice(head))]

    def _choice(self, head: Group) -> str:
        newest_first = sorted(self.fused_groups(), key=lambda group: group.created, reverse=True)
        others = [g for g in _of_newest_code([g for g in newest_first if g.model == head.model]) if g is not head]
        if not others:
            return ""
        own, *rest = telling_names([settings_of_row(group.records[0]) for group in (head, *others)])
        left = "; ".join(name or "as it is by itself" for name in rest)
        chosen = "of the most training samples, then of the most controls, then the newest"
        return f"{head.model} is judged {_with(own)}: its setting {chosen}; not {left}"

    def control(self, head: Group, control: str) -> Group | str:
        """Find a control of the same settings as the model, the newest of several; or say why there is none."""
        return self.matched(head, [g for g in self.groups if (g.model, g.control) == (head.model, control)], control)

    def stand_in(self, head: Group) -> Group | str:
        """Find the un-fused model that the user named as C0."""
        name = self.options.stand_in
        found = [g for g in self.groups if (g.model, g.control) == (name, None)]
        return self.matched(head, found, f"{name} (as C0)", (MODEL_CODE,))

    def matched(self, head: Group, found: Sequence[Group], name: str, free: tuple[str, ...] = ()) -> Group | str:
        """Choose the newest of some groups whose settings fit the model's; or say why there is none.

        The tuning policy is of the fused model alone: a control without a language model has none.
        """
        if not found:
            return f"{name} was not run"
        differing = [(group, _differences(head, group, free)) for group in found]
        equal = [group for group, differences in differing if not differences]
        if equal:
            return max(equal, key=lambda group: group.created)
        return f"{name} is not matched: {min((d for _, d in differing), key=len)[0]}"

    def unfused(self, head: Group, *, able: bool = False) -> tuple[str, Group | str]:
        """Find what stands for vision alone: C0, else the user's stand-in, else C1; with its name.

        `able`: what is above chance by the metric that ranks, which is C4 where that is about unseen classes.
        """
        asked = head.model, self.fusion.controls.get(head.model, ()), self.options.stand_in
        wanted = able_unfused_of(*asked, self.metric) if able else unfused_of(*asked)
        if wanted is None:
            return "C0", NO_CONTROL
        return wanted.name, self.stand_in(head) if wanted.control is None else self.control(head, wanted.control)

    def robustness_of(self, group: Group) -> dict[int, RobustnessRecord]:
        """Robustness records of a group's models, by seed."""
        found = {seed: self.sweeps.get(record.fingerprint) for seed, record in group.by_seed.items()}
        return {seed: sweep for seed, sweep in found.items() if sweep is not None}

    def explanations_of(self, group: Group) -> dict[int, ExplanationRecord]:
        """Records of explanations of a group's models, by seed."""
        found = {seed: self.explained.get(record.fingerprint) for seed, record in group.by_seed.items()}
        return {seed: record for seed, record in found.items() if record is not None}

    @cached_property
    def robustness(self) -> list[RobustnessRow]:
        """The rows of `bench robustness`, for the fit of effective robustness."""
        from harness.judge.robustness.summary import summaries

        runs = [record for group in self.groups for record in group.records]
        known = {record.fingerprint for record in runs}
        sweeps = [sweep for name, sweep in self.sweeps.items() if name in known]
        return summaries(sweeps, runs, None, self.fusion.unfused)


def _of_newest_code(groups: Sequence[Group]) -> list[Group]:
    """Those of some groups of a model, newest first, that are of the code of the newest (`of_newest_code`)."""
    current = set(map(id, of_newest_code([group.records[0] for group in reversed(groups)])))
    return [group for group in groups if id(group.records[0]) in current]


def gather(
    records: Sequence[RunRecord],
    sweeps: Sequence[RobustnessRecord],
    metrics: Sequence[str],
    fusion: FusionControls,
    read: ReadScores,
    options: Options | None = None,
    explained: Sequence[ExplanationRecord] = (),
    read_explained: ReadExplained = lambda record, table: None,
) -> list[Evidence]:
    """Sort records into tables of comparable ones, oldest first; `metrics` are the task's, the first one ranks."""
    tables: dict[tuple[Any, ...], list[RunRecord]] = {}
    for record in records:
        if record.status == "ok" and record.signature is not None:
            limit = record.cell.get("evaluate", {}).get("limit")
            key = (record.task, record.data, record.data_digest, record.split, record.signature, limit)
            tables.setdefault(key, []).append(record)
    by_fingerprint = {sweep.fingerprint: sweep for sweep in sweeps}
    of_maps = {record.fingerprint: record for record in explained}
    return [
        Evidence(
            _scope(key, table, metrics),
            _groups(table),
            fusion,
            read,
            by_fingerprint,
            options or Options(),
            of_maps,
            read_explained,
        )
        for key, table in tables.items()
    ]


def _scope(key: tuple[Any, ...], table: Sequence[RunRecord], metrics: Sequence[str]) -> ClaimScope:
    """The metric is the first of the task's that any record has: multi-label data has no top-1."""
    present = {name for record in table for name, estimate in record.metrics.items() if estimate is not None}
    metric = next((name for name in metrics if name in present), metrics[0] if metrics else "")
    counts = [e.count for record in table for e in record.metrics.values() if e is not None]
    task, data, digest, split, signature, limit = key
    return ClaimScope(task, data, digest, split, signature, limit, metric, max(counts, default=0))


def _groups(table: Sequence[RunRecord]) -> tuple[Group, ...]:
    groups: dict[tuple[str, str | None, str, str], dict[int, RunRecord]] = {}
    for record in sorted(table, key=lambda record: (record.created, record.fingerprint)):
        key = (record.model, record.control, setting_key(record), code_key(record))
        groups.setdefault(key, {})[record.seed] = record
    return tuple(Group(model, control, tuple(seeds.values())) for (model, control, *_), seeds in groups.items())


def _differences(head: Group, group: Group, free: tuple[str, ...]) -> list[str]:
    without = (TUNE,) if group.settings.get(TUNE) is None else ()
    return unmatched(head.settings, group.settings, (*free, *without))


def _learnable(record: RunRecord) -> bool | None:
    """A model that is fitted in one pass, or not trained at all, has no gate to pass."""
    asked: bool | None = record.provenance.get("training", {}).get("learnable")
    if asked is not None:
        return asked
    gated = record.cell.get("training", {}).get("train", {}).get("gate_steps", 0) > 0
    return True if gated or record.efficiency.parameters_trainable == 0 else None


def finite(record: RunRecord, metric: str) -> str | None:
    """Say why a record's score by a metric cannot be used; None where it can."""
    estimate = record.metrics.get(metric)
    if estimate is None:
        return f"{metric} is absent in seed {record.seed} of {record.model}"
    if not estimate.is_finite:
        return f"{metric} of {record.model}, seed {record.seed} ({record.fingerprint}) is not a finite number"
    return None


def training_limit(group: Group) -> int | None:
    """On how many training samples a group was trained at most; None for all."""
    limit: int | None = group.settings.get(LIMIT)
    return limit


def _as_it_is(group: Group) -> bool:
    """Whether nobody chose how its language model was tuned, nor a remedy for its training."""
    tuned = group.records[0].cell.get("training", {}).get("options", {}).get("tune")
    return not tuned and not remedies_told(group.settings)


def _with(setting: str) -> str:
    return f"with {setting}" if setting else "as it is by itself"
