"""Classifier weights from class texts: the ensemble of a class's prompts, computed once and kept on disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.clip.text_tower import TextTower
from baselines.weights.digests import text_digest
from harness.inputs.frozen_features import computing_kind
from harness.inputs.sealed_files import find_or_make
from harness.storage.content import Contents


class StandsForClasses(Protocol):
    """A module that returns class embeddings `[C, d]`, and can stand for other texts of the classes."""

    def reword(self, texts: Sequence[Sequence[str]]) -> None:
        """Stand for these texts from now on."""
        ...


_VERSION = 2
"""Raised whenever the same texts would be embedded otherwise: kept embeddings are named by it."""
Reread = Callable[[Sequence[Sequence[str]]], Tensor]
"""Embeds the prompts of each class; returns `[C, d]` of unit length."""


def ensemble(embeddings: Tensor, counts: Sequence[int]) -> Tensor:
    """Mean over each class's prompts, to unit length: `[sum of counts, d]` to `[C, d]`.

    Radford et al. 2021 (arXiv 2103.00020), as `open_clip.build_zero_shot_classifier` computes it.
    """
    means = torch.stack([part.mean(dim=0) for part in torch.split(embeddings, list(counts))])
    return F.normalize(means, dim=-1)


def embed_classes(text: TextTower, texts: Sequence[Sequence[str]]) -> Tensor:
    """Embed every class's prompts; returns `[C, d]` of unit length."""
    return ensemble(text.embed([prompt for prompts in texts for prompt in prompts]), [len(group) for group in texts])


def cached_class_embeddings(text: TextTower, texts: Sequence[Sequence[str]], digest: str, cache: Path) -> Tensor:
    """Find or compute them: eighty prompts for each of a thousand classes take minutes, in each job anew."""
    kind = computing_kind(str(next(text.parameters()).device))
    key = text_digest(json.dumps([_VERSION, digest, open_clip.__version__, kind, [list(group) for group in texts]]))
    path = cache / "class-embeddings" / f"{key}.npy"

    def make(place: Path) -> dict[str, Any]:
        with place.open("wb") as file:
            np.save(file, embed_classes(text, texts).cpu().numpy())
        return {}

    find_or_make(path, make, Contents(cache))
    return torch.from_numpy(np.load(path))


class FixedClasses(nn.Module):
    """Class embeddings that training does not change; `reread` embeds other texts."""

    embeddings: Tensor

    def __init__(self, embeddings: Tensor, reread: Reread) -> None:
        super().__init__()
        self.register_buffer("embeddings", embeddings, persistent=False)
        self._reread = reread

    def reword(self, texts: Sequence[Sequence[str]]) -> None:
        """Stand for these texts from now on."""
        self.embeddings = self._reread(texts).to(self.embeddings.device)

    def forward(self) -> Tensor:
        """Return `[C, d]`."""
        return self.embeddings


def _forget(module: nn.Module, keys: object) -> None:
    module.ready = None  # type: ignore[assignment]


class TrainedClasses(nn.Module):
    """Class embeddings that training moves: in eval mode they are computed once, when that mode begins.

    `inner` is a module without arguments that returns `[C, d]` of unit length.
    """

    ready: Tensor | None

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.register_buffer("ready", None, persistent=False)
        self.register_load_state_dict_post_hook(_forget)  # type: ignore[no-untyped-call]

    def forward(self) -> Tensor:
        """Return `[C, d]`."""
        embeddings: Tensor = self.inner() if self.ready is None else self.ready
        return embeddings

    def reword(self, texts: Sequence[Sequence[str]]) -> None:
        """Stand for these texts from now on."""
        cast("StandsForClasses", self.inner).reword(texts)
        self.train(self.training)

    def train(self, mode: bool = True) -> TrainedClasses:
        """Compute when training is over, forget when it goes on."""
        super().train(mode)
        self.ready = None
        if not mode:
            with torch.inference_mode(False), torch.no_grad():  # an attack's gradient may pass by it
                self.ready = self.inner()
        return self
