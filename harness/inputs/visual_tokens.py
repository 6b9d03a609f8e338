"""Gives a learner its visual tokens: computed once a data set where the tower is frozen, else on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import chain
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from harness.inputs.augment import Augmenter
from harness.inputs.frozen_features import BF16, Features, FrozenFeatures
from harness.inputs.images import ImageSplit
from harness.inputs.read_batch import Changed, ReadIndices, begin_array, begin_changed, begin_images
from harness.protocols import Learner, Progress, TakesPictures
from harness.read_ahead import AHEAD_BATCHES, reading_ahead, reading_threads
from harness.sample import Batch, Sample

if TYPE_CHECKING:
    from torch import Tensor

_AHEAD_BYTES = 512 * 2**20


@dataclass(frozen=True)
class VisualTokens:
    """A split as a learner sees it: batches by index, with cached tokens where there are any.

    `features` `[images, N, width]` are float32, or the bits of bfloat16 as uint16. `kept_as` is the number format in
    which a frozen tower's features are kept: where the disk has no room for them, tokens are the same all the same.
    Empty: as whoever asks computes.
    """

    learner: Learner
    images: ImageSplit | None
    samples: tuple[Sample, ...]
    features: Features | None
    device: str
    kept_as: str = ""

    def __len__(self) -> int:
        return len(self.samples)

    def batch(self, indices: Sequence[int], *, with_targets: bool, with_visual: bool = True) -> Batch:
        """Gather a batch; targets only where the caller is training, no tokens where it makes its own of `pixels`."""
        chosen = indices.samples if isinstance(indices, ReadIndices) else ()
        chosen = chosen or tuple(self.samples[index] for index in indices)
        return Batch(
            sample_ids=tuple(sample.sample_id for sample in chosen),
            visual=self._tokens(indices) if with_visual else None,
            texts=tuple(sample.text for sample in chosen),
            targets=tuple(sample.target for sample in chosen) if with_targets else None,
            sizes=self.images.sizes_of(indices) if self.images else (),
            choices=tuple(sample.choices for sample in chosen),
            pictures=tuple(sample.image for sample in chosen) if takes_pictures(self.learner) else (),
        )

    def pixels(self, indices: Sequence[int]) -> Tensor:
        """Give a batch's pixels `[B, 3, S, S]` of 0..255 on the device, where no features are kept of them."""
        read = self._read(indices)
        assert read is not None and self.features is None
        return read.to(self.device, non_blocking=True).float()

    def in_memory(self, count: int) -> VisualTokens:
        """The first `count` samples, with pixels that are read now: no batch of them reads a file."""
        images = self.images
        if images is None or self.features is not None or self.learner.vision is None:
            return replace(self, samples=self.samples[:count])
        return replace(self, images=images.in_memory(count), samples=self.samples[:count])

    @contextmanager
    def in_order(self, groups: Iterable[Iterable[Sequence[int]]]) -> Iterator[Iterator[Sequence[int]]]:
        """Give batches of indices in order, what `batch` needs of them being read ahead where that takes time.

        The batches of a group are known before they are used (see `reading_ahead`). No thread outlives the block.
        """
        if not self.reads_ahead:
            yield chain.from_iterable(groups)
            return
        with reading_ahead(groups, self._begin, self._ahead) as batches:
            yield batches

    @contextmanager
    def augmented(
        self,
        groups: Iterable[Iterable[Sequence[int]]],
        augmenter: Augmenter | None,
        visited: Mapping[int, int] = MappingProxyType({}),
        share: Callable[[int], Sequence[int]] = range,
    ) -> Iterator[Iterator[Sequence[int]]]:
        """Give batches as `in_order` does, of changed images where there is an augmenter and the learner sees any.

        Each visit of a sample is another epoch; `visited` counts those before. Images are decoded anew for it, ahead,
        whatever is cached. Of each batch those samples are given whose places `share` says, by the size of the batch.
        """
        images = self.images
        if augmenter is None or images is None or self.learner.vision is None:
            shares = ([[batch[place] for place in share(len(batch))] for batch in group] for group in groups)
            with self.in_order(shares) as batches:
                yield batches
            return
        visits = Counter(visited)

        def begin(indices: Sequence[int], pool: Executor) -> Callable[[], ReadIndices]:
            mine = frozenset(share(len(indices)))
            own, changed = [], []
            for place, index in enumerate(indices):
                if place in mine:
                    sample, row = self.samples[index], images.rows[index]
                    drawn = augmenter.draw(sample, visits[index], images.sizes[row], images.preprocessing)
                    changed.append(Changed(sample, row, drawn))
                    own.append(index)
                visits[index] += 1
            wait = begin_changed(images, self.device, augmenter, changed, pool)
            return lambda: ReadIndices(own, *wait())

        with reading_ahead(groups, begin, self._ahead) as batches:
            yield batches

    @property
    def reads_ahead(self) -> bool:
        """Whether threads read ahead: always where images are decoded at each use, and for each accelerator."""
        if self.features is None and (self.images is None or self.learner.vision is None):
            return False
        decodes = self.features is None and self.images is not None and self.images.cached is None
        return decodes or self.device.partition(":")[0] != "cpu"

    @property
    def path_taken(self) -> str:
        """Say where a learner's tokens come from."""
        if self.features is not None:
            found = f"features of its frozen tower, memory-mapped ({_gib(self.features.nbytes)})"
        elif self.images is None or self.learner.vision is None:
            return "reads no images"
        elif self.images.cached is not None:
            found = f"pixels, memory-mapped ({_gib(self.images.cached.nbytes)})"
        else:
            found = "images, decoded at each use"
        return f"reads {found}" + (f", ahead by {reading_threads()} threads" if self.reads_ahead else "")

    @property
    def _ahead(self) -> int:
        """Batches of 64 that are held at once, so that large pixels do not fill the memory."""
        return max(1, min(AHEAD_BATCHES, _AHEAD_BYTES // max(1, 64 * prod(self._row_shape))))

    @property
    def _row_shape(self) -> tuple[int, ...]:
        if self.features is not None:
            return self.features.shape[1:]
        assert self.images is not None
        return (3, self.images.preprocessing.size, self.images.preprocessing.size)

    def _rows(self, indices: Sequence[int]) -> list[int]:
        return [self.images.rows[index] for index in indices] if self.images else list(indices)

    def _begin(self, indices: Sequence[int], pool: Executor) -> Callable[[], ReadIndices]:
        rows = self._rows(indices)
        if self.features is not None:
            wait = begin_array(self.features, self.device, rows, pool)
        else:
            assert self.images is not None
            wait = begin_images(self.images, self.device, rows, pool)
        return lambda: ReadIndices(indices, wait())

    def _read(self, indices: Sequence[int]) -> Tensor | None:
        """Read features or pixels of samples to the host; None where the learner sees no images."""
        import torch

        if isinstance(indices, ReadIndices):
            return indices.read
        if self.features is not None:
            return torch.from_numpy(self.features[self._rows(indices)])
        if self.images is None or self.learner.vision is None:
            return None
        return torch.from_numpy(self.images.read(indices))

    def _tokens(self, indices: Sequence[int]) -> Tensor | None:
        import torch

        read = self._read(indices)
        if read is None:
            return None
        if self.features is not None:
            bits = read.view(torch.bfloat16) if read.dtype == torch.uint16 else read
            return bits.to(self.device, non_blocking=True).float()
        assert self.learner.vision is not None
        pixels = read.to(self.device, non_blocking=True)
        if not self.learner.vision_frozen:
            return self.learner.vision(pixels)
        as_kept = torch.autocast(self.device.partition(":")[0], enabled=False) if self.kept_as else nullcontext()
        with torch.no_grad(), as_kept:
            tokens = self.learner.vision(pixels)
        return tokens.bfloat16().float() if self.kept_as == BF16 else tokens


def takes_pictures(learner: Learner) -> bool:
    """Tell whether a learner wants the images themselves."""
    return isinstance(learner, TakesPictures) and learner.takes_pictures


def sees_images(learner: Learner) -> bool:
    """Tell whether an image reaches a learner at all: through its tower, or as it is."""
    return learner.vision is not None or takes_pictures(learner)


def open_visual_tokens(
    learner: Learner, images: ImageSplit, cache: Path, device: str, progress: Progress, precision: str = "fp32"
) -> VisualTokens:
    """Prepare a split for a learner; computes or finds the features of a frozen tower.

    They are kept in bfloat16 where an accelerator uses them in that `precision`, else in float32.
    """
    if learner.vision is None:
        return VisualTokens(learner, None, images.samples, None, device)
    if not learner.vision_frozen:
        return VisualTokens(learner, images, images.samples, None, device)
    kept_as = BF16 if precision == BF16 and device.partition(":")[0] != "cpu" else "fp32"
    features = FrozenFeatures(learner.vision, images, device, kept_as).find(cache, progress)
    return VisualTokens(learner, images, images.samples, features, device, kept_as)


def _gib(size: int) -> str:
    return f"{size / 2**30:.2g} GiB"
