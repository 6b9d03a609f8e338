"""p of no difference by approximate randomisation: each sample's two answers change places at random.

Noreen 1989; Riezler & Maxwell 2005 (ACL W05-0908). All samples of a cluster (such as an image) change together, and so
do all seeds of a model. For a mean over samples the corpus metric of a mixture follows from the differences alone; for
any other metric it is computed from the joint set (`harness.judge.compare.joint`).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from harness.stats.resampling import FloatArray, IntArray, Statistics
from harness.stats.significance import cluster_sums, randomisation_p

_BLOCK_ELEMENTS = 4_000_000
_NEAR = 1e-12
_FITS_WITHIN = 1e-9
_OFF = 0.5  # of the deviation of differences of mixtures, or of the difference: so near must mixtures score


def swap_p_of_mean(differences: FloatArray, clusters: Sequence[Hashable], rounds: int) -> float:
    """Two-sided p from the differences [n] of samples whose mean is the difference of the metric."""
    return float(randomisation_p(cluster_sums(differences[:, None], clusters), rounds)[0])


def swap_p(
    joints: Sequence[Statistics], observed: float, clusters: Sequence[Hashable], rounds: int, seed: int = 0
) -> float:
    """Two-sided p of any metric from the joint sets of one or more seeds, each of 2N samples; clusters are [N].

    Mixtures on which the metric is undefined are left out. NaN if all are, and where mixtures do not score as between
    the two models: calibration errors of opposite sign cancel in a mixture, and what a difference between mixtures may
    be says nothing of one between the models.
    """
    numbering: dict[Hashable, int] = {}
    member = np.array([numbering.setdefault(cluster, len(numbering)) for cluster in clusters])
    generator = np.random.Generator(np.random.PCG64(seed))
    rows = max(1, _BLOCK_ELEMENTS // (2 * len(member)))
    found = []
    for start in range(0, rounds, rows):
        drawn = generator.integers(0, 2, size=(min(rows, rounds - start), len(numbering)))
        choice = drawn[:, member]
        sides = [np.mean([joint.resample(halves(part)) for joint in joints], axis=0) for part in (choice, 1 - choice)]
        found.append(np.stack(sides))
    both = np.concatenate(found, axis=1)
    both = both[:, ~np.isnan(both.sum(axis=0))]
    if not both.shape[1]:
        return float("nan")
    mixed = both[0] - both[1]
    if abs(float(both.mean()) - _between(joints, len(member))) > _OFF * max(float(mixed.std()), abs(observed)) + _NEAR:
        return float("nan")
    extreme = int((np.abs(mixed) >= abs(observed) * (1 - _NEAR) - _NEAR).sum())
    return (extreme + 1) / (len(mixed) + 1)


def _between(joints: Sequence[Statistics], samples: int) -> float:
    """What is half-way between the two models, whose answers the joint sets hold."""
    alone = halves(np.repeat([[1], [0]], samples, axis=1))
    return float(np.mean([joint.resample(alone) for joint in joints]))


def halves(choice: IntArray) -> IntArray:
    """[R, N] 1 where the first model's answer is drawn, 0 for the second's -> [R, 2N] multiplicities."""
    counts = np.empty((choice.shape[0], 2 * choice.shape[1]), dtype=np.int64)
    counts[:, 0::2], counts[:, 1::2] = choice, 1 - choice
    return counts


def joins_both(joint: Statistics | None, first: Statistics, second: Statistics) -> bool:
    """Tell whether the joint set gives each model the score that it has by itself."""
    samples = len(first.per_sample)
    if joint is None or len(joint.per_sample) != 2 * samples:
        return False
    alone: FloatArray = joint.resample(halves(np.repeat([[1], [0]], samples, axis=1)))
    return bool(np.allclose(alone, [first.value, second.value], rtol=_FITS_WITHIN, atol=_FITS_WITHIN))
