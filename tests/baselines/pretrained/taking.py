"""Builds pretrained models from tiny checkpoints and asks them, for the tests beside this file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from baselines.pretrained.catalog import parse_model_name
from harness.answers import decode_label_map
from harness.cell import DecodeOptions, ModelOptions, TrainOptions
from harness.inputs.images import fit_image
from harness.protocols import BuildContext
from harness.sample import Batch, Classes, TaskSpec

Folders = Callable[[str], Path]
OBJECTS = ("person", "bicycle", "motorcycle", "traffic light", "couch", "tv")
REGIONS = ("person", "sky", "tree merged", "background")


def classes(*names: str, multilabel: bool = False) -> Classes:
    return Classes(names, tuple((f"a photo of a {name}",) for name in names), multilabel=multilabel)


def build(folder: Path, known: Classes, answer: str = "") -> Any:
    """Build the model of a folder for what its kind answers with, or for another answer."""
    model: Any = parse_model_name(f"hf:{folder}")
    spec = TaskSpec("a-task", (), answer or model.answers[0], known)
    context = BuildContext(ModelOptions(answers=spec.answers), TrainOptions(), DecodeOptions(), 0, Path("unused"))
    return model.build(spec, context)


def photographs(sizes: Sequence[tuple[int, int]]) -> list[Image.Image]:
    """Make images of these widths and heights; smooth enough that resizing is no lottery."""
    generator = torch.Generator().manual_seed(11)
    images = []
    for size in sizes:
        coarse = torch.randint(0, 256, (6, 6, 3), generator=generator, dtype=torch.uint8)
        images.append(Image.fromarray(coarse.numpy()).resize(size, Image.Resampling.BICUBIC))
    return images


def fitted(learner: Any, images: Sequence[Image.Image]) -> torch.Tensor:
    """Do to images what the benchmark does before a tower: uint8 `[B, 3, S, S]`."""
    squares = [np.asarray(fit_image(image, learner.vision.preprocessing)) for image in images]
    return torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2)


def seen(learner: Any, image: Image.Image) -> torch.Tensor:
    """Give what the network sees of one image, without padding: `[1, 3, H, W]`."""
    width, height = learner.vision.preprocessing.extent(*image.size)
    pixels: torch.Tensor = learner.vision(fitted(learner, [image]))[:, :, :height, :width]
    return pixels


@torch.inference_mode()
def answers(learner: Any, images: Sequence[Image.Image], batch_size: int = 64) -> list[Any]:
    """Predict in batches of a size."""
    found: list[Any] = []
    for start in range(0, len(images), batch_size):
        chunk = images[start : start + batch_size]
        names = tuple(str(index) for index in range(len(chunk)))
        sizes = tuple(image.size for image in chunk)
        found += learner.predict(
            Batch(names, learner.vision(fitted(learner, chunk)), (None,) * len(chunk), None, sizes)
        )
    return found


def label_maps(found: Sequence[Any]) -> list[np.ndarray[Any, Any]]:
    return [decode_label_map(answer) for answer in found]
