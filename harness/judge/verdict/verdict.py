"""What a verdict is: a claim about a model, the outcome, the numbers that decide it, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

SUPPORTED, NOT_SUPPORTED, INCONCLUSIVE = "supported", "not supported", "inconclusive"
DIFFERENCE, RATIO, LEVEL = "difference", "ratio", "level"
MARKS: Mapping[str, str] = {SUPPORTED: "✓", NOT_SUPPORTED: "✗", INCONCLUSIVE: "?"}
FUSION_GAIN_CLAIM, ZERO_SHOT_CLAIM, EFFICIENT_TUNING_CLAIM = "fusion-gain", "zero-shot", "efficient-tuning"
LABEL_EFFICIENCY_CLAIM, FRAGILITY_CLAIM, FORGETTING_CLAIM = "label-efficiency", "fragility", "forgetting"
COST_CLAIM, EXPLANATIONS_CLAIM, GROUP_BIAS_CLAIM = "cost", "explanations", "group-bias"
COMPRESSION_CLAIM = "compression"


@dataclass(frozen=True)
class Claim:
    """What the literature claims of fusion: a name, the letter that stands for it too, and the claim in words."""

    name: str
    letter: str
    title: str


CLAIMS: Mapping[str, Claim] = {
    claim.name: claim
    for claim in (
        Claim(FUSION_GAIN_CLAIM, "a", "fusion raises the score"),
        Claim(ZERO_SHOT_CLAIM, "b", "fusion enables zero-shot"),
        Claim(EFFICIENT_TUNING_CLAIM, "c", "efficient tuning keeps the gain"),
        Claim(LABEL_EFFICIENCY_CLAIM, "d", "fusion needs fewer labels"),
        Claim(FRAGILITY_CLAIM, "e", "fusion is fragile under corruption"),
        Claim(FORGETTING_CLAIM, "f", "fusion forgets"),
        Claim(COST_CLAIM, "g", "fusion is slow and large"),
        Claim(EXPLANATIONS_CLAIM, "h", "explanations of the fused model hold"),
        Claim(GROUP_BIAS_CLAIM, "i", "fusion is biased against a group"),
        Claim(COMPRESSION_CLAIM, "j", "the gain of fusion survives compression"),
    )
}
"""The claims by name; fragility, forgetting, cost and group-bias speak against fusion."""


@dataclass(frozen=True)
class Number:
    """A number behind a verdict, with its 95 % interval where it has one; `note` says how it was made.

    `kind` is difference, ratio or level.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    note: str = ""
    kind: str = DIFFERENCE

    @property
    def shown(self) -> str:
        """Print as `name value [low, high]`, a difference with its sign."""
        if self.low is None or self.high is None:
            return f"{self.name} {self.value:.4g}"
        style = "{:+.3f}" if self.kind == DIFFERENCE else "{:.3f}"
        value, low, high = (style.format(number) for number in (self.value, self.low, self.high))
        return f"{self.name} {value} [{low}, {high}]"


@dataclass(frozen=True)
class Verdict:
    """What the records say of one claim about one model, or about all models of a table where `model` is None.

    `missing` says what an inconclusive verdict waits for, with the command that makes it where there is one.
    """

    claim: str
    model: str | None
    outcome: str
    reason: str
    numbers: tuple[Number, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def mark(self) -> str:
        """The outcome as a sign and in words, readable without colour."""
        return f"{MARKS[self.outcome]} {self.outcome}"


@dataclass(frozen=True)
class ClaimScope:
    """What all records behind a set of verdicts have in common; `samples` is how many were evaluated at most."""

    task: str
    data: str
    data_digest: str
    split: str
    signature: str
    limit: int | None
    metric: str
    samples: int

    @property
    def title(self) -> str:
        """Say which records these are."""
        return (
            f"{self.task} on {self.data} ({self.data_digest[:12]}), split {self.split}, {self.samples} samples: "
            f"{self.metric}"
        )


@dataclass(frozen=True)
class Judged:
    """The verdicts about one table of comparable records."""

    scope: ClaimScope
    verdicts: tuple[Verdict, ...]
    choices: tuple[str, ...] = ()
    """Which setting of a model is judged, where it has several."""

    def to_json(self) -> list[dict[str, Any]]:
        """Turn into plain JSON types, one object a verdict, the scope's fields beside it."""
        return [
            {
                **asdict(self.scope),
                "title": CLAIMS[verdict.claim].title,
                "letter": CLAIMS[verdict.claim].letter,
                **asdict(verdict),
                "missing": list(verdict.missing),
            }
            for verdict in self.verdicts
        ]
