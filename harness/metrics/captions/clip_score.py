"""CLIPScore and RefCLIPScore from embeddings (Hessel et al. 2021, arXiv 2104.08718).

CLIPScore of an image I and a caption c is 2.5 * max(cos(I, "A photo depicts " + c), 0): 0..2.5. RefCLIPScore is the
harmonic mean of it and of the highest max(cos(c, r), 0) over the references r, with the same words before each. As in
the paper both parts are clipped at 0; the authors' code leaves the second one unclipped, which differs only where no
reference is on the caption's side at all. torchmetrics' CLIPScore is another number: 100 * max(cos, 0), no prefix.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import DataError
from harness.stats.resampling import FloatArray, IntArray, MeanStatistics

FACTOR = 2.5
PREFIX = "A photo depicts "

Embeddings = npt.NDArray[np.floating[Any]]
"""[N, d] of any length but 0."""
EncodeBoth = Callable[[Sequence[str]], Embeddings]
"""Embeds N texts."""


def clip_statistics(
    images: Embeddings, candidates: Sequence[str], references: Sequence[Sequence[str]], encode: EncodeBoth
) -> dict[str, MeanStatistics]:
    """Score one caption an image: `CLIPScore` 0..2.5 and `RefCLIPScore` 0..1.43, means over images.

    `images` [N, d] are embeddings of any length; texts are embedded by the same model with the prefix before them.
    Raises DataError for counts and widths that do not fit, and for embeddings that are 0 or not finite.
    """
    if not candidates or len(images) != len(candidates) or len(references) != len(candidates) or not all(references):
        raise DataError(
            f"CLIPScore has {len(images)} images, {len(candidates)} captions and references of {len(references)} "
            "images. Give one image, one caption and at least one reference for each of at least one sample."
        )
    flat = [reference for group in references for reference in group]
    owner = np.repeat(np.arange(len(references)), [len(group) for group in references])
    captions = encode(with_prefix(candidates))
    score = clip_score(images, captions)
    return {
        "CLIPScore": score,
        "RefCLIPScore": ref_clip_score(score, captions, encode(with_prefix(flat)), owner),
    }


def with_prefix(texts: Sequence[str]) -> list[str]:
    """Put the published words before each text."""
    return [PREFIX + text for text in texts]


def clip_score(images: Embeddings, captions: Embeddings) -> MeanStatistics:
    """Score embeddings of images [N, d] and of captions [N, d], row by row; 0..2.5."""
    cosines = (_unit(images, "image") * _unit(captions, "caption")).sum(axis=1)
    return MeanStatistics(FACTOR * np.clip(cosines, 0.0, 1.0), bounds=(0.0, FACTOR))


def ref_clip_score(
    score: MeanStatistics, captions: Embeddings, references: Embeddings, owner: IntArray
) -> MeanStatistics:
    """Take references [M, d] in too; `owner` [M] is the row of each one's caption [N, d], and each row has one."""
    similar = (_unit(references, "reference") * _unit(captions, "caption")[owner]).sum(axis=1)
    best = np.zeros(len(captions))
    np.maximum.at(best, owner, np.clip(similar, 0.0, 1.0))
    total = score.per_sample + best
    return MeanStatistics(np.divide(2 * score.per_sample * best, total, out=np.zeros_like(total), where=total > 0))


def _unit(vectors: Embeddings, what: str) -> FloatArray:
    """[N, d] the same directions, of length 1."""
    wide = np.asarray(vectors, dtype=np.float64)
    if wide.ndim != 2:
        raise DataError(f"The {what} embeddings have shape {list(wide.shape)}; wanted [rows, width].")
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    wrong = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0))[:, 0])
    if wrong.size:
        raise DataError(
            f"The embedding of {what} {wrong[0]} has the length {lengths[wrong[0], 0]}, so it has no direction. "
            "Check the weights of the CLIP model."
        )
    return np.asarray(wide / lengths)
