"""A named captioning model: vision backbone x language model x fusion x tuning. No torch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from baselines.fusion.operator import find_operator
from baselines.language.source import find_language
from baselines.load_options import FOR_PARTS, SettlesLoading
from baselines.settings import read_settings, setting_names, settings_of
from baselines.tuning.policy import find_policy
from baselines.vision.source import find_vision, is_scenes_cnn, scenes_cnn_prerequisite
from harness.answers import CAPTIONS, CHOICES
from harness.cell import ModelOptions
from harness.errors import UsageError, nearest
from harness.protocols import BuildContext, Learner, Prerequisite
from harness.sample import TaskSpec

FUSED_CONTROLS = ("C1", "C2")


@dataclass(frozen=True)
class GenerativeModel(SettlesLoading):
    """A composition. `decoder` is pretrained, scratch or lstm; without a `fusion` a pretrained one is text only.

    `fusion` names an operator of `bench.fusion`, `tune` a policy of `bench.tuning`. `control` is C1 (no pretrained
    language, as many trainable weights) or C2 (the language model's weights drawn at random). Choices among texts are
    scored by their likelihood as captions.
    """

    name: str
    summary: str
    decoder: str
    fusion: str | None = None
    tune: str = "full"
    control: str | None = None
    answers: tuple[str, ...] = (CAPTIONS,)

    @property
    def settings(self) -> tuple[str, ...]:
        """Those of compositions and of all installed parts."""
        return setting_names()

    @property
    def loads_with(self) -> Sequence[str]:
        """What a backbone and a language model can do."""
        return FOR_PARTS

    @property
    def fused(self) -> bool:
        """Tell whether a pretrained language model and an image meet in it."""
        return self.decoder == "pretrained" and self.fusion is not None

    @property
    def sees_images(self) -> bool:
        """Tell whether it has a vision backbone at all."""
        return self.decoder != "pretrained" or self.fusion is not None

    def controls_for(self, answers: str) -> tuple[str, ...]:
        """Controls that can be made of it."""
        return FUSED_CONTROLS if self.fused else ()

    def with_control(self, control: str) -> GenerativeModel:
        """Make C1 or C2 of a fused model; raises UsageError for any other."""
        offered = FUSED_CONTROLS if self.fused else ()
        if control not in offered:
            raise UsageError(f"Model '{self.name}' has no control '{control}'. {nearest(control, offered)}")
        return replace(self, control=control)

    def policy(self, options: ModelOptions) -> str:
        """The tuning policy: `--tune`, else the composition's own."""
        return find_policy(options.tune or self.tune).name

    def recipe(self, options: ModelOptions) -> Mapping[str, Any]:
        """Say what is composed, with the digests of weights and the settings that concern it."""
        settings = read_settings(options.settings)
        recipe: dict[str, Any] = {"decoder": self.decoder, "fusion": self.fusion, "control": self.control}
        if self.sees_images:
            recipe["vision"] = find_vision(options).to_json()
            recipe |= settings_of(settings, "vision_stage", "vision_tune")
        if self.decoder == "pretrained":
            policy = find_policy(self.policy(options))
            recipe["language"] = find_language(options.language).to_json()
            recipe |= {
                "tune": policy.name,
                **settings_of(settings, "language_layers"),
                **settings.of_part(policy.settings),
            }
        recipe |= settings_of(settings, *self._own_settings())
        if options.answers == CHOICES:
            recipe |= settings_of(settings, "option_score")
        if self.fusion is not None:
            recipe |= settings.of_part(find_operator(self.fusion).settings)
        return recipe | settings.load.to_json()

    def parts(self, options: ModelOptions) -> tuple[str, ...]:
        """Name the code of each part that is found by entry point (`package.module:Name`): fusion and tuning."""
        tuned = (find_policy(self.policy(options)).apply,) if self.decoder == "pretrained" else ()
        fused = () if self.fusion is None else (str(find_operator(self.fusion).decoder),)
        return (*fused, *tuned)

    def prerequisite(self, options: ModelOptions) -> Prerequisite | None:
        """The default backbone must have been trained on Scenes' attributes."""
        if not self.sees_images or not is_scenes_cnn(options):
            return None
        return scenes_cnn_prerequisite()

    def build(self, spec: TaskSpec, context: BuildContext) -> Learner:
        """Build the learner; the same context always gives the same weights."""
        from baselines.learners.build_generative import build_generative

        return build_generative(self, spec, context)

    def _own_settings(self) -> tuple[str, ...]:
        scratch = ("layers", "width", "ffn", "heads", "min_count")
        own = {"scratch": scratch, "lstm": ("width", "min_count"), "pretrained": ()}[self.decoder]
        if self.control == "C1":
            own = ("layers", "heads", "min_count")
        return own
