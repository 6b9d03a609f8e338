"""A named model of labels, boxes and label maps: vision backbone x language model x join x head. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from baselines.language.source import find_language
from baselines.settings import SETTINGS, read_settings, settings_of
from baselines.tuning import check_policy
from baselines.vision.source import find_vision, is_scenes_cnn, scenes_cnn_prerequisite
from harness.answers import BOXES, LABELS, MAPS, UNSEEN_LABELS, form_of
from harness.cell import ModelOptions
from harness.errors import UsageError, nearest
from harness.protocols import BuildContext, Learner, Prerequisite
from harness.sample import TaskSpec

LABEL_KINDS = (LABELS, UNSEEN_LABELS)
CONTROLS = ("C0", "C1", "C2", "C3", "C4", "C5", "C6")
_WITHOUT_LANGUAGE = ("C0", "C1", "C4")
_FUSION_SETTINGS = {"q-former": ("queries", "query_layers")}


@dataclass(frozen=True)
class DiscriminativeModel:
    """A composition; which head it gets follows from the kind of answer that the task wants.

    `neck` is joint (tokens meet texts at a common width) or probe (a linear layer on the backbone's features).
    `join` names a fusion operator; `by_text` says that classes are scored by their texts. A model with neither is
    un-fused. `control` is one of C0 (no language), C1 (C0, as many trained weights), C2 (language model
    re-initialised), C3 (texts permuted, or vectors without content), C4 (attributes or bag of words), C5 (no image),
    C6 (C0 and C5 added).
    """

    name: str
    summary: str
    neck: str = "joint"
    fusion: str | None = None
    by_text: bool = False
    vision_tune: str | None = None
    tune: str = "frozen"
    control: str | None = None
    answers: tuple[str, ...] = (*LABEL_KINDS, BOXES, MAPS)
    settings: tuple[str, ...] = SETTINGS

    @property
    def fused(self) -> bool:
        """Tell whether an image and a pretrained language model meet in it."""
        return self.fusion is not None or self.by_text

    def controls_for(self, answers: str) -> tuple[str, ...]:
        """The whole ladder; boxes of two models cannot be added, so there is no C6 for them."""
        if not self.fused:
            return ()
        return CONTROLS[:-1] if form_of(answers) == BOXES else CONTROLS

    def with_control(self, control: str) -> DiscriminativeModel:
        """Make a control of a fused model; raises UsageError for any other."""
        offered = CONTROLS if self.fused else ()
        if control not in offered:
            raise UsageError(f"Model '{self.name}' has no control '{control}'. {nearest(control, offered)}")
        return replace(self, control=control)

    def policy(self, options: ModelOptions) -> str:
        """The tuning policy of the language model: `--tune`, else the composition's own."""
        return check_policy(options.tune or self.tune)

    def recipe(self, options: ModelOptions) -> Mapping[str, Any]:
        """Say what is composed, with the digests of weights and the settings that concern it."""
        settings = read_settings(options.settings)
        recipe: dict[str, Any] = {
            "neck": self.neck, "fusion": self.fusion, "by_text": self.by_text, "control": self.control,
            "vision": find_vision(options).to_json(), "vision_tune": self.vision_tune or settings.vision_tune,
        }  # fmt: skip
        names = ["vision_stage", "grid", "box_head", *_FUSION_SETTINGS.get(self.fusion or "", ())]
        names += ["joint_width", "join_layers"] if self.neck == "joint" else []
        if self.fused and self.control not in _WITHOUT_LANGUAGE:
            recipe |= {"language": find_language(options.language).to_json(), "tune": self.policy(options)}
            names.append("text_layers")
        return recipe | settings_of(settings, *names)

    def prerequisite(self, options: ModelOptions) -> Prerequisite | None:
        """The default backbone must have been trained on Scenes' attributes."""
        return scenes_cnn_prerequisite() if is_scenes_cnn(options) else None

    def build(self, spec: TaskSpec, context: BuildContext) -> Learner:
        """Build the learner; the same context always gives the same weights."""
        from baselines.learners.build_discriminative import build_discriminative

        return build_discriminative(self, spec, context)
