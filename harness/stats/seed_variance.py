"""Training seeds taken together: their mean, its interval, and how far seeds and test samples each move a score.

All seeds answer the same test set, so a sample's score is crossed:

    score[seed, sample] = mean + of the seed + of the sample + of both together

Averaging S seeds shrinks all but the third, and the variance of the seeds' scores on one test set holds the second and
the fourth. Adding it to the whole sampling variance of one seed counts the fourth twice: of 5 seeds that agree on three
samples in ten the "95 %" interval then holds the truth in 99.9 % (`tests/benchmarks/bench_intervals.py`). It is the
analysis of readers and cases of Obuchowski & Rockette 1995 (Communications in Statistics 24).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

from harness.record import Estimate
from harness.stats.exact_deviation import exact_deviation
from harness.stats.sample_scores import SampleScores
from harness.stats.t_distribution import t_quantile

if TYPE_CHECKING:
    from harness.stats.resampling import FloatArray

_HALF_WIDTH = NormalDist().inv_cdf(0.975)  # of a 95 % interval, in standard errors


@dataclass(frozen=True)
class Spread:
    """What moves a score, apart: training seeds (None for one) and test sets of this size; in the metric's unit.

    `seeds_sd` is the standard deviation of one seed's score on this test set, `sampling_se` the standard error of one
    seed's score over test sets. `shared` is the part of the sampling *variance* that all seeds have in common, 0..1:
    the rest is luck of a seed with a sample, and is in `seeds_sd` too. None where no scores of samples are stored.
    `sampling_se` is None where too few samples tell.
    """

    seeds_sd: float | None
    sampling_se: float | None
    shared: float | None = None


def spread_of_seeds(estimates: Sequence[Estimate], shared: float | None = None) -> Spread:
    """Say what moves a score from the estimates of its seeds, one or more."""
    deviation = exact_deviation([e.value for e in estimates]) if len(estimates) > 1 else None
    return Spread(deviation, mean_standard_error(estimates), shared)


def standard_error(estimate: Estimate) -> float | None:
    """Turn the 95 % interval of one seed into the standard error of sampling; None where there is no interval."""
    ends = estimate.interval
    return None if ends is None else (ends[1] - ends[0]) / 2 / _HALF_WIDTH


def mean_standard_error(estimates: Sequence[Estimate]) -> float | None:
    """Average the standard errors of several; None where one of them has no interval."""
    errors = [error for e in estimates if (error := standard_error(e)) is not None]
    return statistics.fmean(errors) if len(errors) == len(estimates) else None


def without_interval(estimates: Sequence[Estimate]) -> str | None:
    """Say why one of some estimates has no interval; None where all have one."""
    return next((e.note or "no interval" for e in estimates if e.interval is None), None)


def combine_seeds(estimates: Sequence[Estimate], shared: float | None = None) -> Estimate:
    """Average over seeds; the interval holds the sampling of the test set and that of the seeds.

    The seeds' variance over their number, by Student's t, is joined with the part `shared` (`shared_sampling`) of the
    sampling variance, by squares of half widths (Zou & Donner 2008, Statistics in Medicine 27); and it is never less
    than were these the only seeds. Without `shared` all counts as shared: the interval is then too wide, not too
    narrow. With one seed only the sampling is known. There is no interval where a seed has none.
    """
    if len(estimates) == 1:
        return estimates[0]
    known, count = (1.0 if shared is None else shared), len(estimates)
    mean, samples = statistics.fmean([e.value for e in estimates]), min([e.count for e in estimates])
    ends = [e.interval for e in estimates if e.interval is not None]
    if len(ends) < count:
        return Estimate(mean, None, None, samples, without_interval(estimates))
    note = next((e.note for e in estimates if e.note), None)
    reach = t_quantile(count - 1, 0.975) * exact_deviation([e.value for e in estimates]) / math.sqrt(count)
    left = math.sqrt(left_in_mean(known, count))
    below = statistics.fmean([e.value - low for e, (low, _) in zip(estimates, ends, strict=True)])
    above = statistics.fmean([high - e.value for e, (_, high) in zip(estimates, ends, strict=True)])
    low = join_reaches(left * below, known, count, reach)
    high = join_reaches(left * above, known, count, reach)
    return Estimate(mean, mean - low, mean + high, samples, note)


def left_in_mean(shared: float, count: int) -> float:
    """What part of one seed's sampling variance is left in the mean of `count` given seeds that have `shared` of it."""
    return (1 + (count - 1) * shared) / count


def join_reaches(sampling: float, shared: float, count: int, reach: float) -> float:
    """Join what test sets move a mean of `count` given seeds with what other seeds move it by, both half widths.

    Only the part that all seeds share is joined: the rest moves the seeds' own scores too, and would count twice. It is
    never less than were these the only seeds.
    """
    return max(math.hypot(math.sqrt(shared / left_in_mean(shared, count)) * sampling, reach), sampling)


def shared_sampling(scores: Sequence[SampleScores | None], metric: str) -> float | None:
    """What part of the sampling variance of a metric all seeds share: their covariance over their variance, 0..1.

    From what samples contribute to the metric, by cluster. None for one seed, and where contributions are lost or are
    not of the same samples. Where none of the seeds varies over samples all counts as shared.
    """
    known = [found for found in scores if found is not None and metric in found.metrics]
    if len(known) < max(2, len(scores)) or any(found.sample_ids != known[0].sample_ids for found in known):
        return None
    import numpy as np

    return shared_part(np.stack([found.metrics[metric] for found in known], axis=1), known[0].clusters)


def shared_part(values: FloatArray, clusters: Sequence[str]) -> float:
    """What part of the sampling variance is common to all seeds, 0..1: their covariance over their variance.

    `values` [N, S] are contributions of samples by seed. All counts as shared where none varies over samples.
    """
    own, between = seed_covariance(values, clusters)
    return 1.0 if own == 0 else min(1.0, max(0.0, between / own))


def seed_covariance(values: FloatArray, clusters: Sequence[str]) -> tuple[float, float]:
    """Sampling variance of a seed's mean, and covariance of two seeds' means; both averaged over the seeds.

    `values` [N, S] are contributions of samples by seed; with one seed the covariance is the variance.
    """
    import numpy as np

    from harness.stats.significance import cluster_sums

    sums = cluster_sums(values - values.mean(axis=0), clusters) / len(values)
    groups, seeds = sums.shape
    products = sums.T @ sums * groups / max(1, groups - 1)
    own = float(np.trace(products)) / seeds
    return own, (float(products.sum()) - own * seeds) / (seeds * (seeds - 1)) if seeds > 1 else own
