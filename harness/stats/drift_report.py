"""What a look for drift found, as plain values: tests, estimates of accuracy, and the truth where there are labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from harness.record import Estimate
from harness.stats.shift_tests import ShiftTest


@dataclass(frozen=True)
class DriftReport:
    """How new samples compare with those of a reference record.

    `accuracy` are estimates without labels by method, empty where answers have no probabilities of classes; `true` is
    the accuracy by the labels, where new samples have some. `alpha` is the rate of false alarms of all tests together.
    """

    model: str
    task: str
    reference: str
    new: str
    samples: tuple[int, int]
    alpha: float
    tests: tuple[ShiftTest, ...]
    known: Estimate | None
    accuracy: Mapping[str, Estimate]
    true: Estimate | None
    least_accuracy: float | None
    notes: tuple[str, ...]

    @property
    def shifted(self) -> bool:
        """Whether any test rejects at `alpha`."""
        return any(test.adjusted <= self.alpha for test in self.tests)

    @property
    def too_low(self) -> bool:
        """Whether the accuracy that must be kept is above the interval of any estimate."""
        if self.least_accuracy is None:
            return False
        return any(each.high is not None and each.high < self.least_accuracy for each in self.accuracy.values())

    def to_json(self) -> dict[str, Any]:
        """Turn into plain JSON types."""
        estimates = {name: each.to_json() for name, each in self.accuracy.items()}
        plain = {
            name: None if each is None else each.to_json()
            for name, each in (("known", self.known), ("true", self.true))
        }
        return {
            **asdict(self), "tests": [asdict(test) for test in self.tests], "accuracy": estimates, **plain,
            "shifted": self.shifted, "too_low": self.too_low,
        }  # fmt: skip
