"""Gives a learner its visual tokens: computed once a data set where the tower is frozen, else on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from harness.files import one_at_a_time, replace_atomically
from harness.images import DECODER, ImageSplit
from harness.protocols import Learner, Progress, VisionTower
from harness.sample import Batch, Sample

if TYPE_CHECKING:
    from torch import Tensor

FEATURE_LIMIT_BYTES = 16 * 2**30
"""Frozen features that would take more than this are computed anew at each use."""
_FEATURE_BATCH = 64


@dataclass(frozen=True)
class Visuals:
    """A split as a learner sees it: batches by index, with cached tokens where there are any."""

    learner: Learner
    images: ImageSplit | None
    samples: tuple[Sample, ...]
    features: npt.NDArray[np.float32] | None
    device: str

    def __len__(self) -> int:
        return len(self.samples)

    def batch(self, indices: Sequence[int], *, with_targets: bool) -> Batch:
        """Gather a batch; targets only where the caller is training."""
        chosen = [self.samples[index] for index in indices]
        return Batch(
            sample_ids=tuple(sample.sample_id for sample in chosen),
            visual=self._tokens(indices),
            texts=tuple(sample.text for sample in chosen),
            targets=tuple(sample.target for sample in chosen) if with_targets else None,
            sizes=self.images.sizes_of(indices) if self.images else (),
        )

    def _tokens(self, indices: Sequence[int]) -> Tensor | None:
        import torch

        if self.features is not None:
            rows = [self.images.rows[index] for index in indices] if self.images else list(indices)
            return torch.from_numpy(self.features[rows]).to(self.device)
        if self.images is None or self.learner.vision is None:
            return None
        pixels = torch.from_numpy(self.images.read(indices)).to(self.device)
        if not self.learner.vision_frozen:
            return self.learner.vision(pixels)
        with torch.no_grad():
            return self.learner.vision(pixels)


def open_visuals(learner: Learner, images: ImageSplit, cache: Path, device: str, progress: Progress) -> Visuals:
    """Prepare a split for a learner; computes or finds the features of a frozen tower."""
    if learner.vision is None:
        return Visuals(learner, None, images.samples, None, device)
    features = None
    if learner.vision_frozen:
        features = _frozen_features(learner.vision, images, cache, device, progress)
    return Visuals(learner, images, images.samples, features, device)


def _frozen_features(
    tower: VisionTower, images: ImageSplit, cache: Path, device: str, progress: Progress
) -> npt.NDArray[np.float32] | None:
    """Find or compute float32 features `[images, N, width]`; None when they would be too large to keep."""
    path = cache / "features" / f"{_feature_key(tower, images)}.npy"
    if not path.is_file():
        first = _encode(tower, images, range(min(1, len(images.paths))), device)
        if first.nbytes * len(images.paths) > FEATURE_LIMIT_BYTES:
            return None
        with one_at_a_time(path):
            if not path.is_file():
                _write_features(path, tower, images, device, progress)
    features: npt.NDArray[np.float32] = np.load(path, mmap_mode="r")
    return features


def _write_features(path: Path, tower: VisionTower, images: ImageSplit, device: str, progress: Progress) -> None:
    """Encode in batches of fixed size, so that the features do not depend on who asks first."""
    blocks, total = [], len(images.paths)
    for start in range(0, total, _FEATURE_BATCH):
        stop = min(start + _FEATURE_BATCH, total)
        blocks.append(_encode(tower, images, range(start, stop), device))
        progress("computing frozen features", stop, total)
    with replace_atomically(path) as temporary, temporary.open("wb") as file:
        np.save(file, np.concatenate(blocks))


def _encode(tower: VisionTower, images: ImageSplit, rows: Sequence[int], device: str) -> npt.NDArray[np.float32]:
    import torch

    with torch.inference_mode():
        tokens = tower(torch.from_numpy(images.read_rows(rows)).to(device)).float().cpu().numpy()
    return np.asarray(tokens, dtype=np.float32)


def _feature_key(tower: VisionTower, images: ImageSplit) -> str:
    digest = hashlib.sha256(f"{tower.key} {DECODER}".encode())
    for path in images.paths:
        stat = path.stat()
        digest.update(f"{path}\0{stat.st_size}:{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:24]
