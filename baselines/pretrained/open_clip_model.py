"""A pretrained model of open_clip as a model of the benchmark: its name and its weights, without torch.

Every architecture answers the classification tasks zero-shot, by embedding images and class texts, and tasks of choices
among a sample's own texts; a CoCa writes captions too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from baselines.clip.model import CLASSIFICATION
from baselines.clip.source import OpenClipSource
from baselines.load_options import FOR_WEIGHTS, load_options_of, read_load_options
from baselines.pretrained.as_it_is import AsItIs
from baselines.pretrained.settings import PRETRAINED_SETTINGS, read_pretrained_settings
from baselines.settings import Settings
from harness.answers import CAPTIONS, CHOICES
from harness.cell import ModelOptions
from harness.errors import UsageError
from harness.protocols import BuildContext, Learner
from harness.sample import TaskSpec

CHOOSING = (*CLASSIFICATION, CHOICES)
"""What every architecture answers with."""


@dataclass(frozen=True)
class OpenClipModel(AsItIs):
    """A checkpoint that is evaluated as it is.

    It comes whole: options that compose a model (`--vision`, `--language`, `--tune`) do not change it.
    """

    name: str
    summary: str
    source: OpenClipSource
    answers: tuple[str, ...] = CHOOSING
    fused: bool = True
    settings: tuple[str, ...] = (*FOR_WEIGHTS, *PRETRAINED_SETTINGS)

    def recipe(self, options: ModelOptions) -> Mapping[str, Any]:
        """Name architecture and digest of the weights; raises WeightsUnavailable or CheckpointError."""
        read_pretrained_settings(options.settings)
        if options.answers == CAPTIONS and not self.source.captions():
            raise UsageError(
                f"'{self.name}' is not a CoCa (it has no multimodal_cfg): no other of open_clip writes text."
            )
        dtype = read_load_options(options.settings).dtype_name
        return {"library": "open_clip", **self.source.to_json(), "sampling": False, "dtype": dtype}

    def build(self, spec: TaskSpec, context: BuildContext) -> Learner:
        """Load the checkpoint; raises WeightsUnavailable, CheckpointError."""
        if spec.answers == CAPTIONS:
            from baselines.pretrained.coca_captioner import load_coca

            return load_coca(self.source, context.decode, load_options_of(context).torch_dtype)
        if spec.answers == CHOICES:
            from baselines.clip.candidates import load_chooser

            return load_chooser(self.source, load_options_of(context).torch_dtype)
        from baselines.clip import zero_shot
        from baselines.clip.parts import open_parts
        from baselines.seeding import seeded

        with seeded(context.seed):  # its weights are drawn before they are read
            settings = Settings(load=load_options_of(context))
            return zero_shot.build(open_parts(self.source, spec, context, settings))


def open_clip_model(name: str, summary: str, source: OpenClipSource) -> OpenClipModel:
    """Make the model of a checkpoint; its architecture decides what it answers with."""
    return OpenClipModel(name, summary, source, (CAPTIONS, *CHOOSING) if source.captions() else CHOOSING)
