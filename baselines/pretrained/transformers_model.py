"""A pretrained network of transformers as a model of the benchmark: names it and finds its weights, without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baselines.load_options import LOAD_SETTINGS, read_load_options
from baselines.pretrained.architectures import ArchitectureKind, check_answers, kinds_of_answer
from baselines.pretrained.as_it_is import AsItIs
from baselines.pretrained.settings import CAPTIONER_SETTINGS, option_score_of, read_pretrained_settings
from baselines.pretrained.transformers_loading import Loading
from baselines.weights.hub import (
    Checkpoint,
    download,
    find_cached,
    find_folder,
    find_on_hub,
    how_to_get,
    missing_weights,
)
from harness.answers import CAPTIONS, CHOICES
from harness.cell import ModelOptions
from harness.errors import CheckpointError, WeightsUnavailable
from harness.protocols import BuildContext, Learner
from harness.sample import TaskSpec

PATTERNS = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")
"""The files of a repository that are downloaded."""


@dataclass(frozen=True)
class TransformersModel(AsItIs):
    """A pretrained captioner, classifier, detector or segmenter, from a local `folder` or a hub's `repository`.

    It comes whole: options that compose a model (`--vision`, `--language`, `--tune`) do not change it.
    Without `downloads` only the cache is looked at. `kind` is what its config.json says.
    """

    name: str
    summary: str
    kind: ArchitectureKind
    folder: Path | None = None
    repository: str | None = None
    downloads: bool = True

    @property
    def answers(self) -> tuple[str, ...]:
        """What its kind answers with; one that writes captions also scores texts as captions."""
        return kinds_of_answer(self.kind)

    @property
    def fused(self) -> bool:
        """Whether language takes part."""
        return self.kind.fused

    @property
    def settings(self) -> tuple[str, ...]:
        """How it is loaded; for captioners a prompt, a size, and how texts are scored."""
        return (*LOAD_SETTINGS, *(CAPTIONER_SETTINGS if self.kind.answers == CAPTIONS else ()))

    @property
    def loads_with(self) -> Sequence[str]:
        """All that transformers can do; only networks that generate are spread over devices."""
        return tuple(name for name in LOAD_SETTINGS if name != "device_map" or self.kind.answers == CAPTIONS)

    def recipe(self, options: ModelOptions) -> Mapping[str, Any]:
        """Name checkpoint, digest and settings; raises WeightsUnavailable, CheckpointError or UsageError."""
        found = self._find()
        check_answers(self.kind, options.answers, self.name)
        named = {
            "library": "transformers",
            "checkpoint": self.repository or "local folder",
            "weights": found.digest,
            "kind": self.kind.name,
            **(load := read_load_options(options.settings)).to_json(),
            "dtype": load.dtype_name,
        }
        if self.kind.answers != CAPTIONS:
            return named
        settings = read_pretrained_settings(options.settings)
        scored = {"option_score": option_score_of(options.settings)} if options.answers == CHOICES else {}
        return {**named, "prompt": settings.prompt, "image_size": settings.image_size, "sampling": False, **scored}

    def build(self, spec: TaskSpec, context: BuildContext) -> Learner:
        """Load the checkpoint; raises WeightsUnavailable, CheckpointError, UsageError."""
        found = self._find()
        folder = found.folder or download(str(self.repository), PATTERNS, found.digest)
        lacking = missing_weights(folder)
        if lacking:
            raise CheckpointError(f"{self.name}: {folder} {lacking}")
        check_answers(self.kind, spec.answers, self.name)
        return self.kind.load(Loading(folder, found.digest, self.kind.auto_class, spec, context))

    def _find(self) -> Checkpoint:
        return find_checkpoint(self.folder, str(self.repository), downloads=self.downloads)


def find_checkpoint(folder: Path | None, repository: str, *, downloads: bool) -> Checkpoint:
    """Find a folder's, or a repository's checkpoint; raises WeightsUnavailable where it may not be downloaded."""
    if folder is not None:
        return find_folder(folder)
    cached = find_cached(repository)
    if cached is not None and cached.folder is not None and missing_weights(cached.folder) is None:
        return cached
    if downloads:
        return find_on_hub(repository)
    raise WeightsUnavailable(
        f"weights not available: {repository} is not in the Hugging Face cache. {how_to_get(repository)} "
        f"`--model hf:{repository}` downloads it too."
    )
