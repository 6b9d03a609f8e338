"""Networks of transformers by the name of a folder or repository; what kind they are may not be known yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baselines.load_options import LOAD_SETTINGS
from baselines.pretrained.architectures import ANSWERS, CONFIG_NAME, read_kind
from baselines.pretrained.as_it_is import AsItIs
from baselines.pretrained.settings import CAPTIONER_SETTINGS
from baselines.pretrained.transformers_model import TransformersModel, find_checkpoint
from baselines.weights.hub import download, find_cached
from harness.cell import ModelOptions
from harness.option_fields import Precision
from harness.protocols import BuildContext, Learner
from harness.sample import TaskSpec


@dataclass(frozen=True)
class UnreadModel(AsItIs):
    """A model whose config.json is not here yet: its kind is asked for when its recipe is made."""

    name: str
    summary: str
    folder: Path | None = None
    repository: str | None = None
    answers: tuple[str, ...] = ANSWERS
    fused: bool = False
    settings: tuple[str, ...] = (*LOAD_SETTINGS, *CAPTIONER_SETTINGS)

    def settled(self, options: ModelOptions, device: str, precision: Callable[[Precision], Precision]) -> ModelOptions:
        """Settle them as its kind does, which is read for that."""
        return self._read().settled(options, device, precision)

    def recipe(self, options: ModelOptions) -> Mapping[str, Any]:
        """Fetch config.json and name what it says; raises WeightsUnavailable, CheckpointError or UsageError."""
        return self._read().recipe(options)

    def build(self, spec: TaskSpec, context: BuildContext) -> Learner:
        """Load the checkpoint; raises WeightsUnavailable, CheckpointError, UsageError."""
        return self._read().build(spec, context)

    def _read(self) -> TransformersModel:
        found = find_checkpoint(self.folder, str(self.repository), downloads=True)
        folder = found.folder or download(str(self.repository), (CONFIG_NAME,), found.digest)
        return TransformersModel(self.name, self.summary, read_kind(folder, self.name), self.folder, self.repository)


def named_folder(name: str, folder: Path) -> TransformersModel | UnreadModel:
    """Make the model of a local folder; raises CheckpointError or UsageError for a folder of another kind."""
    summary = f"the transformers checkpoint in {folder}"
    if not (folder / CONFIG_NAME).is_file():
        return UnreadModel(name, summary, folder=folder)
    return TransformersModel(name, summary, read_kind(folder, name), folder=folder)


def named_repository(name: str, repository: str) -> TransformersModel | UnreadModel:
    """Make the model of a repository; its kind is known where its config.json is in the cache."""
    summary = f"{repository} from the Hugging Face hub"
    cached = find_cached(repository)
    if cached is None or cached.folder is None:
        return UnreadModel(name, summary, repository=repository)
    return TransformersModel(name, summary, read_kind(cached.folder, name), repository=repository)
