"""What an audit found: by split, between splits, and in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.audit.answers_of_data import ClassBalance, Disagreement
from harness.audit.guesses import BlindGuess
from harness.audit.near_duplicates import NearPair


@dataclass(frozen=True)
class SplitAudit:
    """What was found in one split; `odd` and `unreadable` say why by the file's path."""

    name: str
    samples: int
    images: int
    unreadable: Mapping[str, str]
    odd: Mapping[str, str]
    guesses: Sequence[BlindGuess]
    balance: ClassBalance | None
    disagreement: Disagreement


@dataclass(frozen=True)
class SharedImages:
    """Images of one split that look like images of another: all pairs are counted, some are listed."""

    first: str
    second: str
    count: int
    of: int
    pairs: Sequence[NearPair]


@dataclass(frozen=True)
class Audit:
    """What was found in a data set; `findings` are the sentences that bear on scores."""

    task: str
    data: str
    digest: str
    splits: Sequence[SplitAudit]
    shared: Sequence[SharedImages]
    findings: Sequence[str] = field(default_factory=list)
