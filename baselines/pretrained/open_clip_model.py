"""A CoCa captioner of open_clip as a model of the benchmark: its name and its weights, without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baselines.pretrained.settings import PRETRAINED_SETTINGS, read_pretrained_settings
from baselines.pretrained.weights import (
    Checkpoint,
    digest_of_files,
    download,
    find_cached,
    find_on_hub,
    how_to_get,
)
from harness.cell import ModelOptions
from harness.errors import CheckpointError, UsageError, WeightsUnavailable
from harness.protocols import BuildContext, Learner, Model, Prerequisite
from harness.sample import TaskSpec

COCA_REPOSITORIES = {
    ("coca_ViT-B-32", "laion2b_s13b_b90k"): "laion/CoCa-ViT-B-32-laion2B-s13B-b90k",
    (
        "coca_ViT-B-32",
        "mscoco_finetuned_laion2b_s13b_b90k",
    ): "laion/mscoco_finetuned_CoCa-ViT-B-32-laion2B-s13B-b90k",
    ("coca_ViT-L-14", "laion2b_s13b_b90k"): "laion/CoCa-ViT-L-14-laion2B-s13B-b90k",
    (
        "coca_ViT-L-14",
        "mscoco_finetuned_laion2b_s13b_b90k",
    ): "laion/mscoco_finetuned_CoCa-ViT-L-14-laion2B-s13B-b90k",
}
"""Where open_clip's own table (`open_clip.pretrained`, which needs torch to be read) has CoCa's weights."""

CONFIG_NAME = "open_clip_config.json"
_WEIGHT_NAMES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


@dataclass(frozen=True)
class OpenClipModel:
    """A pretrained CoCa: from a local-dir `folder`, or an `architecture` with a `tag` or a `file`.

    It comes whole: options that compose a model (`--vision`, `--language`, `--tune`) do not change it.
    Weights are safetensors, or a .bin/.pt that is read with torch's `weights_only`, which runs no code.
    Without `downloads` only the Hugging Face cache is looked at.
    """

    name: str
    summary: str
    architecture: str | None = None
    tag: str | None = None
    file: Path | None = None
    folder: Path | None = None
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
        """Name architecture and digest of the weights; raises WeightsUnavailable or CheckpointError."""
        read_pretrained_settings(options.settings)
        return {
            "library": "open_clip",
            "architecture": self.architecture or "local folder",
            "tag": self.tag,
            "weights": self._find().digest,
            "sampling": False,
            "dtype": "float32",
        }

    def build(self, spec: TaskSpec, context: BuildContext) -> Learner:
        """Load the checkpoint; raises WeightsUnavailable, CheckpointError."""
        from baselines.pretrained.coca_captioner import load_coca

        found = self._find()
        if self.folder is not None:
            return load_coca(f"local-dir:{self.folder}", None, found.digest, context.decode)
        if self.file is not None:
            return load_coca(str(self.architecture), self.file, found.digest, context.decode)
        folder = found.folder or download(self._repository, _WEIGHT_NAMES)
        return load_coca(str(self.architecture), _weights_in(folder), found.digest, context.decode)

    @property
    def _repository(self) -> str:
        return COCA_REPOSITORIES[str(self.architecture), str(self.tag)]

    def _find(self) -> Checkpoint:
        if self.folder is not None:
            return _find_folder(self.folder)
        if self.file is not None:
            if not self.file.is_file():
                raise WeightsUnavailable(f"weights not available: there is no file {self.file}. Check the path.")
            return Checkpoint(self.file.parent, digest_of_files([self.file]))
        cached = next((found for name in _WEIGHT_NAMES if (found := find_cached(self._repository, [name]))), None)
        if cached is not None:
            return cached
        if self.downloads:
            return find_on_hub(self._repository)
        raise WeightsUnavailable(
            f"weights not available: {self._repository} is not in the Hugging Face cache. "
            f"{how_to_get(self._repository)} "
            f"`--model open_clip:{self.architecture}/{self.tag}` downloads it too."
        )


def _find_folder(folder: Path) -> Checkpoint:
    """Check that a folder is an open_clip checkpoint of a captioner, and digest it."""
    if not folder.is_dir():
        raise WeightsUnavailable(f"weights not available: there is no folder {folder}. Check the path.")
    config = folder / CONFIG_NAME
    try:
        content = json.loads(config.read_text())["model_cfg"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{config} is not an open_clip configuration ({error!r}). Wanted JSON with model_cfg, "
            "as open_clip.push_to_hf_hub writes it."
        ) from error
    if "multimodal_cfg" not in content:
        raise UsageError(f"{config} has no multimodal_cfg: it is not a CoCa, and no other of open_clip writes text.")
    return Checkpoint(folder, digest_of_files([config, _weights_in(folder)]))


def _weights_in(folder: Path) -> Path:
    for name in _WEIGHT_NAMES:
        if (folder / name).is_file():
            return folder / name
    raise CheckpointError(f"{folder} has none of {', '.join(_WEIGHT_NAMES)}. Fetch the checkpoint again.")
