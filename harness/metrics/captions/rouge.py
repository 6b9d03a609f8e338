"""ROUGE-L (Lin 2004, ACL W04-1013): longest common subsequences, for all pairs of a corpus at once.

P and R are the longest common subsequence over the candidate's and the reference's length, each maximised over
the references; F = (1 + 1.2^2) P R / (R + 1.2^2 P), as in the COCO caption evaluation (arXiv:1504.00325).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from harness.stats.resampling import IntArray, MeanStatistics

_BETA_SQUARED = 1.2**2
_CELLS = 1 << 19  # of one block of padded pairs
_NO_CANDIDATE_WORD, _NO_REFERENCE_WORD = -1, -2  # paddings that match nothing, each other included


def rouge_statistics(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> MeanStatistics:
    """ROUGE-L of tokenised captions.

    Words are parted by single spaces, as pycocoevalcap does here: an empty caption holds one empty word.
    """
    flat = [caption for image in references for caption in image]
    captions = _NumberedWords([*candidates, *flat])
    image = np.repeat(np.arange(len(candidates)), [len(captions_) for captions_ in references])
    reference = len(candidates) + np.arange(len(flat))
    common = _longest_common_subsequences(captions, image, reference)
    first = np.searchsorted(image, np.arange(len(candidates)))
    precision = np.maximum.reduceat(common / captions.lengths[image], first)
    recall = np.maximum.reduceat(common / captions.lengths[reference], first)
    weighted = recall + _BETA_SQUARED * precision
    product = (1 + _BETA_SQUARED) * precision * recall
    scores = np.divide(product, weighted, out=np.zeros_like(product), where=product != 0)
    return MeanStatistics(scores, bounds=(0.0, 1.0))


class _NumberedWords:
    """Captions as runs of word ids: caption c is `words[starts[c] : starts[c] + lengths[c]]`."""

    def __init__(self, captions: Sequence[str]) -> None:
        numbering: dict[str, int] = {}
        ids: list[int] = []
        lengths: list[int] = []
        for caption in captions:
            words = caption.split(" ")
            lengths.append(len(words))
            ids += [numbering.setdefault(word, len(numbering)) for word in words]
        self.words = np.array(ids, dtype=np.int32)
        self.lengths: IntArray = np.array(lengths, dtype=np.int64)
        self.starts = np.cumsum(self.lengths) - self.lengths

    def padded(self, captions: IntArray, padding: int) -> npt.NDArray[np.int32]:
        """[C, longest] word ids, `padding` after the end."""
        lengths = self.lengths[captions]
        column = np.arange(lengths.max())
        inside = column < lengths[:, None]
        place = np.where(inside, self.starts[captions][:, None] + column, 0)
        return np.where(inside, self.words[place], np.int32(padding))


def _longest_common_subsequences(captions: _NumberedWords, first: IntArray, second: IntArray) -> IntArray:
    """[P] length of the longest common subsequence of each pair of captions."""
    common = np.zeros(len(first), dtype=np.int64)
    # Pairs of like lengths share a block, so little of it is padding.
    by_length = np.lexsort((captions.lengths[first], captions.lengths[second]))
    start = 0
    while start < len(by_length):
        longest = int(captions.lengths[second[by_length[min(start + 4096, len(by_length) - 1)]]])
        block = by_length[start : start + max(1, min(4096, _CELLS // longest))]
        common[block] = _block(
            captions.padded(first[block], _NO_CANDIDATE_WORD), captions.padded(second[block], _NO_REFERENCE_WORD)
        )
        start += len(block)
    return common


def _block(first: npt.NDArray[np.int32], second: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Row by row of the usual table, all pairs at once; [P, A] and [P, B] word ids -> [P].

    L[i, j] = max(L[i-1, j], L[i, j-1], L[i-1, j-1] + equal): the middle term is a running maximum along j.
    """
    row = np.zeros((len(second), second.shape[1] + 1), dtype=np.int32)
    for i in range(first.shape[1]):
        diagonal = row[:, :-1] + (second == first[:, i : i + 1])
        np.maximum(row[:, 1:], diagonal, out=row[:, 1:])
        np.maximum.accumulate(row, axis=1, out=row)
    return row[:, -1]
