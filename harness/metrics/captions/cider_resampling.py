"""CIDEr-D with the IDF recomputed in each bootstrap resample, for comparison with the fixed IDF.

Not the default, because a resample repeats images: an n-gram of one image then counts as two or three documents,
its IDF falls, and all resamples score low. On 200 splits of 200 synthetic images each, the nominal 95 % interval
held the true mean score in 77 % of the splits this way and in 94 % with the IDF of the split kept.

n-grams that occur in the same set of documents have the same IDF in every resample, so they are merged first:
most n-grams of a caption corpus occur in one image only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse

from harness.metrics.captions.cider import (
    CiderTerms,
    Incidence,
    Terms,
    cider_statistics,
    cider_terms,
    documents_of_ngrams,
)
from harness.metrics.captions.ngrams import MAX_ORDER, Matches, PackedCaptions
from harness.stats.resampling import FloatArray, IntArray

_RESAMPLES_AT_ONCE = 32


@dataclass(frozen=True)
class ResampledIdfCider:
    """CIDEr-D whose `resample` is the score of the corpus with each image as often as it was drawn."""

    value: float
    per_sample: FloatArray
    terms: CiderTerms
    documents: scipy.sparse.csr_array  # [K, N] 1 where the n-grams of a class occur in an image's references
    products: scipy.sparse.csr_array  # [M * 4, K], as the two below: sums over squared IDFs
    candidate_squares: scipy.sparse.csr_array  # [N * 4, K]
    reference_squares: scipy.sparse.csr_array  # [M * 4, K]

    def resample(self, counts: IntArray) -> FloatArray:
        """[R, N] multiplicities -> [R] corpus scores."""
        parts = [counts[start : start + _RESAMPLES_AT_ONCE] for start in range(0, len(counts), _RESAMPLES_AT_ONCE)]
        return np.concatenate([self._resample_few(part) for part in parts])

    def _resample_few(self, counts: IntArray) -> FloatArray:
        drawn = counts.sum(axis=1)
        frequency = self.documents @ counts.T.astype(np.float64)  # [K, R]
        squared_idf = (np.log(drawn) - np.log(np.maximum(frequency, 1.0))) ** 2
        norms = np.sqrt(self.reference_squares @ squared_idf).reshape(-1, MAX_ORDER, len(counts))
        own = np.sqrt(self.candidate_squares @ squared_idf).reshape(-1, MAX_ORDER, len(counts))
        norms *= own[self.terms.image]
        norms[norms == 0] = np.inf
        cosines = (self.products @ squared_idf).reshape(norms.shape) / norms
        share = self.terms.penalty / self.terms.reference_count[self.terms.image]
        weight = counts.T[self.terms.image] * share[:, None]
        return np.asarray(10.0 * (cosines.mean(axis=1) * weight).sum(axis=0) / drawn, dtype=np.float64)


def resampled_idf_cider(captions: PackedCaptions, matches: Matches) -> ResampledIdfCider:
    """CIDEr-D of a whole split; a split of which only a part has candidates has no such resamples."""
    if captions.document_count != captions.image_count:
        raise ValueError("the IDF can be resampled only where every image has a candidate")
    fixed, terms = cider_statistics(captions, matches), cider_terms(captions, matches)
    incidence = documents_of_ngrams(captions)
    classes, of_ngram = _classes(incidence, len(captions.order))
    pairs = np.unique(of_ngram[incidence.ngram] * captions.image_count + incidence.document)
    documents = scipy.sparse.csr_array(
        (np.ones(len(pairs)), np.divmod(pairs, captions.image_count)), shape=(classes, captions.image_count)
    )
    return ResampledIdfCider(
        fixed.value,
        fixed.per_sample,
        terms,
        documents,
        *(
            _matrix(part, of_ngram, classes)
            for part in (terms.products, terms.candidate_squares, terms.reference_squares)
        ),
    )


def _classes(incidence: Incidence, ngrams: int) -> tuple[int, IntArray]:
    """Number the sets of documents in which n-grams occur: how many, and [G] the set of each n-gram.

    A set is known by a sum of random numbers, one of 62 bits for each document.
    """
    random = np.random.default_rng(0).integers(0, 1 << 62, size=int(incidence.document.max(initial=0)) + 1)
    key = np.zeros(ngrams, dtype=np.int64)
    np.add.at(key, incidence.ngram, random[incidence.document])
    distinct, of_ngram = np.unique(key, return_inverse=True)
    return len(distinct), of_ngram.astype(np.int64)


def _matrix(terms: Terms, of_ngram: IntArray, classes: int) -> scipy.sparse.csr_array:
    place = (terms.cell, of_ngram[terms.ngram])
    return scipy.sparse.csr_array((terms.weight, place), shape=(terms.size, classes))
