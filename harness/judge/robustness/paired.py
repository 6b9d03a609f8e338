"""Narrower intervals from per-sample scores, for metrics that are a mean over samples (top-1, CIDEr with fixed IDF).

A model meets the same samples under every condition, so a resample draws a sample with all its conditions (paired
bootstrap; Koehn 2004, ACL W04-3250). Not for AP or mIoU, which are no means over samples.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np

from harness.stats.intervals import NO_WIDTH, FloatArray, draw_resamples, expanded_percentiles
from harness.stats.propagation import Figure, absent
from harness.stats.resampling import weighted_sums


def paired_mean(cells: FloatArray, resamples: int = 1000, groups: Sequence[Hashable] | None = None) -> Figure:
    """mPC from scores `[cells, samples]`, in the metric's unit; `groups` [samples] are drawn together.

    Where all samples agree, or there is but one group, nothing tells how sure it is, and there is no interval.
    """
    of_samples = _checked(cells).mean(axis=0)
    drawn = _means(of_samples[:, None], resamples, groups)[:, 0]
    return _interval(float(of_samples.mean()), drawn, _count(of_samples, groups))


def paired_ratio(
    cells: FloatArray, clean: FloatArray, resamples: int = 1000, groups: Sequence[Hashable] | None = None
) -> Figure:
    """rPC from scores `[cells, samples]` and `[samples]`; resamples without any clean score are left out."""
    both = np.stack([_checked(cells).mean(axis=0), _aligned(cells, clean)], axis=1)
    mean = both.mean(axis=0)
    if mean[1] <= 0:
        return absent(f"the clean score is {mean[1]:.3g}, not above 0")
    drawn = _means(both, resamples, groups)
    kept = drawn[drawn[:, 1] > 0]
    return _interval(float(mean[0] / mean[1]), kept[:, 0] / kept[:, 1], _count(clean, groups))


def paired_drop(
    clean: FloatArray, perturbed: FloatArray, resamples: int = 1000, groups: Sequence[Hashable] | None = None
) -> Figure:
    """Clean minus perturbed from scores `[samples]` of the same samples, in the metric's unit."""
    loss = _aligned(perturbed[None], clean) - _checked(perturbed[None])[0]
    return _interval(float(loss.mean()), _means(loss[:, None], resamples, groups)[:, 0], _count(loss, groups))


def _count(values: FloatArray, groups: Sequence[Hashable] | None) -> int:
    """How many independent draws [samples] are: groups, or samples without any."""
    return len(values) if groups is None else len(set(groups))


def _means(values: FloatArray, resamples: int, groups: Sequence[Hashable] | None) -> FloatArray:
    """[samples, K] -> [resamples, K] means over the drawn samples."""
    blocks = [
        weighted_sums(counts, values) / counts.sum(axis=1, keepdims=True)
        for counts in draw_resamples(len(values), resamples, 0, groups)
    ]
    return np.asarray(np.concatenate(blocks), dtype=np.float64)


def _interval(value: float, drawn: FloatArray, count: int) -> Figure:
    if not len(drawn):
        return absent("no resample has a clean score above 0")
    low, high = expanded_percentiles(drawn + (value - drawn.mean()), count)
    varies = high - low > NO_WIDTH
    return Figure(value, min(low, value), max(high, value)) if varies else Figure(value)


def _checked(cells: FloatArray) -> FloatArray:
    if cells.ndim != 2 or 0 in cells.shape:
        raise ValueError(f"wanted scores [cells, samples], not {cells.shape}")
    if math.isnan(float(cells.sum())):
        raise ValueError("scores hold NaN: a metric that is not defined on every sample is no mean over samples")
    return cells


def _aligned(cells: FloatArray, clean: FloatArray) -> FloatArray:
    if clean.shape != cells.shape[1:]:
        raise ValueError(f"{cells.shape[1:]} perturbed and {clean.shape} clean scores are not of the same samples")
    return np.asarray(_checked(clean[None])[0])
