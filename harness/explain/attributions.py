"""The methods themselves: maps of an image and of a text for one sample, by captum where it has the method.

Image and text are explained in one pass: occlusion and Shapley values take cells of the image and words alike, so that
what they give to either can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from harness.explain.explained import Explained, by_cell
from harness.explain.methods import GRAD_CAM, INTEGRATED_GRADIENTS, KERNEL_SHAP, OCCLUSION, SHAPLEY
from harness.perturb.attack.victim import grad_mode
from harness.protocols import EmbeddedText

FloatMap = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Attribution:
    """What parts speak for what is right, in units of log-likelihood: cells `[grid * grid]`, words `[W]`.

    None where the method, or the model, has nothing to say of that modality.
    """

    image: FloatMap | None = None
    words: FloatMap | None = None


@dataclass(frozen=True)
class Effort:
    """How much a method may compute: points of a path, orders of parts; `seed` of the sample's own draws."""

    steps: int
    draws: int
    seed: int


def attribute(method: str, explained: Explained, effort: Effort) -> Attribution:
    """Explain one sample; the same call always gives the same maps."""
    with torch.random.fork_rng(devices=_devices(explained)):
        torch.manual_seed(effort.seed)
        found = _METHODS[method](explained, effort)
    return Attribution(*(None if part is None else np.nan_to_num(part) for part in (found.image, found.words)))


def _integrated_gradients(explained: Explained, effort: Effort) -> Attribution:
    """Along one way from the reference image and a text of padding to both, where the text has tokens."""
    from captum.attr import IntegratedGradients

    ends: list[tuple[Tensor, Tensor]] = []
    if explained.pixels is not None and explained.reference is not None:
        ends.append((explained.pixels, explained.reference))
    sees, text = bool(ends), explained.embedded
    if text is not None:
        ends.append((text.vectors, text.reference))
    if not ends:
        return Attribution()

    def value(*parts: Tensor) -> Tensor:
        pixels = parts[0] if sees else None
        return explained.value(pixels) if text is None else explained.of_tokens(pixels, parts[-1])

    with grad_mode(explained.learner, ends[0][0].device):
        found = IntegratedGradients(value).attribute(
            tuple(whole[None].clone() for whole, _ in ends),
            baselines=tuple(reference[None] for _, reference in ends),
            n_steps=effort.steps,
            method="riemann_middle",
            internal_batch_size=explained.batch_size,
        )
    image = _cells(explained, found[0][0].sum(dim=0)) if sees else None
    return Attribution(image, None if text is None else _words(text, found[-1][0].sum(dim=-1), len(explained.words)))


def _words(text: EmbeddedText, values: Tensor, count: int) -> FloatMap:
    """Sum what tokens `[L]` speak for over the words that they are of: `[W]`."""
    found = np.zeros(count)
    for word, value in zip(text.words, values.tolist(), strict=True):
        if word >= 0:
            found[word] += value
    return found


def _grad_cam(explained: Explained, effort: Effort) -> Attribution:
    """Tokens are a map's places; the class token of a transformer, which has no place, is left out."""
    if explained.pixels is None:
        return Attribution()
    tokens, slope = explained.visual_slope()
    side = int(len(tokens) ** 0.5)
    tokens, slope = tokens[len(tokens) - side * side :], slope[len(tokens) - side * side :]
    cam = F.relu((tokens * slope.mean(dim=0)).sum(dim=-1)).reshape(1, 1, side, side)
    size = explained.pixels.shape[-1]
    whole = F.interpolate(cam, size=(size, size), mode="bilinear", align_corners=False)
    return Attribution(image=by_cell(whole[0, 0], explained.cells, explained.grid, mean=True).cpu().numpy())


def _occlusion(explained: Explained, effort: Effort) -> Attribution:
    from captum.attr import FeatureAblation

    return _of_parts(explained, FeatureAblation, {"perturbations_per_eval": explained.batch_size})


def _shapley(explained: Explained, effort: Effort) -> Attribution:
    from captum.attr import ShapleyValueSampling

    keywords = {"n_samples": effort.draws, "perturbations_per_eval": explained.batch_size}
    return _of_parts(explained, ShapleyValueSampling, keywords)


def _kernel_shap(explained: Explained, effort: Effort) -> Attribution:
    from captum.attr import KernelShap

    parts = (0 if explained.pixels is None else explained.grid**2) + len(explained.words)
    keywords = {"n_samples": effort.draws * parts, "perturbations_per_eval": explained.batch_size}
    return _of_parts(explained, KernelShap, keywords)


def _of_parts(explained: Explained, method: Callable[[Any], Any], keywords: Mapping[str, Any]) -> Attribution:
    """Let a method of captum put cells to the reference and take words out: whether each is there is what it varies."""
    cells = 0 if explained.pixels is None or explained.reference is None else explained.grid**2
    parts = [torch.ones(1, count) for count in (cells, len(explained.words)) if count]
    if not parts:
        return Attribution()

    def value(*present: Tensor) -> Tensor:
        given = list(present)
        shown = given.pop(0) > 0.5 if cells else None
        pixels = None if shown is None else explained.mixed(shown.to(explained.cells.device))
        return explained.value(pixels, given.pop(0) if given else None)

    with torch.no_grad():
        found = method(value).attribute(
            tuple(parts), baselines=tuple(torch.zeros_like(part) for part in parts), **keywords
        )
    maps = [part[0].double().cpu().numpy() for part in found]
    return Attribution(maps.pop(0) if cells else None, maps.pop(0) if maps else None)


def _cells(explained: Explained, values: Tensor) -> FloatMap:
    return by_cell(values, explained.cells, explained.grid).cpu().numpy()


def _devices(explained: Explained) -> list[int]:
    device = None if explained.pixels is None else explained.pixels.device
    return [] if device is None or device.type != "cuda" else [device.index or 0]


_METHODS: Mapping[str, Callable[[Explained, Effort], Attribution]] = {
    INTEGRATED_GRADIENTS: _integrated_gradients,
    GRAD_CAM: _grad_cam,
    OCCLUSION: _occlusion,
    SHAPLEY: _shapley,
    KERNEL_SHAP: _kernel_shap,
}
