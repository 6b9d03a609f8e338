"""A captioner of transformers as a model of the benchmark: names it and finds its weights, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baselines.pretrained.settings import PRETRAINED_SETTINGS, PretrainedSettings, read_pretrained_settings
from baselines.pretrained.weights import (
    Checkpoint,
    download,
    find_cached,
    find_folder,
    find_on_hub,
    how_to_get,
    missing_weights,
)
from harness.cell import ModelOptions
from harness.errors import UsageError, WeightsUnavailable
from harness.protocols import BuildContext, Learner, Model, Prerequisite
from harness.sample import TaskSpec

_PATTERNS = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")


@dataclass(frozen=True)
class TransformersModel:
    """A pretrained `AutoModelForImageTextToText`, from a local `folder` or a hub's `repository`.

    It comes whole: options that compose a model (`--vision`, `--language`, `--tune`) do not change it.
    Without `downloads` only the cache is looked at.
    """

    name: str
    summary: str
    folder: Path | None = None
    repository: str | None = None
    downloads: bool = True
    tasks: tuple[str, ...] = ("coco-caption",)
    fused: bool = True
    settings: tuple[str, ...] = PRETRAINED_SETTINGS

    def controls_for(self, task: str) -> tuple[str, ...]:
        """Offer none."""
        return ()

    def with_control(self, control: str) -> Model:
        """Refuse: nothing is trained here that a control could leave out."""
        raise UsageError(f"Model '{self.name}' is evaluated as it is and has no control '{control}'.")

    def prerequisite(self, options: ModelOptions) -> Prerequisite | None:
        """Need no other network."""
        return None

    def recipe(self, options: ModelOptions) -> Mapping[str, Any]:
        """Name checkpoint, digest and prompt; raises WeightsUnavailable or CheckpointError."""
        settings = read_pretrained_settings(options.settings)
        return {
            "library": "transformers",
            "checkpoint": self.repository or "local folder",
            "weights": self._find().digest,
            "prompt": settings.prompt,
            "image_size": settings.image_size,
            "sampling": False,
            "dtype": "float32",
        }

    def build(self, spec: TaskSpec, context: BuildContext) -> Learner:
        """Load the checkpoint; raises WeightsUnavailable, CheckpointError."""
        from baselines.pretrained.transformers_captioner import load_captioner

        settings: PretrainedSettings = read_pretrained_settings(context.options.settings)
        found = self._find()
        folder = found.folder or download(str(self.repository), _PATTERNS)
        return load_captioner(folder, found.digest, settings, context.decode)

    def _find(self) -> Checkpoint:
        if self.folder is not None:
            return find_folder(self.folder)
        repository = str(self.repository)
        cached = find_cached(repository)
        if cached is not None and cached.folder is not None and missing_weights(cached.folder) is None:
            return cached
        if self.downloads:
            return find_on_hub(repository)
        raise WeightsUnavailable(
            f"weights not available: {repository} is not in the Hugging Face cache. {how_to_get(repository)} "
            f"`--model hf:{repository}` downloads it too."
        )
