"""Gives a learner its visual tokens: computed once a data set where the tower is frozen, else on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from harness.inputs.array_file import has_room, writing_array
from harness.inputs.images import DECODER, ImageSplit
from harness.inputs.modes import evaluate_module
from harness.inputs.sealed_files import find_or_make
from harness.protocols import Learner, Progress, VisionTower
from harness.sample import Batch, Sample
from harness.storage.content import Contents

if TYPE_CHECKING:
    from torch import Tensor

_FEATURE_BATCH = 64


@dataclass(frozen=True)
class VisualTokens:
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
            choices=tuple(sample.choices for sample in chosen),
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


def open_visual_tokens(
    learner: Learner, images: ImageSplit, cache: Path, device: str, progress: Progress
) -> VisualTokens:
    """Prepare a split for a learner; computes or finds the features of a frozen tower."""
    if learner.vision is None:
        return VisualTokens(learner, None, images.samples, None, device)
    features = None
    if learner.vision_frozen:
        features = _frozen_features(learner.vision, images, cache, device, progress)
    return VisualTokens(learner, images, images.samples, features, device)


def _frozen_features(
    tower: VisionTower, images: ImageSplit, cache: Path, device: str, progress: Progress
) -> npt.NDArray[np.float32] | None:
    """Find or compute float32 features `[images, N, width]`; None when they do not fit on the disk."""
    path = cache / "features" / f"{_feature_key(tower, images, device)}.npy"
    if not path.is_file():
        first = _encode(tower, images, range(min(1, len(images.paths))), device)
        if not has_room(path, first.nbytes * len(images.paths)):
            return None
    noted = find_or_make(
        path, lambda place: _write_features(place, tower, images, device, progress), Contents(cache, progress)
    )
    features: npt.NDArray[np.float32] | None = np.load(path, mmap_mode="r") if noted["kept"] else None
    return features


def _write_features(
    place: Path, tower: VisionTower, images: ImageSplit, device: str, progress: Progress
) -> Mapping[str, Any]:
    """Encode in batches of fixed size, so that the features do not depend on who asks first."""
    total = len(images.paths)
    with writing_array(place) as writer:
        for start in range(0, total, _FEATURE_BATCH):
            stop = min(start + _FEATURE_BATCH, total)
            writer.append(_encode(tower, images, range(start, stop), device))
            progress("computing frozen features", stop, total)
    return {"kept": True}


def _encode(tower: VisionTower, images: ImageSplit, rows: Sequence[int], device: str) -> npt.NDArray[np.float32]:
    import torch

    evaluate_module(tower)
    with torch.inference_mode():
        tokens = tower(torch.from_numpy(images.read_rows(rows)).to(device)).float().cpu().numpy()
    return np.asarray(tokens, dtype=np.float32)


def _feature_key(tower: VisionTower, images: ImageSplit, device: str) -> str:
    """Name features by all that moves them: weights, pixels, and what computes, down to the order of its sums."""
    digest = hashlib.sha256(f"{tower.key} {_weights_digest(tower)} {computing_kind(device)}".encode())
    digest.update(f" {DECODER} {images.preprocessing}".encode())
    for content in images.digests:
        digest.update(f"\n{content}".encode())
    return digest.hexdigest()[:24]


def computing_kind(device: str) -> str:
    """Name the kind of device, its instructions and the number of threads, with torch's version."""
    import torch

    if device.partition(":")[0] == "cuda":
        kind = f"{torch.cuda.get_device_name(device)} tf32={torch.backends.cuda.matmul.allow_tf32}"
    else:
        kind = f"{device.partition(':')[0]} {torch.backends.cpu.get_cpu_capability()}"
    return f"{kind}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def _weights_digest(tower: VisionTower) -> str:
    """Digest the weights themselves, since a tower's key is only what its author says; empty for one without."""
    import torch

    state: Any = getattr(tower, "state_dict", None)
    digest = hashlib.sha256()
    for name, value in sorted(state().items()) if callable(state) else ():
        if isinstance(value, torch.Tensor):
            plain = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode() + plain.tobytes())
        else:
            digest.update(f"{name} {value!r}\n".encode())
    return digest.hexdigest()
