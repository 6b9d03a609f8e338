"""Features of frozen towers: computed once a data set, with decoding in threads ahead of the tower, and kept."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from harness.inputs.array_file import has_room, too_large_for, writing_array
from harness.inputs.images import DECODER, ImageSplit
from harness.inputs.modes import evaluate_module
from harness.inputs.read_batch import begin_images
from harness.inputs.sealed_files import find_or_make
from harness.measure.device import numerics
from harness.measure.out_of_memory import halving
from harness.protocols import NOTICE, Progress, VisionTower
from harness.read_ahead import reading_ahead
from harness.storage.content import Contents

if TYPE_CHECKING:
    from torch import Tensor

Features = npt.NDArray[np.float32] | npt.NDArray[np.uint16]
BF16 = "bf16"
_FEATURE_BATCH = 64


@dataclass(frozen=True)
class FrozenFeatures:
    """How the features of a frozen tower are made: `kept_as` fp32, or bf16, whose bits are kept as uint16."""

    tower: VisionTower
    images: ImageSplit
    device: str
    kept_as: str = "fp32"

    def find(self, cache: Path, progress: Progress) -> Features | None:
        """Find or compute features `[images, N, width]`; None when they do not fit on the disk, which is said."""
        path, total = cache / "features" / f"{self._key()}.npy", len(self.images.paths)
        if not path.is_file():
            first = self._encode(_tensor(self.images.read_rows(range(min(1, total)))))
            if not has_room(path, first.nbytes * total):
                what = too_large_for(path, f"the features of {total} images", first.nbytes * total)
                progress(f"{what}: the frozen tower computes them anew at each use, which is slower", 0, NOTICE)
                return None
        noted = find_or_make(path, partial(self._write, progress), Contents(cache, progress))
        found: Features | None = np.load(path, mmap_mode="r") if noted["kept"] else None
        return found

    def _write(self, progress: Progress, place: Path) -> Mapping[str, Any]:
        """Encode in batches of fixed size, so that the features do not depend on who asks first.

        Where memory runs out the size is halved and noted: it moves last digits.
        """

        def tell(smaller: int) -> None:
            progress(f"out of memory: computing frozen features in batches of {smaller}", done, NOTICE)

        total, done, size = len(self.images.paths), 0, _FEATURE_BATCH
        blocks = [range(start, min(start + _FEATURE_BATCH, total)) for start in range(0, total, _FEATURE_BATCH)]
        begin = partial(begin_images, self.images, self.device)
        with writing_array(place) as writer, reading_ahead([blocks], begin) as batches:
            for pixels in batches:
                encode = partial(self._encode_in_parts, pixels)
                parts, size = halving(encode, size, tell, "while computing frozen features of")
                for part in parts:
                    writer.append(part)
                done += len(pixels)
                progress("computing frozen features", done, total)
        return {"kept": True} if size == _FEATURE_BATCH else {"kept": True, "batch_size": size}

    def _encode_in_parts(self, pixels: Tensor, size: int) -> list[Features]:
        return [self._encode(part) for part in pixels.split(size)]

    def _encode(self, pixels: Tensor) -> Features:
        import torch

        evaluate_module(self.tower)
        with torch.inference_mode():
            tokens = self.tower(pixels.to(self.device, non_blocking=True)).float()
            if self.kept_as == BF16:
                bits: npt.NDArray[np.int16] = tokens.bfloat16().view(torch.int16).cpu().numpy()
                return bits.view(np.uint16)
            return np.asarray(tokens.cpu().numpy(), dtype=np.float32)

    def _key(self) -> str:
        """Name features by all that moves them: weights, pixels, and what computes, down to the order of its sums."""
        tower = self.tower
        digest = hashlib.sha256(f"{tower.key} {_weights_digest(tower)} {computing_kind(self.device)}".encode())
        digest.update(f" {DECODER} {self.images.preprocessing}{' bf16' if self.kept_as == BF16 else ''}".encode())
        for content in self.images.digests:
            digest.update(f"\n{content}".encode())
        return digest.hexdigest()[:24]


def _tensor(pixels: npt.NDArray[np.uint8]) -> Tensor:
    import torch

    return torch.from_numpy(pixels)


def computing_kind(device: str) -> str:
    """Name the kind of device, its instructions and the number of threads, with torch's version."""
    import torch

    if device.partition(":")[0] == "cuda":
        kind = f"{torch.cuda.get_device_name(device)} {numerics(device)}"
    else:
        kind = f"{device.partition(':')[0]} {torch.backends.cpu.get_cpu_capability()}"
        kind += " deterministic" if torch.are_deterministic_algorithms_enabled() else ""
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
