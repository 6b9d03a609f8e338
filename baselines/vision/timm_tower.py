"""A vision tower: any timm network as an encoder from uint8 pixels to visual tokens `[B, N, width]`.

A convolutional map `[B, C, H, W]` becomes H*W tokens in row order; a transformer's tokens are kept as
they are, class token first. With a wanted `grid` the tower gives a hypercolumn instead (Hariharan et al. 2015,
arXiv 1411.5752): the coarsest map with at least so many cells a side, and beside it all coarser ones, enlarged to
it; their channels stand side by side. Batch norm stays in eval mode, also while the tower is trained: folded or
pretrained statistics are lost otherwise; only a network that is trained from scratch updates them.
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.settings import settings_to_build
from baselines.vision.source import PREPROCESSING_KEYS, VisionSource, find_vision
from baselines.weights.digests import text_digest
from harness.cell import ModelOptions
from harness.errors import CheckpointError, UsageError, WeightsUnavailable, nearest
from harness.protocols import BuildContext
from harness.sample import Preprocessing
from harness.storage.content import file_digest

CHECKPOINT_PREFIX = "vision.network."
"""Where a learner's checkpoint holds the weights of its tower's network."""


class TimmTower(nn.Module):
    """A timm network and the normalisation before it."""

    mean: Tensor
    std: Tensor

    def __init__(
        self, network: nn.Module, preprocessing: Preprocessing, key: str, *, stage: int = -1, grid: int = 0
    ) -> None:
        super().__init__()
        self.network = network
        self.preprocessing = preprocessing
        self.key = key
        self.stage = stage
        self.updates_batch_norm = False
        self._dtype = torch.float32
        self.stages = self._stages_for(grid) if grid else ()
        self.register_buffer("mean", torch.tensor(preprocessing.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(preprocessing.std).view(1, 3, 1, 1), persistent=False)
        tokens = self._probe()
        self.tokens, self.width = tokens.shape[1], tokens.shape[2]
        side = math.isqrt(self.tokens)
        self.grid = (side, side) if side * side == self.tokens else (1, self.tokens)

    def forward(self, pixels: Tensor) -> Tensor:
        """Encode pixels 0..255, uint8 or float, `[B, 3, size, size]` to tokens `[B, N, width]`."""
        images = self.normalized(pixels).contiguous(memory_format=torch.channels_last)
        if self._dtype == torch.float32:
            return self._tokens(images)
        return self._tokens(images.to(self._dtype)).float()

    def normalized(self, pixels: Tensor) -> Tensor:
        """Scale pixels 0..255 `[B, 3, size, size]` to what the network is given."""
        return (pixels.float() / 255 - self.mean) / self.std

    def train(self, mode: bool = True) -> TimmTower:
        """Set the mode; batch norm stays in eval mode, and so does all of a tower that is frozen."""
        trainable = any(parameter.requires_grad for parameter in self.parameters())
        super().train(mode and trainable)
        if not self.updates_batch_norm:
            for module in self.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self

    def freeze(self, dtype: torch.dtype = torch.float32) -> None:
        """Let no weight move, whatever mode the learner is in, and keep and compute them in `dtype` from now on."""
        self.requires_grad_(False)
        self.eval()
        if dtype != self._dtype:
            self.network.to(dtype)
            self._dtype, self.key = dtype, text_digest(f"{self.key} in {dtype}")

    def _tokens(self, images: Tensor) -> Tensor:
        network: Any = self.network
        if self.stages:
            maps = network.forward_intermediates(
                images, indices=list(self.stages), output_fmt="NCHW", intermediates_only=True, **self._early()
            )
            size = maps[0].shape[-2:]
            resized = [F.interpolate(m, size=size, mode="bilinear", align_corners=False) for m in maps[1:]]
            return torch.cat([maps[0], *resized], dim=1).flatten(2).transpose(1, 2)
        if self.stage >= 0:
            (maps,) = network.forward_intermediates(
                images, indices=[self.stage], output_fmt="NCHW", intermediates_only=True, stop_early=True
            )
            return _as_tokens(maps, maps.shape[1])
        return _as_tokens(network.forward_features(images), network.num_features)

    def _early(self) -> dict[str, bool]:
        """Stop after the last wanted stage, where the network knows how."""
        network: Any = self.network
        return {"stop_early": True} if _stops_early(network) else {}

    @torch.no_grad()
    def _stages_for(self, grid: int) -> tuple[int, ...]:
        """Choose the stages of a hypercolumn; raises UsageError for a network without maps so fine."""
        network: Any = self.network
        if not hasattr(network, "forward_intermediates"):
            raise UsageError(
                f"{type(network).__name__} gives no maps of its stages, which boxes and label maps need. "
                "Take another --vision, such as a ResNet, ConvNeXt or ViT."
            )
        self.eval()
        size = self.preprocessing.size
        last = self.stage + 1 if self.stage >= 0 else len(network.feature_info)
        maps = network.forward_intermediates(
            torch.zeros(1, 3, size, size), indices=list(range(last)), output_fmt="NCHW", intermediates_only=True
        )
        sides = [min(m.shape[-2:]) for m in maps]
        if len(set(sides)) == 1:  # a transformer without stages: its last map is its best
            return (last - 1,)
        fine = [index for index, side in enumerate(sides) if side >= grid]
        if not fine:
            raise UsageError(
                f"The backbone's finest map has {max(sides)} cells a side at {size} px, wanted {grid}. "
                "Give it larger images: --vision-args size=N."
            )
        return tuple(range(fine[-1], last))

    @torch.no_grad()
    def _probe(self) -> Tensor:
        """Encode a blank image, to learn how many tokens there are and how wide; leaves eval mode."""
        size = self.preprocessing.size
        self.eval()
        try:
            tokens = self._tokens(torch.zeros(1, 3, size, size))
        except (AssertionError, RuntimeError) as error:
            raise UsageError(f"The backbone does not take images of {size} px: {error}") from error
        return tokens


def build_tower(
    source: VisionSource, *, stage: int = -1, prerequisite: Path | None = None, grid: int = 0, whole: bool = False
) -> TimmTower:
    """Build a tower with its weights: from a file, a prerequisite's checkpoint, the hub, or none (scratch).

    With `whole` nothing of the image is cropped away: it is squashed to the square where the backbone's own
    preprocessing would crop.

    Raises UsageError for unknown names and keywords, CheckpointError for weights that do not fit,
    WeightsUnavailable for weights that are not there.
    """
    network = _create(source)
    _cut(network, source.stage, source.name)
    digest = source.origin
    if source.origin == "file" and source.weights is not None:
        _load(network, read_state(source.weights), source.weights)
        digest = file_digest(source.weights)
    elif source.origin == "prerequisite":
        checkpoint = _prerequisite_file(prerequisite)
        state = read_state(checkpoint)
        inner = {k.removeprefix(CHECKPOINT_PREFIX): v for k, v in state.items() if k.startswith(CHECKPOINT_PREFIX)}
        _load(network, inner, checkpoint)
        digest = file_digest(checkpoint)
    preprocessing = _preprocessing(network, source.preprocessing)
    if whole and preprocessing.fit == "crop":
        preprocessing = replace(preprocessing, fit="squash", crop_fraction=1.0)
    if stage != source.stage:
        _cut(network, stage, source.name)
    stage = stage if stage >= 0 else source.stage
    key = text_digest(
        json.dumps([source.to_json(), digest, timm.__version__, vars(preprocessing), stage, grid], sort_keys=True)
    )
    return TimmTower(network.to(memory_format=torch.channels_last), preprocessing, key, stage=stage, grid=grid)


def read_state(path: Path) -> dict[str, Tensor]:
    """Read a checkpoint that cannot run code; raises CheckpointError for any other."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # safetensors, pickle and zip each raise their own
        raise CheckpointError(
            f"{path} cannot be read as {'safetensors' if path.suffix == '.safetensors' else 'tensors only'}: {error}"
        ) from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"{path}: wanted a dictionary of tensors with timm's names.")
    return state


