"""Which runs a claim reads: what its judge looks for among the records, said before there are any.

Each module of a claim has `needs(subject)` beside its judge, made of the same constants; `bench study` plans by them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from harness.record import name_of

LEAST_SEEDS = 5
"""No verdict below so many seeds."""
SUGGESTED_SIZES = (125, 250, 500, 1000)
"""Numbers of training samples at which label efficiency is looked at."""
SUGGESTED_SHOTS = (1, 2, 4, 8, 16, 32)
"""Training samples of each class at which it is looked at where each has one class."""
SUGGESTED_SEQUENCE = "style,light"
"""Domains of the built-in data on which forgetting is looked at."""
UNSEEN_METRICS = ("unseen-top-1", "AUSUC", "H", "AP-novel", "hIoU")
"""Metrics of classes that are unseen in training."""
NO_CONTROL = "no un-fused control is offered; name an un-fused model of this table with --stand-in"


TaskSetting = tuple[str, str | float]
"""A setting of a task by name."""


@dataclass(frozen=True)
class Breadth:
    """How much a study looks at where a claim leaves that open.

    `sizes` are numbers of training samples, `shots` of those of each class, `severities` those of the standard
    corruptions, `policies` efficient ways of tuning, `sequence` the domains that are trained on one after the other,
    a,b; "" where there are none.
    """

    sizes: tuple[int, ...] = SUGGESTED_SIZES
    severities: tuple[int, ...] = (1, 2, 3, 4, 5)
    policies: tuple[str, ...] = ("lora",)
    sequence: str = ""
    shots: tuple[int, ...] = SUGGESTED_SHOTS


@dataclass(frozen=True)
class ClaimSubject:
    """A fused model on a task, as far as it decides which runs a claim about it reads.

    `controls` are those that it offers, `metrics` the task's, `policy` is how its language model is tuned where nothing
    is said, None where it is not. `groups` counts the samples of each group, by split; `biased` are the task's settings
    under which training data tie an attribute to labels. `timed`: cost is measured.
    """

    model: str
    controls: tuple[str, ...]
    metrics: tuple[str, ...]
    policy: str | None = None
    stand_in: str | None = None
    timed: bool = True
    groups: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    biased: tuple[TaskSetting, ...] = ()
    breadth: Breadth = field(default_factory=Breadth)
    one_class: bool = False
    """Whether each training sample has one class."""


@dataclass(frozen=True)
class NeededRun:
    """One record a seed of a model or control; settings that are None are the study's own.

    `limit` is the number of training samples, `conditions` what it is perturbed by, as `--perturb` takes them, `data`
    are settings of the task, `sequence` the domains that it is trained on afterwards, a,b, `explain` the methods by
    which its answers are explained, as `--explain` takes them, `shots` the training samples of each class.
    """

    model: str
    control: str | None = None
    limit: int | None = None
    tune: str | None = None
    split: str | None = None
    conditions: tuple[str, ...] = ()
    data: tuple[TaskSetting, ...] = ()
    sequence: str | None = None
    explain: tuple[str, ...] = ()
    shots: int | None = None

    @property
    def name(self) -> str:
        """The model, with its control in brackets."""
        return name_of(self.model, self.control)

    @property
    def trained(self) -> NeededRun:
        """The same without conditions and explanations: what must be trained and scored clean."""
        return replace(self, conditions=(), explain=())


@dataclass(frozen=True)
class Unfused:
    """What stands for vision alone beside a fused model: C0, a stand-in that the user named, or C1.

    `name` is how verdicts call it. A stand-in is a `model` of its own.
    """

    name: str
    model: str
    control: str | None


ClaimNeeds = tuple[NeededRun, ...] | str
"""The runs, or why none could decide the claim."""


def unfused_of(model: str, offered: Iterable[str], stand_in: str | None) -> Unfused | None:
    """Choose what stands for vision alone: C0, else the user's stand-in, else C1; None where there is none."""
    controls = tuple(offered)
    if "C0" in controls:
        return Unfused("C0", model, "C0")
    if stand_in:
        return Unfused(f"C0 ({stand_in})", stand_in, None)
    return Unfused("C1", model, "C1") if "C1" in controls else None


def able_unfused_of(model: str, offered: Iterable[str], stand_in: str | None, metric: str) -> Unfused | None:
    """Choose what stands for vision alone and is above chance by the metric that ranks.

    Of classes that are unseen in training vision alone knows nothing: C4, which has their attributes and no language,
    stands for it there, where that is offered.
    """
    controls = tuple(offered)
    if metric in UNSEEN_METRICS and "C4" in controls:
        return Unfused("C4", model, "C4")
    return unfused_of(model, controls, stand_in)


def beside_unfused(
    subject: ClaimSubject,
    *,
    limit: int | None = None,
    split: str | None = None,
    conditions: tuple[str, ...] = (),
    data: tuple[TaskSetting, ...] = (),
    sequence: str | None = None,
    shots: int | None = None,
) -> ClaimNeeds:
    """The model and what stands for vision alone, both with the same settings; or that there is none."""
    unfused = unfused_of(subject.model, subject.controls, subject.stand_in)
    wanted = NeededRun("", None, limit, None, split, conditions, data, sequence, shots=shots)
    return pair_of(subject, unfused, wanted)


def pair_of(subject: ClaimSubject, unfused: Unfused | None, wanted: NeededRun) -> ClaimNeeds:
    """The model and what it stands beside, both with the settings of `wanted`; or that there is nothing."""
    if unfused is None:
        return NO_CONTROL
    pair = ((subject.model, None), (unfused.model, unfused.control))
    return tuple(replace(wanted, model=model, control=control) for model, control in pair)
