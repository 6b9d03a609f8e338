"""Images a second that reach a training step: one thread in the step, threads ahead of it, and decoders alone.

    uv run python tests/benchmarks/bench_input_pipeline.py FOLDER_OF_PHOTOGRAPHS [SIZE]

Wanted: `ahead` at least 0.9 of `fastest_alone`, the fastest decoder on all processors whose pixels are those of the
reference path. `scaled` decodes JPEGs at an eighth, quarter or half of their size (DCT scaling, libjpeg's scale_denom)
where that is not below the size wanted; its pixels differ, and by how much is printed.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torchvision.io import ImageReadMode, decode_jpeg

from harness.inputs.images import ImageSplit, Pixels, fit_image, image_size, read_image, to_channels_first, upright_rgb
from harness.inputs.visual_tokens import VisualTokens
from harness.read_ahead import reading_threads
from harness.sample import Preprocessing, Sample

MOST, BATCH = 1000, 64
Read = Callable[[Path, Preprocessing], Pixels]


def main(folder: Path, size: int) -> None:
    """Print images a second of each way, and what pixels differ from the reference path."""
    torch.set_num_threads(1)
    paths = sorted(path for path in folder.rglob("*.jpg") if min(image_size(path)) > size)[:MOST]
    preprocessing = Preprocessing(size, 0.9, "bicubic")
    tokens = split_of(paths, preprocessing)
    order = [range(start, min(start + BATCH, len(paths))) for start in range(0, len(paths), BATCH)]
    alone = {name: rate(paths, in_threads(read, preprocessing)) for name, read in DECODERS.items()}
    differences = {name: difference(read, paths[:100], preprocessing) for name, read in DECODERS.items()}
    equal = [name for name, found in differences.items() if found["greatest"] == 0]
    ahead = rate(paths, lambda _: ahead_of_steps(tokens, order))
    report = {
        "images": len(paths),
        "size": size,
        "threads": reading_threads(),
        "in_the_step": rate(paths, lambda _: in_the_step(tokens, order)),
        "ahead": ahead,
        "alone_on_all_processors": alone,
        "fastest_alone": max(alone[name] for name in equal),
        "ahead_over_fastest": ahead / max(alone[name] for name in equal),
        "pixels_differ_by_grey_levels": differences,
    }
    json.dump(report, sys.stdout, indent=1)
    print()


def split_of(paths: Sequence[Path], preprocessing: Preprocessing) -> VisualTokens:
    """A split whose pixels are not kept, with a learner that does nothing."""
    samples = tuple(Sample(str(row), path, None) for row, path in enumerate(paths))
    sizes = tuple(image_size(path) for path in paths)
    images = ImageSplit(samples, {}, preprocessing, None, tuple(paths), tuple(range(len(paths))), sizes)
    learner: Any = SimpleNamespace(vision=lambda pixels: pixels, vision_frozen=False)
    return VisualTokens(learner, images, samples, None, "cpu")


def in_the_step(tokens: VisualTokens, order: Sequence[Sequence[int]]) -> None:
    """Decode each batch when it is asked for."""
    for indices in order:
        tokens.batch(indices, with_targets=False)


def ahead_of_steps(tokens: VisualTokens, order: Sequence[Sequence[int]]) -> None:
    """Decode in threads ahead."""
    with tokens.in_order([order]) as batches:
        for indices in batches:
            tokens.batch(indices, with_targets=False)


def in_threads(read: Read, preprocessing: Preprocessing) -> Callable[[Sequence[Path]], None]:
    """Decode all files with as many threads as there are processors, and keep nothing."""

    def run(paths: Sequence[Path]) -> None:
        with ThreadPoolExecutor(reading_threads()) as pool:
            for _ in pool.map(lambda path: read(path, preprocessing).nbytes, paths):
                pass

    return run


def rate(paths: Sequence[Path], run: Callable[[Sequence[Path]], None]) -> float:
    """Images a second, the best of three."""
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        run(paths)
        seconds.append(time.perf_counter() - started)
    return len(paths) / min(seconds)


def read_by_torchvision(path: Path, preprocessing: Preprocessing) -> Pixels:
    """Decode with torchvision's libjpeg-turbo, fit with Pillow."""
    pixels = decode_jpeg(torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8), mode=ImageReadMode.RGB)
    return to_channels_first(fit_image(Image.fromarray(pixels.permute(1, 2, 0).numpy()), preprocessing))


def read_scaled(path: Path, preprocessing: Preprocessing) -> Pixels:
    """Decode at a fraction of the size, fit with Pillow."""
    shorter = int(preprocessing.size / preprocessing.crop_fraction)
    with Image.open(path) as image:
        image.draft("RGB", (shorter, shorter))
        return to_channels_first(fit_image(upright_rgb(image), preprocessing))


DECODERS: dict[str, Read] = {"reference": read_image, "torchvision": read_by_torchvision, "scaled": read_scaled}


def difference(read: Read, paths: Sequence[Path], preprocessing: Preprocessing) -> dict[str, float]:
    """Mean and greatest difference of pixels from the reference path, in grey levels."""
    found = [
        np.abs(read(path, preprocessing).astype(int) - read_image(path, preprocessing).astype(int)) for path in paths
    ]
    return {"mean": float(np.mean([one.mean() for one in found])), "greatest": int(max(one.max() for one in found))}


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 224)
