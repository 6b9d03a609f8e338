"""Metrics of zero-shot classification: classes seen in training beside classes that were not.

S and U: mean recall over the seen and the unseen classes, each sample being free to be given any class; H = 2 S U /
(S + U) (Xian et al. 2017, arXiv 1707.00600), 0 where both are 0. A model that prefers what it has seen has a low U
for that alone, so `AUSUC` sweeps a bias that is taken off the scores of seen classes, in log space, and takes the
area under the curve of S over U (Chao et al. 2016, arXiv 1605.04253).

The area is exact. A sample goes over from its best seen to its best unseen class where the bias passes its margin
(score of the one minus score of the other). So S is a weighted share of right seen samples whose margin lies above
the bias, U one of right unseen samples whose margin lies below, and the trapezoid rule at all changes comes to

    area = sum over pairs of a right seen sample i and a right unseen sample j of
           weight_i * weight_j * (1 if margin_i > margin_j, 1/2 if they are equal, else 0)

with "right" within the sample's own side and weights 1 / (classes of the side * samples of the class). For a resample
only the weights change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse

from harness.answers import NO_CLASS
from harness.errors import DataError
from harness.metrics.labels.class_means import MeanRecall, class_rows, columns, mean_recall, ones
from harness.metrics.labels.classification import check_predicted
from harness.metrics.labels.probabilities import check_labels, check_probabilities, check_shapes, top_class
from harness.protocols import Statistics
from harness.stats.proportions import BoolArray, ProportionStatistics
from harness.stats.resampling import FloatArray, IntArray


@dataclass(frozen=True)
class HarmonicMean:
    """H = 2 S U / (S + U)."""

    seen: MeanRecall
    unseen: MeanRecall

    @property
    def value(self) -> float:
        """H, 0..1."""
        return float(self.resample(ones(len(self.seen.per_sample)))[0])

    @property
    def per_sample(self) -> FloatArray:
        """[N] 1 or 0 for recognised or not, among all classes."""
        return np.where(np.isnan(self.seen.per_sample), self.unseen.per_sample, self.seen.per_sample)

    def resample(self, counts: IntArray) -> FloatArray:
        """[R, N] multiplicities -> [R] H; NaN for a resample that lacks seen or unseen samples."""
        seen, unseen = self.seen.resample(counts), self.unseen.resample(counts)
        total = seen + unseen
        return np.asarray(np.divide(2 * seen * unseen, total, out=np.zeros_like(total), where=total != 0))


@dataclass(frozen=True)
class Side:
    """The samples of either the seen or the unseen classes; H of them are right when held to these classes."""

    members: scipy.sparse.csr_array  # [K, N] 1 where a sample is of a class
    right: IntArray  # [H] those samples, by ascending margin
    margin: FloatArray  # [H] ascending
    row: IntArray  # [H] which row of `members` is the class of each

    def weights(self, block: FloatArray) -> FloatArray:
        """[N, r] multiplicities -> [H, r] weights."""
        of_class = self.members @ block
        classes = (of_class > 0).sum(axis=0)
        return np.asarray(block[self.right] / np.maximum(of_class[self.row] * classes, 1.0))

    def drawn(self, block: FloatArray) -> BoolArray:
        """[N, r] multiplicities -> [r] whether a resample holds any sample of this side."""
        return np.asarray((self.members @ block).any(axis=0))


@dataclass(frozen=True)
class StackingArea:
    """The area under the curve of seen over unseen recall as the bias against seen classes grows."""

    seen: Side
    unseen: Side
    samples: int

    @property
    def value(self) -> float:
        """The area, 0..1."""
        return float(self.resample(ones(self.samples))[0])

    @property
    def per_sample(self) -> FloatArray:
        """[N] what share of the other side's weight a right sample wins; its mean over each side's classes is the area.

        A seen sample wins over right unseen ones of lower margin, an unseen one over right seen ones of higher.
        """
        block = ones(self.samples).T.astype(np.float64)
        wins = np.zeros(self.samples)
        lower = _weight_below(self.seen.margin, self.unseen.margin, self.unseen.weights(block))
        higher = _weight_below(-self.unseen.margin, -self.seen.margin[::-1], self.seen.weights(block)[::-1])
        wins[self.seen.right], wins[self.unseen.right] = lower[:, 0], higher[:, 0]
        return wins

    def resample(self, counts: IntArray) -> FloatArray:
        """[R, N] multiplicities -> [R] areas; NaN for a resample that lacks seen or unseen samples."""
        return np.concatenate([self._resample_block(block) for block in columns(counts)])

    def _resample_block(self, block: FloatArray) -> FloatArray:
        won = _weight_below(self.seen.margin, self.unseen.margin, self.unseen.weights(block))
        area = np.einsum("hr,hr->r", self.seen.weights(block), won)
        return np.where(self.seen.drawn(block) & self.unseen.drawn(block), area, np.nan)


def zero_shot_statistics(
    probabilities: FloatArray, labels: IntArray, seen: BoolArray, *, logarithms: bool = False
) -> dict[str, Statistics]:
    """Score probabilities [N, C] float64 over all classes against labels [N] int64; `seen` [C] marks seen classes.

    With `logarithms` they are log-probabilities, -inf allowed: better, as probabilities that underflow to 0 tie.

    `unseen-top-1` (ranks): the share of samples of unseen classes that are right among the unseen classes alone, a
    `Proportion`. `U`, `S`, `H` and `AUSUC` as in the head of this file; all 0..1, higher is better. Where
    several classes share the highest score there is no answer (`harness.metrics.labels.classification`); the area
    takes all
    samples of one margin at one step. Classes without a sample are left out of means. Without samples of unseen
    classes only `S` is there, without samples of seen classes only `unseen-top-1` and `U`.

    Raises DataError for no samples, shapes that do not fit, labels out of range and rows that are not finite or do not
    sum to 1 within 1e-3, naming the first such row, counted from 0.
    """
    scores = _log_probabilities(probabilities, labels, seen, logarithms)
    of_seen = seen[labels]
    recalls = recall_statistics(top_class(probabilities), labels, seen)
    if of_seen.all():
        return recalls
    best_unseen = best_among(probabilities, ~seen)
    ranked = ProportionStatistics(best_unseen == labels, ~of_seen)
    if not of_seen.any():
        return {"unseen-top-1": ranked, **recalls}
    margin = scores[:, seen].max(axis=1) - scores[:, ~seen].max(axis=1)
    area = StackingArea(
        _side(labels, of_seen, best_among(probabilities, seen) == labels, margin),
        _side(labels, ~of_seen, best_unseen == labels, margin),
        len(labels),
    )
    return {"unseen-top-1": ranked, **recalls, "AUSUC": area}


def recall_statistics(predicted: IntArray, labels: IntArray, seen: BoolArray) -> dict[str, Statistics]:
    """`S`, `U` and `H` of predicted classes [N] int64 (or NO_CLASS) alone, as far as they are defined.

    `unseen-top-1` and `AUSUC` ask what would be answered among some of the classes, which a label does not tell. Raises
    DataError for no samples, shapes that do not fit and numbers that are no class.
    """
    check_predicted(predicted, labels, len(seen))
    of_seen, correct = seen[labels], predicted == labels
    sides = {"S": of_seen, "U": ~of_seen}
    recalls = {name: mean_recall(labels, correct, side) for name, side in sides.items() if side.any()}
    found: dict[str, Statistics] = {**recalls}
    return {**found, "H": HarmonicMean(recalls["S"], recalls["U"])} if len(recalls) == len(sides) else found


def best_among(scores: FloatArray, among: BoolArray) -> IntArray:
    """[N] the class of the highest score among some [C]; NO_CLASS where several share it, or there are none."""
    classes = np.flatnonzero(among)
    if not len(classes):
        return np.full(len(scores), NO_CLASS)
    best = top_class(scores[:, classes])
    return np.where(best == NO_CLASS, NO_CLASS, classes[best])


def _log_probabilities(probabilities: FloatArray, labels: IntArray, seen: BoolArray, logarithms: bool) -> FloatArray:
    check_shapes(probabilities.shape, labels)
    check_labels(labels, probabilities.shape[1])
    if seen.shape != probabilities.shape[1:] or seen.dtype != np.bool_:
        raise DataError(
            f"The mark of seen classes has shape {seen.shape} and type {seen.dtype}, but there are "
            f"{probabilities.shape[1]} classes. Give one boolean for each class."
        )
    with np.errstate(divide="ignore", over="ignore"):  # the logarithm of 0; of what is too large, which is refused
        check_probabilities(np.exp(probabilities) if logarithms else probabilities)
        return probabilities if logarithms else np.log(probabilities)


def _side(labels: IntArray, considered: BoolArray, right: BoolArray, margin: FloatArray) -> Side:
    classes = np.unique(labels[considered])
    samples = np.flatnonzero(considered & right)
    samples = samples[np.argsort(margin[samples], kind="stable")]
    return Side(
        members=class_rows(labels, considered, classes),
        right=samples,
        margin=margin[samples],
        row=np.searchsorted(classes, labels[samples]),
    )


def _weight_below(margin: FloatArray, others: FloatArray, weights: FloatArray) -> FloatArray:
    """[A, r] the weight of those of `others` [B] (ascending, weights [B, r]) that are below each margin [A].

    Those that are equal count half.
    """
    upto = np.concatenate([np.zeros((1, weights.shape[1])), np.cumsum(weights, axis=0)])
    low, high = np.searchsorted(others, margin), np.searchsorted(others, margin, side="right")
    return np.asarray((upto[low] + upto[high]) / 2)
