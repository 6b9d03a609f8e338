"""Tip-Adapter: CLIP plus a cache of training images, without training (Zhang et al. 2022, arXiv 2111.03930)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F

from baselines.clip.learner import ClipLearner, embeddings_of
from baselines.clip.parts import ClipParts, require_single_label
from baselines.clip.tip_cache import CacheHead, choose_places, is_held_out
from harness.errors import DataError
from harness.sample import Batch


class TipAdapter(ClipLearner):
    """Fitted in one pass over the training split."""

    head: CacheHead

    def fit(self, batches: Iterable[Batch]) -> None:
        """Choose alpha and beta with a tenth of the images held out of the keys, then take keys from all images."""
        names: list[str] = []
        labels: list[int] = []
        parts = []
        for batch in batches:
            assert batch.targets is not None
            names += batch.sample_ids
            labels += [int(target.label) for target in batch.targets]
            parts.append(F.normalize(embeddings_of(batch).float(), dim=-1))
        if not names:
            raise DataError("There is no training image to keep in the cache. Check the training split.")
        features, known = torch.cat(parts), torch.tensor(labels)
        held = torch.tensor([is_held_out(name) for name in names])
        kept = (~held).nonzero().flatten().tolist()
        self._fill([names[row] for row in kept], known[kept], features[kept])
        self.head.select_mixing(features[held], known[held].to(features.device))
        self._fill(names, known, features)

    def _fill(self, names: list[str], labels: torch.Tensor, features: torch.Tensor) -> None:
        places = choose_places(names, labels.tolist(), self.head.slots)
        rows = {name: row for row, name in enumerate(names)}
        self.head.filled.zero_()
        self.head.fill(list(places.values()), features[[rows[name] for name in places]])


def build(parts: ClipParts) -> ClipLearner:
    """Build with an empty cache; raises UsageError for several classes an image."""
    require_single_label(parts.spec, "Tip-Adapter", "each key votes for one class.")
    return TipAdapter(parts.tower, CacheHead(parts, tuned=False), parts.classes)
