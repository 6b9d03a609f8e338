"""The named model `dual-encoder`. No torch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from baselines.clip.model import CLASSIFICATION, CLIP_CONTROLS
from baselines.language.source import find_language
from baselines.load_options import FOR_PARTS, LOAD_SETTINGS, SettlesLoading
from baselines.settings import read_settings, settings_of, settings_to_build
from baselines.tuning.policy import find_policy, installed_policies
from baselines.vision.source import find_vision, is_scenes_cnn, scenes_cnn_prerequisite
from harness.answers import CHOICES
from harness.cell import ModelOptions
from harness.errors import UsageError, nearest
from harness.protocols import BuildContext, Learner, Prerequisite
from harness.sample import TaskSpec

if TYPE_CHECKING:
    from baselines.language.encoder import LanguageEncoder

_OWN = ("vision_stage", "vision_tune", "text_layers", "joint_width")


@dataclass(frozen=True)
class DualEncoderModel(SettlesLoading):
    """Any timm backbone with any language model of transformers; both frozen unless the options say otherwise."""

    name: str
    summary: str
    fused: bool = True
    control: str | None = None
    answers: tuple[str, ...] = (*CLASSIFICATION, CHOICES)

    @property
    def settings(self) -> tuple[str, ...]:
        """Its own, and those of all installed tuning policies."""
        return (*_OWN, *LOAD_SETTINGS, *(name for policy in installed_policies() for name in policy.settings))

    @property
    def loads_with(self) -> Sequence[str]:
        """What a backbone and a language model can do."""
        return FOR_PARTS

    def controls_for(self, answers: str) -> tuple[str, ...]:
        """Offer C2 and C3; of choices among texts there is no class to give another's."""
        return ("C2",) if answers == CHOICES else CLIP_CONTROLS

    def with_control(self, control: str) -> DualEncoderModel:
        """Make C2 (the language model's weights drawn at random) or C3 (class texts permuted)."""
        if control not in CLIP_CONTROLS:
            raise UsageError(f"Model '{self.name}' has no control '{control}'. {nearest(control, CLIP_CONTROLS)}")
        return replace(self, control=control)

    def prerequisite(self, options: ModelOptions) -> Prerequisite | None:
        """The default backbone must have been trained on Scenes' attributes."""
        return scenes_cnn_prerequisite() if is_scenes_cnn(options) else None

    def recipe(self, options: ModelOptions) -> Mapping[str, Any]:
        """Say what is composed, with the digests of weights."""
        settings, policy = read_settings(options.settings), find_policy(options.tune or "frozen")
        return {
            "method": "dual-encoder",
            "control": self.control,
            "vision": find_vision(options).to_json(),
            "language": find_language(options.language).to_json(),
            "tune": policy.name,
            **settings_of(settings, *_OWN),
            **settings.load.to_json(),
            **settings.of_part(policy.settings),
        }

    def build(self, spec: TaskSpec, context: BuildContext) -> Learner:
        """Build; raises UsageError for a task without class texts or with several classes an image."""
        from baselines.clip.dual_encoder import DualEncoder, TextSide
        from baselines.clip.parts import check_class_texts, require_single_label
        from baselines.language.class_texts import derangement
        from baselines.seeding import seeded
        from baselines.vision.timm_tower import open_tower

        if spec.answers == CHOICES:
            return self._captions(context)
        require_single_label(spec, self.name, "it is trained with a softmax over the batch.")
        texts = check_class_texts(spec)
        order = derangement(len(texts), context.seed) if self.control == "C3" else range(len(texts))
        with seeded(context.seed):
            text = TextSide(self._language(context), settings_to_build(context).joint_width, texts, order)
            return DualEncoder(open_tower(context), text, spec.classes)

    def _captions(self, context: BuildContext) -> Learner:
        """Match images with whole captions."""
        from baselines.clip.caption_encoder import CaptionEncoder
        from baselines.clip.dual_encoder import TextSide
        from baselines.seeding import seeded
        from baselines.vision.timm_tower import open_tower

        with seeded(context.seed):
            text = TextSide(self._language(context), settings_to_build(context).joint_width, (), ())
            return CaptionEncoder(open_tower(context), text)

    def _language(self, context: BuildContext) -> LanguageEncoder:
        from baselines.language.encoder import load_encoder

        return load_encoder(
            find_language(context.options.language),
            find_policy(context.options.tune or "frozen").name,
            settings_to_build(context),
            context,
            reinitialised=self.control == "C2",
        )
