"""Batches whose pixels or features are read to the host by threads, before a loop comes to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from harness.inputs.augment import Augmentation, Augmenter
from harness.inputs.images import ImageSplit, to_channels_first
from harness.sample import Sample

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ReadIndices(Sequence[int]):
    """Indices of samples, with what was read for them `[B, ...]` on the host; a part of them has its part of it.

    `samples` are those that went with changed images; empty where images were not changed.
    """

    indices: Sequence[int]
    read: Tensor
    samples: tuple[Sample, ...] = ()

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> ReadIndices: ...
    def __getitem__(self, index: int | slice) -> int | ReadIndices:
        if isinstance(index, slice):
            return ReadIndices(self.indices[index], self.read[index], self.samples[index])
        return self.indices[index]


def begin_array(array: Any, device: str, rows: Sequence[int], pool: Executor) -> Callable[[], Tensor]:
    """Have a thread gather rows of a (memory-mapped) array; returns what waits for the tensor, on the host."""
    buffer = _host_buffer((len(rows), *array.shape[1:]), str(array.dtype), device)
    take = pool.submit(np.take, array, rows, axis=0, out=buffer.numpy(), mode="clip")  # others copy `out` once more
    return _waiting([take], buffer)


def begin_images(images: ImageSplit, device: str, rows: Sequence[int], pool: Executor) -> Callable[[], Tensor]:
    """Have threads read the pixels of images, each once; returns what waits for them, uint8 `[B, 3, size, size]`.

    What waits raises BadSample, naming the file, where one cannot be read any more.
    """
    if images.cached is not None:
        return begin_array(images.cached, device, rows, pool)
    size, places = images.preprocessing.size, dict[int, list[int]]()
    for place, row in enumerate(rows):
        places.setdefault(row, []).append(place)
    buffer = _host_buffer((len(rows), 3, size, size), "uint8", device)
    pixels = buffer.numpy()

    def read(row: int, at: list[int]) -> None:
        pixels[at] = images.decode(row)

    return _waiting([pool.submit(read, row, at) for row, at in places.items()], buffer)


@dataclass(frozen=True)
class Changed:
    """How a sample's image, of which `row` it is, is changed."""

    sample: Sample
    row: int
    augmentation: Augmentation


def begin_changed(
    images: ImageSplit, device: str, augmenter: Augmenter, changed: Sequence[Changed], pool: Executor
) -> Callable[[], tuple[Tensor, tuple[Sample, ...]]]:
    """Have threads decode and change images; returns what waits for their pixels, and for samples that follow them."""
    size = images.preprocessing.size
    buffer = _host_buffer((len(changed), 3, size, size), "uint8", device)
    pixels = buffer.numpy()

    def read(place: int, one: Changed) -> Sample:
        image = images.upright(one.row)
        pixels[place] = to_channels_first(one.augmentation.fit(image, images.preprocessing))
        return augmenter.moved(one.sample, one.augmentation.movements(image.size))

    tasks = [pool.submit(read, place, one) for place, one in enumerate(changed)]
    return lambda: (buffer, tuple(task.result() for task in tasks))


def _waiting(tasks: Sequence[Future[Any]], buffer: Tensor) -> Callable[[], Tensor]:
    def wait() -> Tensor:
        for task in tasks:
            task.result()
        return buffer

    return wait


def _host_buffer(shape: Sequence[int], dtype: str, device: str) -> Tensor:
    """Make a tensor on the host, in pinned memory where it will be copied to a CUDA device without waiting."""
    import torch

    return torch.empty(tuple(shape), dtype=getattr(torch, dtype), pin_memory=device.partition(":")[0] == "cuda")
