"""A named adaptation of an open_clip model, which `--set model.clip=NAME/TAG` chooses. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

from baselines.clip.source import OpenClipSource, parse_source
from baselines.load_options import FOR_WEIGHTS, SettlesLoading, require_loss_scale
from baselines.settings import Settings, read_settings, settings_of, settings_to_build
from harness.answers import CHOICES, LABELS, UNSEEN_LABELS
from harness.cell import ModelOptions
from harness.errors import UsageError, nearest
from harness.protocols import BuildContext, Learner, Prerequisite
from harness.sample import TaskSpec

CLASSIFICATION = (LABELS, UNSEEN_LABELS)
"""Kinds of answer of what names classes by their texts."""
DEFAULT_CLIP = "ViT-B-32/laion2b_s34b_b79k"
TRAINS_TOWER = "wise_ft"
"""The method that keeps no frozen weight, so that it takes no dtype."""
CLIP_CONTROLS = ("C2", "C3")
"""The text tower's weights drawn at random; each class worded by the texts of another."""


@dataclass(frozen=True)
class ClipModel(SettlesLoading):
    """`method` is the file of this package that builds it; `own` are the settings that only it knows.

    The default CLIP is taken from the Hugging Face cache only; one that is named is downloaded too.
    """

    name: str
    summary: str
    method: str
    own: tuple[str, ...] = ()
    fused: bool = True
    controlled: bool = True
    control: str | None = None
    answers: tuple[str, ...] = CLASSIFICATION

    @property
    def evaluates_only(self) -> bool:
        """Zero-shot, nothing is trained or fitted."""
        return self.method == "zero_shot"

    @property
    def settings(self) -> tuple[str, ...]:
        """Names that it takes in `--set model.NAME=VALUE`."""
        return ("clip", *self.own, *(name for name in FOR_WEIGHTS if name != "dtype" or self.method != TRAINS_TOWER))

    def controls_for(self, answers: str) -> tuple[str, ...]:
        """Offer C2 and C3 of what is trained or fitted and reads class texts."""
        return CLIP_CONTROLS if self.controlled else ()

    def with_control(self, control: str) -> ClipModel:
        """Make C2 or C3; raises UsageError for any other."""
        offered = CLIP_CONTROLS if self.controlled else ()
        if control not in offered:
            raise UsageError(f"Model '{self.name}' has no control '{control}'. {nearest(control, offered)}")
        return replace(self, control=control)

    def prerequisite(self, options: ModelOptions) -> Prerequisite | None:
        """Need no other network."""
        return None

    def recipe(self, options: ModelOptions) -> Mapping[str, Any]:
        """Name the weights by digest; raises WeightsUnavailable, CheckpointError or UsageError."""
        settings = read_settings(options.settings)
        _check(settings)
        return {
            "library": "open_clip",
            "method": self.method,
            "control": self.control,
            **source_of(settings.clip).to_json(),
            **settings_of(settings, *self.own),
            **settings.load.to_json(),
        }

    def build(self, spec: TaskSpec, context: BuildContext) -> Learner:
        """Load the weights and build; the same context always gives the same weights."""
        if spec.answers == CHOICES:
            from baselines.clip.candidates import load_chooser

            settings = settings_to_build(context)
            return load_chooser(source_of(settings.clip), settings.load.torch_dtype)
        from baselines.clip.parts import open_parts
        from baselines.seeding import seeded

        settings = settings_to_build(context)
        if self.method == "coop":
            require_loss_scale(settings.load, context.train)
        with seeded(context.seed):
            parts = open_parts(source_of(settings.clip), spec, context, settings, self.control)
        with seeded(context.seed):  # anew, so that what is trained starts alike whatever was loaded
            learner: Learner = import_module(f"baselines.clip.{self.method}").build(parts)
        return learner


def _check(settings: Settings) -> None:
    """Raise UsageError for a number out of range."""
    ranges = {
        "context_vectors": (settings.context_vectors >= 1, "at least 1"),
        "adapter_ratio": (0 <= settings.adapter_ratio <= 1, "0 to 1"),
        "shots": (settings.shots >= 0, "0 or more"),
        "wise_alpha": (0 < settings.wise_alpha <= 1, "more than 0 and at most 1"),
    }
    for name, (fits, wanted) in ranges.items():
        if not fits:
            raise UsageError(f"model.{name}={getattr(settings, name)}: wanted {wanted}.")


def source_of(wish: str) -> OpenClipSource:
    """Find out which checkpoint `model.clip` means; raises UsageError."""
    return parse_source(wish) if wish else parse_source(DEFAULT_CLIP, downloads=False)
