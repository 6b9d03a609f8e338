"""Captions packed to integer arrays, with the n-gram counts that BLEU and CIDEr-D share.

Every distinct n-gram of order 1..4 gets one integer id; a caption becomes rows (caption, n-gram, count).
Images are numbered 0..N-1 in the order given; image i has one candidate (caption i) and any number of
references (captions of their own numbering, `reference_image` says whose).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.stats.resampling import IntArray

MAX_ORDER = 4


@dataclass(frozen=True)
class NgramCounts:
    """Rows sorted by (caption, n-gram); all arrays [K] of int64."""

    caption: IntArray
    ngram: IntArray
    count: IntArray  # >= 1


@dataclass(frozen=True)
class PackedCaptions:
    """Candidates and references of N images over one numbering of G n-grams.

    The references of images that have no candidate (the rest of a split) may follow as images N, N+1, ...:
    they count as documents for the IDF and for nothing else.
    """

    order: IntArray  # [G] 1..4, the length of each n-gram
    candidates: NgramCounts
    candidate_length: IntArray  # [N] words
    references: NgramCounts
    reference_length: IntArray  # [M] words
    reference_image: IntArray  # [M] image of each reference, ascending
    image_count: int  # N, images that have a candidate
    document_count: int  # D >= N, images that have references

    def matches(self) -> Matches:
        """Join the candidate's and the references' n-grams of each image that has a candidate."""
        size = len(self.order)
        wanted = self.candidates.caption * size + self.candidates.ngram  # ascending
        image = self.reference_image[self.references.caption]
        offered = image * size + self.references.ngram
        place = np.searchsorted(wanted, offered)
        place[place == len(wanted)] = 0
        row = np.flatnonzero(wanted[place] == offered) if len(wanted) else np.empty(0, dtype=np.int64)
        return Matches(candidate_row=place[row].astype(np.int64), reference_row=row.astype(np.int64))


@dataclass(frozen=True)
class Matches:
    """Pairs of rows of `candidates` and `references` that hold the same n-gram of the same image; [P] int64."""

    candidate_row: IntArray
    reference_row: IntArray


def pack_captions(
    candidates: Sequence[str],
    references: Sequence[Sequence[str]],
    other_references: Sequence[Sequence[str]] = (),
) -> PackedCaptions:
    """Pack tokenised captions (words parted by white space).

    `references[i]` belong to `candidates[i]`; `other_references` are those of images without a candidate.
    """
    documents = [*references, *other_references]
    flat_references = [caption for document in documents for caption in document]
    words, lengths = _number_words([*candidates, *flat_references])
    caption = np.repeat(np.arange(len(lengths)), lengths)
    counts, order = _count_ngrams(words, lengths, caption)
    first_reference = np.searchsorted(counts.caption, len(candidates))
    return PackedCaptions(
        order=order,
        candidates=_rows(counts, slice(0, first_reference), 0),
        candidate_length=lengths[: len(candidates)],
        references=_rows(counts, slice(first_reference, None), len(candidates)),
        reference_length=lengths[len(candidates) :],
        reference_image=np.repeat(np.arange(len(documents)), [len(document) for document in documents]),
        image_count=len(candidates),
        document_count=len(documents),
    )


def _number_words(captions: Iterable[str]) -> tuple[IntArray, IntArray]:
    """All words of all captions as ids [T], and each caption's length [C]."""
    numbering: dict[str, int] = {}
    ids: list[int] = []
    lengths: list[int] = []
    for caption in captions:
        words = caption.split()
        lengths.append(len(words))
        ids += [numbering.setdefault(word, len(numbering)) for word in words]
    return np.array(ids, dtype=np.int64), np.array(lengths, dtype=np.int64)


def _count_ngrams(words: IntArray, lengths: IntArray, caption: IntArray) -> tuple[NgramCounts, IntArray]:
    """Count the n-grams of order 1..4 of each caption; also return the order of each n-gram id."""
    words_left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(words))  # from here to the caption's end
    vocabulary_size = int(words.max()) + 1 if len(words) else 0
    ids, orders, captions, grams = words, [np.full(vocabulary_size, 1)], [caption], [words]
    start, size = np.arange(len(words)), vocabulary_size
    for order in range(2, MAX_ORDER + 1):
        longer = words_left[start] >= order
        start, ids = start[longer], ids[longer]
        distinct, ids = np.unique(ids * vocabulary_size + words[start + order - 1], return_inverse=True)
        orders.append(np.full(len(distinct), order))
        captions.append(caption[start])
        grams.append(ids + size)
        size += len(distinct)
    keys, count = np.unique(np.concatenate(captions) * size + np.concatenate(grams), return_counts=True)
    rows, ngram = np.divmod(keys, max(size, 1))
    return NgramCounts(caption=rows, ngram=ngram, count=count.astype(np.int64)), np.concatenate(orders)


def _rows(counts: NgramCounts, rows: slice, first_caption: int) -> NgramCounts:
    """A run of rows, its captions numbered from 0."""
    return NgramCounts(counts.caption[rows] - first_caption, counts.ngram[rows], counts.count[rows])
