"""Loads a classifier of timm with its head, its labels and its preprocessing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
from timm.data import CustomDatasetInfo, ImageNetInfo, infer_imagenet_subset, resolve_model_data_config
from torch import Tensor, nn

from baselines.load_options import LoadOptions
from baselines.pretrained.image_classifier import ImageClassifier, check_one_label
from baselines.pretrained.label_names import match_labels
from baselines.pretrained.processor_tower import ProcessorTower
from baselines.vision.source import VisionSource
from baselines.vision.timm_tower import read_state
from harness.errors import CheckpointError, UsageError, nearest
from harness.sample import Preprocessing, TaskSpec
from harness.storage.content import file_digest


class TimmClassifier(ImageClassifier):
    """A network of timm, which takes pixels and returns logits as they are."""

    def logits(self, pixel_values: Tensor) -> Tensor:
        """Run the network on normalised pixels `[B, 3, S, S]`; returns logits `[B, L]` of its labels."""
        logits: Tensor = self.model(pixel_values)
        return logits


def load_timm_folder(folder: Path, digest: str, spec: TaskSpec, load: LoadOptions) -> TimmClassifier:
    """Load what timm's save_for_hf wrote; raises CheckpointError, UsageError."""
    try:
        name = str(json.loads((folder / "config.json").read_text(encoding="utf-8"))["architecture"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{folder / 'config.json'} is not a configuration of timm ({error!r}). "
            "Wanted what timm's save_for_hf writes."
        ) from error
    _check_known(name)
    try:
        network = timm.create_model(f"local-dir:{folder}", pretrained=True)
    except (RuntimeError, KeyError, TypeError, ValueError, OSError) as error:
        raise CheckpointError(f"{folder} cannot be loaded as {name} of timm: {_one_line(error)}") from error
    return _classifier(network.to(load.torch_dtype), digest, spec, {})


def load_timm_file(source: VisionSource, spec: TaskSpec, load: LoadOptions) -> TimmClassifier:
    """Load an architecture with a local file, strictly; raises CheckpointError, UsageError."""
    assert source.weights is not None
    _check_known(source.timm_name)
    try:
        network = timm.create_model(source.timm_name, pretrained=False, **source.keywords)
    except TypeError as error:
        raise UsageError(
            f"--vision-args for {source.timm_name}: {error}. Wanted keywords of timm.create_model."
        ) from error
    try:
        network.load_state_dict(read_state(source.weights))
    except RuntimeError as error:
        raise CheckpointError(
            f"{source.weights} does not fit {source.timm_name} with its head: {_one_line(error)} "
            "Give --vision-args num_classes=N for another number of labels."
        ) from error
    return _classifier(network.to(load.torch_dtype), file_digest(source.weights), spec, source.preprocessing)


def _classifier(network: nn.Module, digest: str, spec: TaskSpec, given: Mapping[str, Any]) -> TimmClassifier:
    entry: Any = getattr(network, "pretrained_cfg", {})
    name = str(entry.get("architecture", "timm"))
    check_one_label(spec.classes, name)
    found = match_labels(timm_labels_of(network, name), spec.classes.names, name)
    tower = ProcessorTower(timm_preprocessing_of(network, given), digest)
    return TimmClassifier(network, tower, found, len(spec.classes))


def timm_labels_of(network: Any, name: str) -> list[str]:
    """List a network's labels: its own, or ImageNet's with WordNet ids; raises UsageError where neither is known."""
    entry = network.pretrained_cfg
    if entry.get("label_names"):
        info: Any = CustomDatasetInfo(entry["label_names"], entry.get("label_descriptions"))
    else:
        subset = infer_imagenet_subset(network)
        if subset is None:
            raise UsageError(
                f"{name} has {network.num_classes} outputs, and nothing says what they are called: it is no subset of "
                "ImageNet, and its config.json has no label_names. Add label_names there."
            )
        info = ImageNetInfo(subset)
    return [_label(info, index) if info.has_label(index) else "" for index in range(network.num_classes)]


def timm_preprocessing_of(network: nn.Module, given: Mapping[str, Any]) -> Preprocessing:
    """Read timm's evaluation transform, where `given` does not say otherwise; raises UsageError for one that pads.

    The size is that of training, as timm's own `resolve_model_data_config` takes it; `size=288,crop=0.95` in
    `--vision-args` is how some networks are evaluated.
    """
    entry = resolve_model_data_config(network)
    sides = tuple(entry["input_size"][1:])
    size, crop = given.get("size", sides[0]), given.get("crop", entry["crop_pct"])
    fit = given.get("fit", {"center": "crop", "squash": "squash"}.get(entry["crop_mode"]))
    if fit not in ("crop", "squash") or (fit == "squash" and crop != 1) or len(set(sides)) != 1:
        raise UsageError(
            f"The preprocessing of timm (crop_mode {entry['crop_mode']}, crop_pct {crop}, size {sides}) cannot be done "
            "here. Wanted a square, with crop_mode center, or squash and crop_pct 1; "
            "with --vision-weights, --vision-args fit=crop,crop=0.875,size=224 say so."
        )
    return Preprocessing(
        size=int(size),
        crop_fraction=float(crop),
        interpolation=given.get("interpolation", entry["interpolation"]),
        mean=tuple(given.get("mean", entry["mean"])),
        std=tuple(given.get("std", entry["std"])),
        fit=fit,
    )


def _label(info: Any, index: int) -> str:
    name, description = info.index_to_label_name(index), info.index_to_description(index)
    return name if description == name else f"{name}, {description}"


def _check_known(name: str) -> None:
    if not timm.is_model(name.partition(".")[0]):
        raise UsageError(f"Unknown timm model '{name}'. {nearest(name, timm.list_models())}")


def _one_line(error: Exception) -> str:
    """Shorten torch's list of every tensor that does not fit."""
    text = " ".join(str(error).split())
    return f"{text[:300]}…" if len(text) > 300 else text