def _create(source: VisionSource) -> nn.Module:
    if not timm.is_model(source.timm_name.removeprefix("hf-hub:").partition(".")[0]):
        raise UsageError(f"Unknown timm model '{source.timm_name}'. {nearest(source.timm_name, timm.list_models())}")
    try:
        network: nn.Module = timm.create_model(
            source.timm_name, pretrained=source.origin == "hub", num_classes=0, **source.keywords
        )
    except TypeError as error:
        raise UsageError(
            f"--vision-args for {source.timm_name}: {error}. Wanted keywords of timm.create_model, "
            f"or {', '.join(PREPROCESSING_KEYS)}."
        ) from error
    except Exception as error:  # the hub's client raises its own, requests' and the system's errors
        if source.origin != "hub":
            raise
        raise WeightsUnavailable(
            f"--vision {source.name}: the hub did not give its weights ({type(error).__name__}). "
            "Download them where there is a connection and name the file: --vision-weights FILE.safetensors."
        ) from error
    return network


def _load(network: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Load strictly, but for the classifier, which no task here wants."""
    names: Any = getattr(network, "pretrained_cfg", {}).get("classifier") or ()
    classifier = tuple(f"{name}." for name in ([names] if isinstance(names, str) else names))
    own = network.state_dict()
    extra = sorted(name for name in state if name not in own and not name.startswith(classifier or ("\0",)))
    missing = sorted(name for name in own if name not in state and not name.endswith("num_batches_tracked"))
    if missing or extra:
        what = f"lacks {missing[0]}" if missing else f"holds {extra[0]}, which the network has not"
        raise CheckpointError(
            f"{path} {what} ({len(missing)} missing, {len(extra)} too many). "
            "Check that --vision names the network that these weights are of."
        )
    for name, tensor in own.items():
        if name in state and state[name].shape != tensor.shape:
            raise CheckpointError(
                f"{path}: {name} has shape {list(state[name].shape)}, wanted {list(tensor.shape)}. "
                "Check --vision and --vision-args."
            )
    network.load_state_dict({name: state[name] for name in own if name in state}, strict=False)


def _prerequisite_file(folder: Path | None) -> Path:
    path = folder / "checkpoint.safetensors" if folder else None
    if path is None or not path.is_file():
        raise WeightsUnavailable(
            f"The weights of the default backbone are not there ({path or 'no prerequisite was trained'}). "
            "`bench run` trains them first; or name a backbone with --vision."
        )
    return path


def _cut(network: nn.Module, stage: int, name: str) -> None:
    """Drop the stages after `stage`, where the network knows how; raises UsageError where it does not."""
    if stage < 0:
        return
    prune = getattr(network, "prune_intermediate_layers", None)
    stages = len(getattr(network, "feature_info", ())) or None
    if prune is None or not _stops_early(network):
        raise UsageError(f"model.vision_stage={stage}: {name} cannot be cut. Leave model.vision_stage out.")
    try:
        prune([stage], prune_norm=True, prune_head=True)
    except (AssertionError, IndexError) as error:
        raise UsageError(f"model.vision_stage={stage}: {name} has stages 0 to {(stages or 1) - 1}.") from error


def _stops_early(network: Any) -> bool:
    return "stop_early" in inspect.signature(network.forward_intermediates).parameters


def _preprocessing(network: nn.Module, given: Mapping[str, Any]) -> Preprocessing:
    """Fill what was not given from timm's entry for the network."""
    entry: Mapping[str, Any] = getattr(network, "pretrained_cfg", {})
    return Preprocessing(
        size=given.get("size", entry.get("input_size", (3, 224, 224))[-1]),
        crop_fraction=given.get("crop", entry.get("crop_pct", 0.875)),
        interpolation=given.get("interpolation", entry.get("interpolation", "bilinear")),
        mean=tuple(given.get("mean", entry.get("mean", (0.5, 0.5, 0.5)))),
        std=tuple(given.get("std", entry.get("std", (0.5, 0.5, 0.5)))),
        fit=given.get("fit", "crop"),
    )


def _as_tokens(features: Tensor, channels: int) -> Tensor:
    """Turn maps `[B, C, H, W]` or `[B, H, W, C]` into tokens `[B, H*W, C]`; tokens stay as they are."""
    if features.ndim == 3:
        return features
    if features.shape[1] == channels:
        return features.flatten(2).transpose(1, 2)
    return features.flatten(1, 2)


def open_tower(context: BuildContext) -> TimmTower:
    """Build the run's tower, frozen unless `model.vision_tune` says otherwise."""
    options: ModelOptions = context.options
    settings = settings_to_build(context)
    tower = build_tower(find_vision(options), stage=settings.vision_stage, prerequisite=context.prerequisite)
    if settings.vision_tune == "frozen":
        tower.freeze(settings.load.torch_dtype)
    return tower
