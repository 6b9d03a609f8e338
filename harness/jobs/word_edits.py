"""Words of training texts left out or replaced (`train.words`); apart, since its code moves no other training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Generator

from harness.perturb.text.words import WORD_DELETE, WORD_SYNONYM
from harness.sample import Batch

_WORDS = {each.name: each for each in (WORD_DELETE, WORD_SYNONYM)}
_WORDS_SEVERITY = 2


def batch_reworded(batch: Batch, name: str, generator: Generator) -> Batch:
    """Rewrite the texts beside the images."""
    seed = int(torch.randint(2**62, (), generator=generator))
    rng, rewrite = np.random.default_rng(seed), _WORDS[name].apply
    texts = tuple(text if text is None else rewrite(text, _WORDS_SEVERITY, rng) or text for text in batch.texts)
    return replace(batch, texts=texts)
