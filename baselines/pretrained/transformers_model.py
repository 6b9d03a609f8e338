"""A pretrained network of transformers as a model of the benchmark: names it and finds its weights, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baselines.pretrained.architectures import (
    ANSWERS,
    CAPTIONER,
    CONFIG_NAME,
    ArchitectureKind,
    check_answers,
    read_kind,
)
from baselines.pretrained.settings import PRETRAINED_SETTINGS, read_pretrained_settings
from baselines.weights.hub import (
    Checkpoint,
    download,
    find_cached,
    find_folder,
    find_on_hub,
    how_to_get,
    missing_weights,
)
from harness.cell import ModelOptions
from harness.errors import CheckpointError, UsageError, WeightsUnavailable
from harness.protocols import BuildContext, Learner, Model, Prerequisite
from harness.sample import TaskSpec

_PATTERNS = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")


@dataclass(frozen=True)
class TransformersModel:
    """A pretrained captioner, classifier, detector or segmenter, from a local `folder` or a hub's `repository`.

    It comes whole: options that compose a model (`--vision`, `--language`, `--tune`) do not change it.
    Without `downloads` only the cache is looked at. `kind` is what its config.json says; None where that is not
    here yet, and then it is asked for when the recipe is made.
    """

    name: str
    summary: str
    folder: Path | None = None
    repository: str | None = None
    downloads: bool = True
    kind: ArchitectureKind | None = None
    evaluates_only: bool = True

    @property
    def answers(self) -> tuple[str, ...]:
        """What its kind answers with, or all that any kind does where it is not known yet."""
        return (self.kind.answers,) if self.kind else ANSWERS

    @property
    def fused(self) -> bool:
        """Whether language takes part."""
        return self.kind is not None and self.kind.fused

    @property
    def settings(self) -> tuple[str, ...]:
        """A prompt and a size for captioners; nothing for others."""
        return PRETRAINED_SETTINGS if self.kind in (None, CAPTIONER) else ()

    def controls_for(self, answers: str) -> tuple[str, ...]:
        """Offer none."""
        return ()

    def with_control(self, control: str) -> Model:
        """Refuse: nothing is trained here that a control could leave out."""
        raise UsageError(f"Model '{self.name}' is evaluated as it is and has no control '{control}'.")

    def prerequisite(self, options: ModelOptions) -> Prerequisite | None:
        """Need no other network."""
        return None

    def recipe(self, options: ModelOptions) -> Mapping[str, Any]:
        """Name checkpoint, digest and settings; raises WeightsUnavailable, CheckpointError or UsageError."""
        found = self._find()
        kind = self._kind(found)
        check_answers(kind, options.answers, self.name)
        named = {
            "library": "transformers",
            "checkpoint": self.repository or "local folder",
            "weights": found.digest,
            "kind": kind.name,
            "dtype": "float32",
        }
        if kind != CAPTIONER:
            return named
        settings = read_pretrained_settings(options.settings)
        return {**named, "prompt": settings.prompt, "image_size": settings.image_size, "sampling": False}

    def build(self, spec: TaskSpec, context: BuildContext) -> Learner:
        """Load the checkpoint; raises WeightsUnavailable, CheckpointError, UsageError."""
        found = self._find()
        folder = found.folder or download(str(self.repository), _PATTERNS, found.digest)
        lacking = missing_weights(folder)
        if lacking:
            raise CheckpointError(f"{self.name}: {folder} {lacking}")
        kind = self._kind(Checkpoint(folder, found.digest))
        check_answers(kind, spec.answers, self.name)
        if kind == CAPTIONER:
            from baselines.pretrained.transformers_captioner import load_captioner

            settings = read_pretrained_settings(context.options.settings)
            return load_captioner(folder, found.digest, settings, context.decode, kind.auto_class)
        from baselines.pretrained.loaders import LOADERS

        return LOADERS[kind.name](folder, found.digest, spec, kind.auto_class)

    def _kind(self, found: Checkpoint) -> ArchitectureKind:
        if self.kind is not None:
            return self.kind
        return read_kind(found.folder or download(str(self.repository), (CONFIG_NAME,), found.digest), self.name)

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


def named_folder(name: str, folder: Path) -> TransformersModel:
    """Make the model of a local folder; raises CheckpointError or UsageError for a folder of another kind."""
    kind = read_kind(folder, name) if (folder / CONFIG_NAME).is_file() else None
    return TransformersModel(name, f"the transformers checkpoint in {folder}", folder=folder, kind=kind)


def named_repository(name: str, repository: str) -> TransformersModel:
    """Make the model of a repository; its kind is known where its config.json is in the cache."""
    cached = find_cached(repository)
    kind = read_kind(cached.folder, name) if cached is not None and cached.folder is not None else None
    return TransformersModel(name, f"{repository} from the Hugging Face hub", repository=repository, kind=kind)
