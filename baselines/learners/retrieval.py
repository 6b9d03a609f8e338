"""Nearest-neighbour captions: the training caption that the neighbours' captions agree on.

Devlin et al. 2015 (arXiv 1505.04467): among the captions of the k training images most like the test
image, answer with the one most similar to the others. Similarity is the cosine of tf-idf vectors of
1- to 4-grams, as in CIDEr (arXiv 1411.5726).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Generator, Tensor, nn

from baselines.language.vocabulary import plain_caption, words_of
from baselines.vision.timm_tower import TimmTower
from harness.errors import DataError
from harness.protocols import ParameterGroups
from harness.sample import Batch

_LONGEST_NGRAM = 4
_PLACES = 5
"""Similarities are rounded to so many decimals, so that the size of a batch cannot break ties."""


class CaptionRetrieval(nn.Module):
    """Features of the training images as a buffer `[images, width]`; `captions` are theirs, in sample order."""

    features: Tensor

    def __init__(self, vision: TimmTower, captions: Sequence[Sequence[str]], neighbours: int) -> None:
        super().__init__()
        self.vision = vision
        self.vision_frozen = True
        self.neighbours = neighbours
        self.captions = [tuple(texts) for texts in captions]
        self.register_buffer("features", torch.zeros(len(self.captions), vision.width))
        self._similarity: tuple[Any, np.ndarray] | None = None

    def fit(self, batches: Iterable[Batch]) -> None:
        """Keep the pooled, normalised features of the training split, in sample order."""
        pooled = torch.cat([_pooled(batch.visual) for batch in batches])
        if len(pooled) != len(self.captions):
            raise DataError(f"{len(pooled)} training images were given, but {len(self.captions)} have captions.")
        self.features.copy_(pooled)

    def loss(self, batch: Batch, generator: Generator) -> Tensor:
        """Nothing is trained by gradient."""
        raise NotImplementedError("retrieval is fitted, not trained")

    def parameter_groups(self) -> ParameterGroups:
        """Nothing is trained by gradient."""
        return ParameterGroups((), (), ())

    @torch.no_grad()
    def predict(self, batch: Batch) -> list[str]:
        """Answer with the consensus caption of the nearest training images; ties go to the earlier one."""
        similar = (_pooled(batch.visual) @ self.features.T).double()
        rounded = similar.mul(10**_PLACES).round()
        nearest = rounded.sort(dim=1, descending=True, stable=True).indices[:, : self.neighbours]
        return [self._consensus(row) for row in nearest.tolist()]

    def _consensus(self, images: Sequence[int]) -> str:
        vectors, starts = self._ngrams()
        candidates = np.concatenate([np.arange(starts[i], starts[i + 1]) for i in images])
        chosen = vectors[candidates]
        agreement = np.asarray(chosen @ chosen.sum(axis=0).T).ravel()
        winner = int(candidates[int(np.argmax(np.round(agreement, _PLACES)))])
        image = int(np.searchsorted(starts, winner, side="right")) - 1
        return plain_caption(self.captions[image][winner - int(starts[image])])

    def _ngrams(self) -> tuple[Any, np.ndarray]:
        """Vectors of all training captions `[captions, n-grams]`, and where each image's begin."""
        if self._similarity is None:
            starts = np.cumsum([0, *(len(texts) for texts in self.captions)])
            self._similarity = (ngram_vectors([t for texts in self.captions for t in texts]), starts)
        return self._similarity


def ngram_vectors(captions: Sequence[str]) -> Any:
    """Make unit tf-idf rows over 1- to 4-grams, sparse `[captions, n-grams]`."""
    columns: dict[tuple[str, ...], int] = {}
    rows, cols, counts = [], [], []
    for row, caption in enumerate(captions):
        for ngram, count in _count_ngrams(words_of(caption)).items():
            rows.append(row)
            cols.append(columns.setdefault(ngram, len(columns)))
            counts.append(count)
    frequency = np.bincount(cols, minlength=len(columns))
    values = np.asarray(counts) * np.log(max(len(captions), 2) / frequency[cols])
    norms = np.sqrt(np.bincount(rows, weights=values**2, minlength=len(captions)))
    values = values / np.maximum(norms, 1e-12)[rows]
    return csr_matrix((values, (rows, cols)), shape=(len(captions), max(1, len(columns))))


def _count_ngrams(words: Sequence[str]) -> Counter[tuple[str, ...]]:
    return Counter(
        tuple(words[start : start + length])
        for length in range(1, _LONGEST_NGRAM + 1)
        for start in range(len(words) - length + 1)
    )


def _pooled(visual: Tensor | None) -> Tensor:
    assert visual is not None
    return nn.functional.normalize(visual.float().mean(dim=1), dim=-1)
