"""A language model that never sees the image and scores each choice by its log-likelihood: the blind baseline.

`text:FOLDER-OR-REPOSITORY` names any causal language model of transformers. Whatever it solves, no image was needed for
(Hsieh et al. 2023, SugarCrepe, arXiv 2306.14610; Lin et al. 2024, arXiv 2306.01879, on language priors). No torch here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baselines.load_options import LOAD_SETTINGS, read_load_options
from baselines.pretrained.as_it_is import AsItIs
from baselines.pretrained.transformers_model import PATTERNS, find_checkpoint
from baselines.settings import read_settings
from baselines.weights.hub import download
from harness.answers import CHOICES
from harness.cell import ModelOptions
from harness.errors import UsageError
from harness.protocols import BuildContext, Learner
from harness.sample import TaskSpec

_EXAMPLE = "text:./folder or text:HuggingFaceTB/SmolLM2-135M"


@dataclass(frozen=True)
class TextLikelihoodModel(AsItIs):
    """A causal language model, evaluated as it is; `model.option_score` says sum or mean over a text's pieces."""

    name: str
    summary: str
    folder: Path | None = None
    repository: str | None = None
    answers: tuple[str, ...] = (CHOICES,)
    fused: bool = False
    sees_images: bool = False
    settings: tuple[str, ...] = (*LOAD_SETTINGS, "option_score")

    def recipe(self, options: ModelOptions) -> Mapping[str, Any]:
        """Name checkpoint, digest and settings; raises WeightsUnavailable, CheckpointError or UsageError."""
        found = find_checkpoint(self.folder, str(self.repository), downloads=True)
        load = read_load_options(options.settings)
        return {
            "library": "transformers",
            "checkpoint": self.repository or "local folder",
            "weights": found.digest,
            "kind": "language model without an image",
            "option_score": read_settings(options.settings).option_score,
            **load.to_json(),
            "dtype": load.dtype_name,
        }

    def build(self, spec: TaskSpec, context: BuildContext) -> Learner:
        """Load the checkpoint; raises WeightsUnavailable, CheckpointError."""
        from baselines.pretrained.text_scorer import load_text_scorer

        found = find_checkpoint(self.folder, str(self.repository), downloads=True)
        folder = found.folder or download(str(self.repository), PATTERNS, found.digest)
        return load_text_scorer(folder, found.digest, spec, context)


def parse_text_name(name: str) -> TextLikelihoodModel:
    """Turn `text:NAME` into a model; raises UsageError for an empty name."""
    rest = name.partition(":")[2].strip()
    if not rest:
        raise UsageError(f"'{name}' names no language model. Wanted {_EXAMPLE}.")
    if rest.startswith((".", "/", "~")):
        return TextLikelihoodModel(
            name, f"likelihood of texts by the language model in {rest}", Path(rest).expanduser()
        )
    return TextLikelihoodModel(name, f"likelihood of texts by {rest}, without the image", repository=rest)
