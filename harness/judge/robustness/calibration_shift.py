"""Calibration under shift: ECE by severity, beside what a perfectly calibrated model would show on as many samples.

ECE and its null as in `harness.metrics.labels.calibration` (15 equal-width bins on top-1; Guo et al. 2017, arXiv
1706.04599).
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.judge.robustness.cells import CLEAN_NAME, SEVERITIES, STANDARD_CELLS, score_figure
from harness.record import PerturbedScore, RobustnessRecord
from harness.stats.propagation import Figure, difference, mean_of

ERROR, NULL = "ECE", "ECE-null"


@dataclass(frozen=True)
class Calibration:
    """ECE, its null and their difference, 0..1, at one severity (0 is clean): means over `cells` corruptions."""

    severity: int
    error: Figure
    null: Figure
    excess: Figure
    cells: int


def calibration_by_severity(record: RobustnessRecord) -> tuple[Calibration, ...]:
    """Average over the standard corruptions at each severity; empty where the record holds no calibration error.

    A failed corruption leaves no number at its severity.
    """
    if not any(score.metrics.get(ERROR) for score in record.scores):
        return ()
    standard = set(STANDARD_CELLS)
    found = []
    for severity in (0, *SEVERITIES):
        scores = [
            score
            for score in record.scores
            if (score.perturbation == CLEAN_NAME if severity == 0 else (score.perturbation, score.severity) in standard)
            and score.severity == severity
        ]
        if scores:
            found.append(_calibration(severity, scores))
    return tuple(found)


def _calibration(severity: int, scores: list[PerturbedScore]) -> Calibration:
    error, null = (mean_of([score_figure(score, name) for score in scores]) for name in (ERROR, NULL))
    return Calibration(severity, error, null, difference(error, null), len(scores))
