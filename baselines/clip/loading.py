"""Loads an open_clip model, its tokenizer and its preprocessing from local files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from baselines.clip.hub_table import find_entry
from baselines.clip.source import OpenClipSource
from harness.errors import CheckpointError, UsageError
from harness.sample import Preprocessing


@dataclass(frozen=True)
class LoadedClip:
    """An open_clip model (CLIP, CustomTextCLIP or CoCa) on the CPU, and what belongs to it.

    `scale` is exp(logit_scale), `bias` SigLIP's or None, as they are in float32.
    """

    model: Any
    tokenizer: Any
    digest: str
    scale: float
    bias: float | None


def load_open_clip(source: OpenClipSource, *, random: bool = False, dtype: torch.dtype = torch.float32) -> LoadedClip:
    """Load a checkpoint, downloading it first where it must; `random` leaves the weights as they are drawn.

    A tag's own activation is taken: `ViT-B-32/openai` was trained with QuickGELU, though its architecture's
    configuration does not say so; open_clip itself only warns. Raises WeightsUnavailable, CheckpointError.
    """
    import open_clip

    local, digest = source.local(), source.find().digest
    name = f"local-dir:{local.folder}" if local.folder is not None else str(local.architecture)
    weights = str(local.file) if local.folder is None else None
    try:
        model, _, _ = open_clip.create_model_and_transforms(
            name,
            None if random else weights,
            load_weights=not random,
            pretrained_text=False,
            device="cpu",
            output_dict=True,
            weights_only=True,
            **_published_preprocessing(source),
        )
        tokenizer = open_clip.get_tokenizer(name)
    except (RuntimeError, ValueError, OSError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"open_clip cannot load {name}{f' with {weights}' if weights else ''}: {error} "
            "Wanted weights of this very architecture, as safetensors or as a file of tensors only."
        ) from error
    except Exception as error:  # torch's refusal of a pickle with code is an UnpicklingError
        raise CheckpointError(f"{weights or name} cannot be read safely: {error} Convert it to safetensors.") from error
    scale, bias = getattr(model, "logit_scale", None), getattr(model, "logit_bias", None)
    return LoadedClip(
        model=model.to(dtype) if dtype != torch.float32 else model,
        tokenizer=tokenizer,
        digest=digest,
        scale=1.0 if scale is None else float(scale.detach().exp()),
        bias=None if bias is None else float(bias.detach()),
    )


def clip_preprocessing_of(model: Any) -> Preprocessing:
    """Read open_clip's preprocessing; raises UsageError for one that pads or is not square."""
    config = model.visual.preprocess_cfg
    size = config["size"]
    sides = (size, size) if isinstance(size, int) else tuple(size)
    if sides[0] != sides[1] or config["resize_mode"] not in ("shortest", "squash"):
        raise UsageError(
            f"open_clip preprocessing of size {size} with resize_mode {config['resize_mode']} "
            "is not supported; wanted a square, with shortest or squash."
        )
    return Preprocessing(
        size=int(sides[0]),
        interpolation=config["interpolation"],
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        fit="squash" if config["resize_mode"] == "squash" else "crop",
    )


def _published_preprocessing(source: OpenClipSource) -> dict[str, Any]:
    """What open_clip's table says of a tag beside its place: a file alone does not tell."""
    if source.tag is None:
        return {}
    from open_clip.pretrained import get_pretrained_cfg

    entry = get_pretrained_cfg(source.architecture, source.tag)
    return {
        "image_mean": entry["mean"],
        "image_std": entry["std"],
        "image_interpolation": entry["interpolation"],
        "image_resize_mode": entry["resize_mode"],
        "force_quick_gelu": find_entry(str(source.architecture), source.tag).quick_gelu,
    }
