"""EMAP: what a model of image and text would answer if the two could not interact.

The empirical multimodally-additive projection (Hessel & Lee 2020, arXiv 2010.06572) replaces a model's scores
f(image, text) by mean over texts + mean over images - mean over both, over all pairs of the given samples. Where that
scores as well as the model itself, the model does not use the combination of image and text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, pairwise
from typing import TYPE_CHECKING

from harness.answers import is_label
from harness.measure.out_of_memory import halving
from harness.metrics.plain_answers import answers_of
from harness.protocols import NOTICE
from harness.sample import Batch, Outcome, Prediction
from harness.text.spelling import name_bytes

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from harness.inputs.visual_tokens import VisualTokens
    from harness.protocols import Learner, Progress

_LEAST_PROBABILITY = 1e-12


def has_two_inputs(visual_tokens: VisualTokens) -> bool:
    """Tell whether a split has an image and a text for each sample, and the learner an eye for images."""
    return visual_tokens.learner.vision is not None and all(sample.text is not None for sample in visual_tokens.samples)


def additive_outcomes(learner: Learner, visual_tokens: VisualTokens, count: int, progress: Progress) -> list[Outcome]:
    """Project a classifier's answers on `count` samples, spread over the split; needs count² answers.

    Log-probabilities stand for logits: they differ by a constant a pair, which moves all classes alike. A model that
    answers with labels alone has none, so nothing is projected.
    """
    import numpy as np
    import torch

    chosen = spread([sample.sample_id for sample in visual_tokens.samples], count)
    with torch.inference_mode():
        read = partial(_read, visual_tokens, chosen)
        whole, size = halving(read, max(1, len(chosen)), _tell(progress), "while reading images for pairs,")
        sums = _sums(learner, whole, size, progress)
    if sums is None:
        return []
    of_image, of_text, total = sums
    pairs = len(chosen)
    scores = of_image / pairs + of_text / pairs - total / pairs**2
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    return [Outcome(sample_id, row) for sample_id, row in zip(whole.sample_ids, probabilities.tolist(), strict=True)]


def spread(sample_ids: Sequence[str], count: int) -> list[int]:
    """Choose one index of each of `count` equal parts of a split, so that an image is asked about rarely twice.

    Within a part the digest of the id chooses: questions about one image follow each other in a fixed order of
    conditions, and equal steps would meet one condition only.
    """
    total = len(sample_ids)
    count = min(count, total)
    bounds = [index * total // count for index in range(count + 1)]
    return [
        min(range(start, stop), key=lambda index: hashlib.sha256(name_bytes(sample_ids[index])).digest())
        for start, stop in pairwise(bounds)
    ]


EmapScores = tuple["npt.NDArray[np.float64]", "npt.NDArray[np.float64]", "npt.NDArray[np.float64]"]


def _sums(learner: Learner, whole: Batch, size: int, progress: Progress) -> EmapScores | None:
    """Sum log-probabilities over the texts of each image, over the images of each text, and over all pairs.

    At most `size` pairs are answered at once, fewer where memory runs out. None where an answer has no probabilities.
    """
    import numpy as np

    count = len(whole)
    of_image = of_text = None
    for shift in range(count):
        paired = replace(whole, texts=_rolled(whole.texts, shift))
        answers, size = halving(partial(_answers, learner, paired), size, _tell(progress), "while pairing images with")
        if any(is_label(answer) for answer in answers):
            return None
        scores = np.log(np.maximum(np.asarray(answers, dtype=np.float64), _LEAST_PROBABILITY))
        if of_image is None or of_text is None:
            of_image, of_text = np.zeros_like(scores), np.zeros_like(scores)
        of_image += scores
        of_text += np.roll(scores, shift, axis=0)
        progress("pairing images with other texts", shift + 1, count)
    assert of_image is not None and of_text is not None
    return of_image, of_text, of_image.sum(axis=0, keepdims=True)


def _read(visual_tokens: VisualTokens, chosen: Sequence[int], size: int) -> Batch:
    """Read samples as one batch, whose tokens are computed for at most `size` images at once."""
    import torch

    parts = [visual_tokens.batch(chosen[at : at + size], with_targets=False) for at in range(0, len(chosen), size)]
    if len(parts) == 1:
        return parts[0]
    visual = [part.visual for part in parts if part.visual is not None]
    return Batch(
        sample_ids=tuple(chain.from_iterable(part.sample_ids for part in parts)),
        visual=torch.cat(visual) if visual else None,
        texts=tuple(chain.from_iterable(part.texts for part in parts)),
        sizes=tuple(chain.from_iterable(part.sizes for part in parts)),
    )


def _answers(learner: Learner, batch: Batch, size: int) -> list[Prediction]:
    """Let a learner predict, at most `size` samples at once."""
    found: list[Prediction] = []
    for start in range(0, len(batch), size):
        rows = slice(start, start + size)
        visual = None if batch.visual is None else batch.visual[rows]
        part = Batch(batch.sample_ids[rows], visual, batch.texts[rows], sizes=batch.sizes[rows])
        found += answers_of(learner, part)
    return found


def _tell(progress: Progress) -> Callable[[int], None]:
    return lambda size: progress(f"out of memory: pairing images with texts in batches of {size}", 0, NOTICE)


def _rolled(texts: Sequence[str | None], shift: int) -> tuple[str | None, ...]:
    """Text of sample i + shift for each i; the score of pair (i, i + shift) then belongs to text i + shift."""
    return (*texts[shift:], *texts[:shift])
