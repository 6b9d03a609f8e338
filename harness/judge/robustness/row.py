"""One line of a robustness table: a model or a control under all its conditions, its seeds taken together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from harness.judge.robustness.calibration_shift import Calibration
from harness.judge.robustness.corruption_error import MeanCorruptionError, UnderCorruption
from harness.judge.robustness.drops import Drop
from harness.judge.robustness.effective_robustness import EffectiveRobustness
from harness.judge.robustness.modality_use import ModalityUse
from harness.judge.robustness.multimodal_impact import Impact
from harness.judge.robustness.worst_group import WorstGroup
from harness.record import name_of
from harness.stats.propagation import Figure


@dataclass(frozen=True)
class Comparable:
    """What rows that stand in one table have in common; rows that differ in any of it are never mixed.

    `limit` is the number of samples at most, `shortest_px` the canvas (0: the image as it is on disk).
    """

    task: str
    data: str
    data_digest: str
    split: str
    metric: str
    signature: str
    chance: float
    limit: int | None
    shortest_px: int


@dataclass(frozen=True)
class ConditionScore:
    """The score under one condition; `status` is ok, failed or skipped, `count` the samples behind an ok one."""

    perturbation: str
    severity: int
    family: str
    modality: str
    status: str
    score: Figure
    count: int | None


@dataclass(frozen=True)
class RemedyGain:
    """What remedies of training change beside the model without them, over the same seeds, samples and conditions.

    `clean` and `corrupted` are differences of the clean score and of the mean over `conditions`; `ratio` is the gain
    under corruption for each point of the clean score that is lost.
    """

    remedy: str
    beside: str
    seeds: tuple[int, ...]
    conditions: int
    clean: Figure
    corrupted: Figure
    ratio: Figure


@dataclass(frozen=True)
class RobustnessRow:
    """All numbers of one model; each is a figure, which has either a value or the reason why it has none.

    `others` are means over what no published number covers, by label. `mce` is None without a reference. `effective` is
    by shift, and by "mPC"; `drops` by perturbation, of its mean over severities; `worst` the condition with the lowest
    score, modality controls and attacks apart; `worst_groups` one a seed. `planned` counts conditions beside clean, of
    which `failed` and `skipped` have no score.
    """

    scope: Comparable
    model: str
    control: str | None
    seeds: tuple[int, ...]
    fingerprints: tuple[str, ...]
    clean: Figure
    corruption: UnderCorruption
    others: Mapping[str, Figure]
    mce: MeanCorruptionError | None
    mmi_image: Impact
    mmi_text: Impact
    effective: Mapping[str, EffectiveRobustness]
    drops: Mapping[str, Drop]
    worst: ConditionScore | None
    worst_groups: tuple[WorstGroup, ...]
    calibration: tuple[Calibration, ...]
    modality_use: ModalityUse
    planned: int
    failed: int
    skipped: int
    conditions: tuple[ConditionScore, ...]
    setting: str = ""
    """What tells it from other rows of the model with the same control, as on the leaderboard."""
    clean_count: int | None = None
    """How many samples the clean score is of."""
    remedy: RemedyGain | None = None
    """What its remedies of training gain; None where it has none, or the model without them is not there."""

    @property
    def name(self) -> str:
        """The model, with its control in brackets, and what tells it from its other settings."""
        name = name_of(self.model, self.control)
        return f"{name} {self.setting}" if self.setting else name

    @property
    def failed_share(self) -> float:
        """How many of the conditions failed, 0..1."""
        return self.failed / self.planned if self.planned else 0.0

    @property
    def skipped_share(self) -> float:
        """How many of the conditions say nothing about this model, 0..1."""
        return self.skipped / self.planned if self.planned else 0.0

    def to_json(self) -> dict[str, Any]:
        """Turn into plain JSON types: the fields by name, those of `scope` beside them, and what mPC is a mean over."""
        content = asdict(self)
        scope = content.pop("scope")
        content["corruption"]["label"] = self.corruption.label
        return {**scope, **content, "failed_share": self.failed_share, "skipped_share": self.skipped_share}
