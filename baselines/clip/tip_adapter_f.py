"""Tip-Adapter-F: the cache's keys are fine-tuned (Zhang et al. 2022, arXiv 2111.03930).

- A key enters the cache when its image is first drawn in training: the loop that trains all models shows images by
  the batch. What it starts from is the same as in Tip-Adapter.
- An image's own key has no vote in its own loss. The features are fixed, so it would be a perfect copy; the published
  code has augmented images there.
- A tenth of the training images, by the digest of their names, takes no part in the loss and is no key. alpha and
  beta are chosen on it whenever training pauses; the published code chooses them, and the epoch, on the test split.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from baselines.clip.learner import ClipLearner, embeddings_of
from baselines.clip.parts import ClipParts, require_single_label
from baselines.clip.tip_cache import PUBLISHED, CacheHead, is_held_out
from baselines.clip.tower import ClipTower
from harness.sample import Batch, Classes


class TipAdapterF(ClipLearner):
    """Trains n * d key weights."""

    head: CacheHead
    loss_is_mean_over_samples = False  # the images that it has met are its keys

    def __init__(self, vision: ClipTower, head: CacheHead, classes: Classes) -> None:
        super().__init__(vision, head, classes)
        self._places: dict[str, int] = {}
        self._held: dict[str, tuple[Tensor, int]] = {}
        self._free: dict[int, list[int]] = {}
        for place, label in enumerate(head.slots.tolist()):
            self._free.setdefault(label, []).append(place)

    def loss(self, batch: Batch, generator: Generator) -> Tensor:
        """Mean cross-entropy over the seen classes, of the images that are not held out."""
        assert batch.targets is not None
        features = F.normalize(embeddings_of(batch).float(), dim=-1)
        rows = []
        for row, (name, target) in enumerate(zip(batch.sample_ids, batch.targets, strict=True)):
            if is_held_out(name):
                self._held[name] = (features[row].detach(), int(target.label))
            else:
                rows.append(row)
                self._admit(name, int(target.label), features[row])
        if not rows:
            return self.head.keys.sum() * 0.0
        asked = self.head.filled.repeat(len(rows), 1)
        for position, row in enumerate(rows):
            place = self._places.get(batch.sample_ids[row])
            if place is not None:
                asked[position, place] = False
        logits = self.head.logits(features[rows], *PUBLISHED, asked)
        return self.answers.loss(logits, [batch.targets[row] for row in rows])

    def train(self, mode: bool = True) -> TipAdapterF:
        """Choose alpha and beta on the held-out images that were met, when training pauses."""
        super().train(mode)
        if not mode and self._held:
            features, labels = zip(*self._held.values(), strict=True)
            stacked = torch.stack(features)
            self.head.select_mixing(stacked, torch.tensor(labels, device=stacked.device))
        return self

    def _admit(self, name: str, label: int, feature: Tensor) -> None:
        """Give an image a slot of its class, if one is free."""
        if name not in self._places and self._free.get(label):
            self._places[name] = self._free[label].pop(0)
            self.head.fill([self._places[name]], feature[None])


def build(parts: ClipParts) -> ClipLearner:
    """Build with an empty cache; raises UsageError for several classes an image."""
    require_single_label(parts.spec, "Tip-Adapter-F", "each key votes for one class.")
    return TipAdapterF(parts.tower, CacheHead(parts, tuned=True), parts.classes)
