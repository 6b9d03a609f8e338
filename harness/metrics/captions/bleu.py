"""BLEU-1..4 from packed n-gram counts (Papineni et al. 2002, ACL P02-1040).

BLEU-n = brevity * (prod_{k<=n} clipped_k / guessed_k)^(1/n), counts summed over the corpus first, with the
constants of the COCO caption evaluation (Chen et al. 2015, arXiv:1504.00325): 1e-15 on matches, 1e-9 on
guesses, so that nothing divides by zero; brevity uses the reference nearest in length, the shorter at a tie.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.metrics.captions.ngrams import MAX_ORDER, Matches, PackedCaptions
from harness.stats.resampling import FloatArray, IntArray, weighted_sums

_ON_MATCHES = 1e-15
_ON_GUESSES = 1e-9


@dataclass(frozen=True)
class BleuStatistics:
    """BLEU of one order, from per-image sums.

    `components` [N, 10]: clipped matches of order 1..4, guesses of order 1..4, length of the candidate, length
    of the nearest reference. Shared by the four orders.
    """

    components: FloatArray
    order: int

    @property
    def value(self) -> float:
        """The corpus score, 0..1."""
        return float(bleu_from_sums(self.components.sum(axis=0, keepdims=True), self.order)[0])

    @property
    def per_sample(self) -> FloatArray:
        """[N] the score of each image alone, 0..1."""
        return bleu_from_sums(self.components, self.order)

    def resample(self, counts: IntArray) -> FloatArray:
        """[R, N] multiplicities -> [R] corpus BLEU."""
        return bleu_from_sums(weighted_sums(counts, self.components), self.order)


def bleu_statistics(captions: PackedCaptions, matches: Matches) -> tuple[BleuStatistics, ...]:
    """BLEU-1..4 of packed captions, in this order."""
    candidate_length = captions.candidate_length
    guesses = np.maximum(candidate_length[:, None] - np.arange(MAX_ORDER), 0)
    components = np.column_stack(
        [_clipped_matches(captions, matches), guesses, candidate_length, _nearest_reference_length(captions)]
    ).astype(np.float64)
    return tuple(BleuStatistics(components, order) for order in range(1, MAX_ORDER + 1))


def bleu_from_sums(sums: FloatArray, order: int) -> FloatArray:
    """[R, 10] summed components -> [R] BLEU of one order, 0..1."""
    matched, guessed = sums[:, :order], sums[:, MAX_ORDER : MAX_ORDER + order]
    precision = np.prod((matched + _ON_MATCHES) / (guessed + _ON_GUESSES), axis=1) ** (1.0 / order)
    ratio = (sums[:, 2 * MAX_ORDER] + _ON_MATCHES) / (sums[:, 2 * MAX_ORDER + 1] + _ON_GUESSES)
    brevity = np.exp(np.minimum(0.0, 1.0 - 1.0 / ratio))
    return np.asarray(precision * brevity, dtype=np.float64)


def _clipped_matches(captions: PackedCaptions, matches: Matches) -> FloatArray:
    """[N, 4]: each candidate n-gram counts at most as often as in the reference that has it most often."""
    candidates = captions.candidates
    most = np.zeros(len(candidates.count), dtype=np.int64)
    np.maximum.at(most, matches.candidate_row, captions.references.count[matches.reference_row])
    cell = candidates.caption * MAX_ORDER + captions.order[candidates.ngram] - 1
    clipped = np.minimum(candidates.count, most)
    sums = np.bincount(cell, weights=clipped, minlength=captions.image_count * MAX_ORDER)
    return sums.reshape(captions.image_count, MAX_ORDER).astype(np.float64)


def _nearest_reference_length(captions: PackedCaptions) -> IntArray:
    """[N] length of the reference nearest to the candidate's; at a tie the shorter one."""
    used = captions.reference_image < captions.image_count
    image, length = captions.reference_image[used], captions.reference_length[used]
    distance = np.abs(length - captions.candidate_length[image])
    best_first = np.lexsort((length, distance, image))
    first_of_image = np.searchsorted(image, np.arange(captions.image_count))  # images are ascending
    return length[best_first[first_of_image]]
