"""CIDEr-D from packed n-gram counts (Vedantam et al. 2015, arXiv:1411.5726).

For each order n: the cosine of TF-IDF vectors of candidate and reference, matches clipped to the reference's
weight, times exp(-(difference in length)^2 / (2 * 6^2)); mean over references and over n = 1..4, times 10.
As in the COCO caption evaluation, a caption's "length" here is its number of bigrams, and the IDF of an n-gram
is log(documents) - log(max(1, documents that hold it)), a document being all references of one image.
"""

from __future__ import annotations

import numpy as np

from harness.metrics.ngrams import MAX_ORDER, Matches, NgramCounts, PackedCaptions
from harness.metrics.resampling import FloatArray, IntArray, MeanStatistics

_SIGMA = 6.0


def cider_statistics(captions: PackedCaptions, matches: Matches) -> MeanStatistics:
    """CIDEr-D with the IDF of all documents in `captions`."""
    return MeanStatistics(cider_per_image(captions, matches, inverse_document_frequency(captions)))


def document_frequency(captions: PackedCaptions) -> IntArray:
    """[G] in how many images' references each n-gram occurs."""
    size = len(captions.order)
    image = captions.reference_image[captions.references.caption]
    distinct = np.unique(image * size + captions.references.ngram)
    return np.bincount(distinct % max(size, 1), minlength=size)


def inverse_document_frequency(captions: PackedCaptions) -> FloatArray:
    """[G] IDF over all documents, >= 0."""
    frequency = document_frequency(captions)
    return np.asarray(np.log(captions.document_count) - np.log(np.maximum(frequency, 1)))


def cider_per_image(captions: PackedCaptions, matches: Matches, idf: FloatArray) -> FloatArray:
    """[N] CIDEr-D of each image, 0..10, with the given IDF [G]."""
    squared_idf = idf**2
    candidate_norm = _norms(captions.candidates, captions, captions.image_count, squared_idf)
    reference_norm = _norms(captions.references, captions, len(captions.reference_length), squared_idf)
    reference = captions.references.caption[matches.reference_row]
    ngram = captions.references.ngram[matches.reference_row]
    reference_count = captions.references.count[matches.reference_row]
    candidate_count = captions.candidates.count[matches.candidate_row]
    # min(c * idf, r * idf) * r * idf, where idf >= 0
    product = np.minimum(candidate_count, reference_count) * reference_count * squared_idf[ngram]
    cell = reference * MAX_ORDER + captions.order[ngram] - 1
    dot = np.bincount(cell, weights=product, minlength=reference_norm.size).reshape(reference_norm.shape)
    return _mean_over_references(captions, dot, candidate_norm, reference_norm)


def _norms(counts: NgramCounts, captions: PackedCaptions, size: int, squared_idf: FloatArray) -> FloatArray:
    """[size, 4] Euclidean norm of each caption's TF-IDF vector of each order."""
    cell = counts.caption * MAX_ORDER + captions.order[counts.ngram] - 1
    squares = np.bincount(cell, weights=counts.count**2 * squared_idf[counts.ngram], minlength=size * MAX_ORDER)
    return np.sqrt(squares).reshape(size, MAX_ORDER)


def _mean_over_references(
    captions: PackedCaptions, dot: FloatArray, candidate_norm: FloatArray, reference_norm: FloatArray
) -> FloatArray:
    """[N] the score of each image from [M, 4] dot products and norms."""
    used = captions.reference_image < captions.image_count
    image = captions.reference_image[used]
    norm = candidate_norm[image] * reference_norm[used]
    cosine = np.divide(dot[used], norm, out=dot[used], where=norm != 0)
    bigrams = np.maximum(captions.candidate_length - 1, 0)[image]
    difference = bigrams - np.maximum(captions.reference_length - 1, 0)[used]
    similarity = cosine.mean(axis=1) * np.exp(-(difference**2) / (2 * _SIGMA**2))
    total = np.bincount(image, weights=similarity, minlength=captions.image_count)
    return 10.0 * total / np.bincount(image, minlength=captions.image_count)
