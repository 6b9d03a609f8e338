"""CIDEr-D from packed n-gram counts (Vedantam et al. 2015, arXiv:1411.5726).

For each order n: the cosine of TF-IDF vectors of candidate and reference, matches clipped to the weight in the
reference, times exp(-(difference in length)^2 / (2 * 6^2)); mean over references and over n = 1..4, times 10.
As in the COCO caption evaluation, a caption's "length" here is its number of bigrams, and the IDF of an n-gram
is log(documents) - log(max(1, documents that hold it)), a document being all references of one image.

The IDF is a property of the whole split's references, so `cider_statistics` keeps it in every resample: the
corpus score is then a mean over images, for which the bootstrap is valid. Recomputed in each resample, which repeats
images, an n-gram of one image would count as two or three documents, its IDF fall, and all resamples score low: on
200 splits of 200 synthetic images a nominal 95 % interval held the true mean in 77 % that way, in 94 % with the IDF
of the split.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.metrics.captions.ngrams import MAX_ORDER, Matches, NgramCounts, PackedCaptions
from harness.stats.resampling import FloatArray, IntArray, MeanStatistics

_SIGMA = 6.0


def cider_statistics(captions: PackedCaptions, matches: Matches) -> MeanStatistics:
    """CIDEr-D with the IDF of all documents in `captions`, the same in every resample."""
    frequency = np.bincount(documents_of_ngrams(captions).ngram, minlength=len(captions.order))
    idf = np.log(captions.document_count) - np.log(np.maximum(frequency, 1))
    terms = cider_terms(captions, matches)
    products, candidates, references = (
        np.bincount(term.cell, term.weight * idf[term.ngram] ** 2, term.size).astype(np.float64)
        for term in (terms.products, terms.candidate_squares, terms.reference_squares)
    )
    return MeanStatistics(cider_from_sums(terms, products, candidates, references), bounds=(0.0, 10.0))


@dataclass(frozen=True)
class Terms:
    """A sum over n-grams: `sums[cell] += weight * idf[ngram]**2`; arrays [K], cells 0..size-1."""

    cell: IntArray
    ngram: IntArray
    weight: FloatArray
    size: int


@dataclass(frozen=True)
class CiderTerms:
    """CIDEr-D but for the IDF: which sums it takes, for N images with M references and 4 orders."""

    products: Terms  # M * 4 cells: dot products, without the penalty for length
    candidate_squares: Terms  # N * 4 cells: squared norms
    reference_squares: Terms  # M * 4 cells: squared norms
    penalty: FloatArray  # [M] for length, 0..1
    image: IntArray  # [M] of each reference, ascending
    reference_count: IntArray  # [N] references of each image


def cider_terms(captions: PackedCaptions, matches: Matches) -> CiderTerms:
    """Prepare all sums; references of images without a candidate are left out."""
    used = int(np.searchsorted(captions.reference_image, captions.image_count))
    image = captions.reference_image[:used]
    own = np.maximum(captions.candidate_length - 1, 0)[image]
    theirs = np.maximum(captions.reference_length[:used] - 1, 0)
    difference = (own - theirs).astype(np.float64)
    return CiderTerms(
        products=_product_terms(captions, matches, used),
        candidate_squares=_square_terms(captions, captions.candidates, captions.image_count),
        reference_squares=_square_terms(captions, captions.references, used),
        penalty=np.exp(-(difference**2) / (2 * _SIGMA**2)),
        image=image,
        reference_count=np.bincount(image, minlength=captions.image_count),
    )


def cider_from_sums(
    terms: CiderTerms, products: FloatArray, candidate_squares: FloatArray, reference_squares: FloatArray
) -> FloatArray:
    """[N] CIDEr-D of each image, 0..10, from the sums [M * 4], [N * 4], [M * 4]."""
    own = candidate_squares.reshape(-1, MAX_ORDER)[terms.image]
    norms = np.sqrt(own * reference_squares.reshape(-1, MAX_ORDER))
    cosines = np.divide(products.reshape(-1, MAX_ORDER), norms, out=np.zeros_like(norms), where=norms != 0)
    similarity = cosines.mean(axis=1) * terms.penalty
    total = np.bincount(terms.image, weights=similarity, minlength=len(terms.reference_count))
    return np.asarray(10.0 * total / terms.reference_count, dtype=np.float64)


@dataclass(frozen=True)
class Incidence:
    """Which n-gram occurs in which document's references, each pair once; arrays [K]."""

    document: IntArray
    ngram: IntArray


def documents_of_ngrams(captions: PackedCaptions) -> Incidence:
    """All pairs of an n-gram and a document that holds it."""
    image = captions.reference_image[captions.references.caption]
    # Stable means a merge sort here, and the keys are long runs in order.
    pairs = np.sort(image * len(captions.order) + captions.references.ngram, kind="stable")
    distinct = pairs[np.diff(pairs, prepend=-1) > 0]
    return Incidence(*np.divmod(distinct, max(len(captions.order), 1)))


def _square_terms(captions: PackedCaptions, counts: NgramCounts, size: int) -> Terms:
    end = int(np.searchsorted(counts.caption, size))
    ngram = counts.ngram[:end]
    cell = counts.caption[:end] * MAX_ORDER + captions.order[ngram] - 1
    return Terms(cell, ngram, counts.count[:end].astype(np.float64) ** 2, size * MAX_ORDER)


def _product_terms(captions: PackedCaptions, matches: Matches, size: int) -> Terms:
    """min(c * idf, r * idf) * (r * idf) = min(c, r) * r * idf^2, as the IDF is never negative."""
    row = matches.reference_row
    ngram, count = captions.references.ngram[row], captions.references.count[row]
    cell = captions.references.caption[row] * MAX_ORDER + captions.order[ngram] - 1
    weight = np.minimum(captions.candidates.count[matches.candidate_row], count) * count
    return Terms(cell, ngram, weight.astype(np.float64), size * MAX_ORDER)
