"""Expected calibration error, in bins of equal width or of equal mass, and what chance alone makes of it.

ECE = sum over bins of |sum of (correct - confidence)| / n (Naeini et al. 2015; Guo et al. 2017, arXiv 1706.04599),
with 15 bins.

Equal width, as in torchmetrics: bin b holds b/15 <= confidence < (b+1)/15, and a confidence of exactly 1 has a
sixteenth bin of its own.

Equal mass (adaptive, after Nixon et al. 2019, arXiv 1904.01685): the samples in ascending order of confidence are
cut into 15 bins that each hold exactly n/15 of them. A sample on an edge is divided between its bins, and samples of
equal confidence are taken as one, so that neither their order nor repeating the whole data set moves the score.
Where 15 divides n and no two confidences are equal this is the plain rule.

Even a perfectly calibrated model shows an ECE above 0. The null is its mean over simulations that draw each sample's
correctness with its confidence as the chance (fixed seed; 1,000 draws up to 400 samples, falling to 200 from 2,000 on).
A bootstrap adds to ECE as it repeats samples: its interval lies too high, and the null's with it, so compare the two
and not an interval with 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np

from harness.errors import DataError
from harness.metrics.labels.class_means import ones
from harness.metrics.labels.drawn_gaps import Gaps, LatestGaps
from harness.stats.proportions import BoolArray
from harness.stats.resampling import BLOCK_ELEMENTS, FloatArray, IntArray

_NULL_SEED = 0
_NULL_DRAWS = 200, 1000  # fewest and most
_NULL_OUTCOMES = 400_000  # of all samples in all draws, as far as the fewest draws allow


@dataclass(frozen=True)
class EqualWidthError:
    """ECE in bins of equal width, the mean over D sets of outcomes."""

    gaps: Gaps
    drawn: LatestGaps = field(default_factory=LatestGaps, repr=False, compare=False)  # shared by errors of the answers
    smooth: ClassVar[bool] = False
    """A sum of absolute values: no jackknife holds for it."""

    @cached_property
    def value(self) -> float:
        """The calibration error, 0..1."""
        return float(self.resample(ones(len(self.gaps.order)))[0])

    @property
    def per_sample(self) -> FloatArray:
        """[N] the error of each sample alone."""
        return self.gaps.per_sample

    def resample(self, counts: IntArray) -> FloatArray:
        """[R, N] multiplicities -> [R] calibration errors."""
        return np.concatenate([self.drawn.of(self.gaps, part).errors(self.gaps.outcomes)[0] for part in _parts(counts)])


@dataclass(frozen=True)
class EqualMassError:
    """Adaptive ECE, in bins of equal mass: the mean over D sets of outcomes."""

    gaps: Gaps
    drawn: LatestGaps = field(default_factory=LatestGaps, repr=False, compare=False)  # shared by errors of the answers
    smooth: ClassVar[bool] = False
    """A sum of absolute values: no jackknife holds for it."""

    @cached_property
    def value(self) -> float:
        """The calibration error, 0..1."""
        return float(self.resample(ones(len(self.gaps.order)))[0])

    @property
    def per_sample(self) -> FloatArray:
        """[N] the error of each sample alone."""
        return self.gaps.per_sample

    def resample(self, counts: IntArray) -> FloatArray:
        """[R, N] multiplicities -> [R] calibration errors."""
        return np.concatenate([self.drawn.of(self.gaps, part).errors(self.gaps.outcomes)[1] for part in _parts(counts)])


def _parts(counts: IntArray) -> Iterator[IntArray]:
    """The multiplicities [R, N] themselves where they are few, else some rows at a time."""
    rows = max(1, BLOCK_ELEMENTS // max(1, counts.shape[1]))
    if len(counts) <= rows:
        yield counts
        return
    for start in range(0, len(counts), rows):
        yield counts[start : start + rows]


def calibration_statistics(confidence: FloatArray, correct: BoolArray) -> dict[str, EqualWidthError | EqualMassError]:
    """`ECE`, `adaptive-ECE` and the null of each, `ECE-null` and `adaptive-ECE-null`; all are 0..1.

    `confidence` [N] float64 in 0..1 is the probability given to the answer, `correct` [N] whether it was right.
    The nulls hold 1.6 to 8 KB a sample. In a resample the copies of a sample share its simulated outcomes, as they
    share the real one. Raises DataError for no samples, shapes that differ and confidences that are no probability.
    """
    if confidence.ndim != 1 or confidence.shape != correct.shape or len(confidence) == 0:
        raise DataError(
            f"Calibration needs at least one sample, not confidences of shape {confidence.shape} "
            f"and outcomes of shape {correct.shape}. Give one confidence and one outcome for each sample."
        )
    wrong = np.flatnonzero(~((confidence >= 0) & (confidence <= 1)))
    if wrong.size:
        raise DataError(
            f"Row {wrong[0]} has the confidence {confidence[wrong[0]]}. Give the probability of the answer, in 0..1."
        )
    order = np.argsort(confidence, kind="stable")
    ascending = confidence[order].astype(np.float64)
    # Drawn in order of confidence: the null then depends on the confidences alone, not on the order of samples.
    size = len(order), int(np.clip(_NULL_OUTCOMES // len(order), *_NULL_DRAWS))
    draws = np.random.Generator(np.random.PCG64(_NULL_SEED)).random(size) < ascending[:, None]
    observed = Gaps(order, ascending, correct[order].astype(np.float32)[:, None])
    null, drawn = Gaps(order, ascending, draws.astype(np.float32)), LatestGaps()
    return {
        "ECE": EqualWidthError(observed, drawn),
        "adaptive-ECE": EqualMassError(observed, drawn),
        "ECE-null": EqualWidthError(null, drawn),
        "adaptive-ECE-null": EqualMassError(null, drawn),
    }
