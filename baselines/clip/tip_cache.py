"""Tip-Adapter's cache: training images that vote for their classes (Zhang et al. 2022, arXiv 2111.03930).

Logits are scale * f W + alpha * exp(-beta * (1 - f F')) L: f is the image's embedding, F those of K images a class (the
keys), L their classes, one-hot. alpha and beta are chosen on training images that are held out of the keys - never on
the test split, as the published code of Tip-Adapter-F does. A class without training images has no key: it is answered
by its text alone, and a large alpha, which suits the others, works against it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.clip.parts import ClipParts

PUBLISHED = (1.0, 5.5)
"""alpha and beta where no image is held out, and while keys are tuned."""
_ALPHAS = (0.0, 0.1, 0.3, 0.6, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
_BETAS = (0.5, 1.0, 2.0, 3.5, 5.5, 8.0, 12.0)
_HELD_OUT = 10


class CacheHead(nn.Module):
    """Keys `[n, d]` in a fixed number of slots a class; `filled` tells which of them hold an image."""

    slots: Tensor
    filled: Tensor
    mixing: Tensor
    weights: Tensor

    def __init__(self, parts: ClipParts, *, tuned: bool) -> None:
        super().__init__()
        known = parts.derived.get("slots", lambda: _slots_of(parts.spec.training_targets, parts.settings.shots))
        slots = torch.tensor(known, dtype=torch.int64)
        keys = torch.zeros(len(slots), parts.tower.width)
        if tuned:
            self.keys = nn.Parameter(keys)
        else:
            self.register_buffer("keys", keys)
        self.scale = parts.scale
        self._reread = parts.reread
        self.register_buffer("weights", parts.class_embeddings(), persistent=False)
        self.register_buffer("slots", slots, persistent=False)
        self.register_buffer("filled", torch.zeros(len(slots), dtype=torch.bool))
        self.register_buffer("mixing", torch.tensor(PUBLISHED, dtype=torch.float32))

    def forward(self, embeddings: Tensor) -> Tensor:
        """Return logits `[B, C]` of embeddings `[B, d]`."""
        alpha, beta = self.mixing
        return self.logits(F.normalize(embeddings, dim=-1), alpha, beta, self.filled[None])

    def logits(self, features: Tensor, alpha: Tensor | float, beta: Tensor | float, asked: Tensor) -> Tensor:
        """Return logits `[B, C]` of features of unit length; `asked` (bool `[B or 1, n]`) are the keys that vote."""
        with torch.autocast(features.device.type, enabled=False):  # as in CosineHead
            affinity = torch.exp(-beta * (1 - features @ self.keys.T)) * asked
            votes = features.new_zeros(len(features), len(self.weights)).index_add(1, self.slots, affinity)
            logits: Tensor = self.scale * features @ self.weights.T + alpha * votes
        return logits

    def reword(self, texts: Sequence[Sequence[str]]) -> None:
        """Read these texts for the classes from now on; the keys stay."""
        self.weights = self._reread(texts).to(self.weights.device)

    @torch.no_grad()
    def fill(self, places: Sequence[int], features: Tensor) -> None:
        """Put features of unit length `[m, d]` into slots."""
        self.keys[list(places)] = features.to(self.keys.dtype)
        self.filled[list(places)] = True

    @torch.no_grad()
    def select_mixing(self, features: Tensor, labels: Tensor) -> None:
        """Choose alpha and beta by accuracy on held-out images, then by likelihood; the published ones for none."""
        best, chosen = (-1.0, 0.0), PUBLISHED
        for alpha, beta in product(_ALPHAS, _BETAS) if len(labels) else ():
            logits = self.logits(features, alpha, beta, self.filled[None])
            right = float((logits.argmax(dim=1) == labels).double().mean())
            score = (right, -float(F.cross_entropy(logits.double(), labels)))
            if score > best:
                best, chosen = score, (alpha, beta)
        self.mixing.copy_(torch.tensor(chosen))


def is_held_out(sample_id: str) -> bool:
    """Tell whether a training image is kept for choosing alpha and beta: one of ten, by the digest of its name."""
    return _rank(sample_id) % _HELD_OUT == 0


def choose_places(sample_ids: Sequence[str], labels: Sequence[int], slots: Tensor) -> dict[str, int]:
    """Give images slots of their class, the first ones by digest; returns slot by name."""
    free: dict[int, list[int]] = {}
    for place, label in enumerate(slots.tolist()):
        free.setdefault(label, []).append(place)
    places = {}
    for sample_id, label in sorted(zip(sample_ids, labels, strict=True), key=lambda pair: (_rank(pair[0]), pair[0])):
        if free.get(label):
            places[sample_id] = free[label].pop(0)
    return places


def _slots_of(targets: Sequence[Any], shots: int) -> list[int]:
    """List the class of each slot: K a class (0: all), and no more than it has training images."""
    counts = Counter(int(target.label) for target in targets)
    return [label for label in sorted(counts) for _ in range(min(counts[label], shots or counts[label]))]


def _rank(sample_id: str) -> int:
    return int.from_bytes(hashlib.sha256(sample_id.encode()).digest()[:8], "big")
