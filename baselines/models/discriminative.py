"""A named model of labels, boxes and label maps: vision backbone x language model x fusion x head. No torch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from baselines.fusion.operator import find_operator
from baselines.heads.head import Head, check_head_names, choose_head, heads_for, installed_heads
from baselines.language.knowledge import check_forms, read_facts
from baselines.language.source import find_language
from baselines.load_options import FOR_PARTS, SettlesLoading
from baselines.settings import Settings, read_settings, setting_names, settings_of
from baselines.tuning.policy import find_policy
from baselines.vision.source import find_vision, is_scenes_cnn, scenes_cnn_prerequisite
from harness.cell import ModelOptions
from harness.errors import UsageError, nearest
from harness.protocols import BuildContext, Learner, Prerequisite
from harness.sample import TaskSpec

CONTROLS = ("C0", "C1", "C2", "C3", "C4", "C5", "C6")
_WITHOUT_LANGUAGE = ("C0", "C1", "C4")


@dataclass(frozen=True)
class DiscriminativeModel(SettlesLoading):
    """A composition; it serves every kind of answer that an installed head gives (`bench.heads`) and its fusion allows.

    `neck` is joint (tokens meet texts at a common width) or probe (a linear layer on the backbone's features).
    `fusion` names an operator of `bench.fusion`, `tune` a policy of `bench.tuning`; `by_text` says that classes are
    scored by their texts. A model with neither fusion nor this is un-fused. `only` names the kinds of answer that it is
    kept to, empty for all. `control` is one of C0 (no language), C1 (C0, as many trained weights), C2 (language model
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
    only: tuple[str, ...] = ()

    @property
    def answers(self) -> tuple[str, ...]:
        """What the heads answer with that can take its features."""
        places = self.fusion is None or find_operator(self.fusion).keeps_places
        kinds = dict.fromkeys(kind for head in installed_heads() if places or not head.dense for kind in head.answers)
        return tuple(kind for kind in kinds if not self.only or kind in self.only)

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
        """Tell whether an image and a pretrained language model meet in it."""
        return self.fusion is not None or self.by_text

    def controls_for(self, answers: str) -> tuple[str, ...]:
        """The whole ladder; where what two models make cannot be added, as boxes, there is no C6."""
        if not self.fused:
            return ()
        return CONTROLS if all(head.adds for head in heads_for(answers)) else CONTROLS[:-1]

    def with_control(self, control: str) -> DiscriminativeModel:
        """Make a control of a fused model; raises UsageError for any other."""
        offered = CONTROLS if self.fused else ()
        if control not in offered:
            raise UsageError(f"Model '{self.name}' has no control '{control}'. {nearest(control, offered)}")
        return replace(self, control=control)

    def policy(self, options: ModelOptions) -> str:
        """The tuning policy of the language model: `--tune`, else the composition's own."""
        return find_policy(options.tune or self.tune).name

    def recipe(self, options: ModelOptions) -> Mapping[str, Any]:
        """Say what is composed, with the digests of weights and the settings that concern it."""
        settings = read_settings(options.settings)
        check_head_names(settings)
        recipe: dict[str, Any] = {
            "neck": self.neck, "fusion": self.fusion, "by_text": self.by_text, "control": self.control,
            "vision": find_vision(options).to_json(), "vision_tune": self.vision_tune or settings.vision_tune,
        }  # fmt: skip
        names = ["vision_stage", "grid", "box_head"]
        names += ["joint_width", "join_layers"] if self.neck == "joint" else []
        if self.fused and self.control not in _WITHOUT_LANGUAGE:
            recipe |= {"language": find_language(options.language).to_json(), "tune": self.policy(options)}
            names.append("text_layers")
        if self.fused and self.control != "C0" and settings.knowledge:
            check_forms(settings.knowledge_as, settings.knowledge_rows)
            recipe["knowledge"] = read_facts(settings.knowledge).digest
            names += ["knowledge_as", "knowledge_rows"]
        if self.fusion is not None:
            recipe |= settings.of_part(find_operator(self.fusion).feature_settings)
        own = settings_of(settings, *names) | settings.load.to_json()
        return recipe | own | self._head_recipe(options, settings)

    def parts(self, options: ModelOptions) -> tuple[str, ...]:
        """Name the code of each part that is found by entry point (`package.module:Name`): fusion, head and tuning."""
        fused = () if self.fusion is None else (str(find_operator(self.fusion).features),)
        tuned = (find_policy(self.policy(options)).apply,) if self.fused else ()
        return (*fused, self._head(options, read_settings(options.settings)).build, *tuned)

    def _head(self, options: ModelOptions, settings: Settings) -> Head:
        return choose_head(options.answers, settings, bare=self.neck == "probe")

    def _head_recipe(self, options: ModelOptions, settings: Settings) -> dict[str, Any]:
        """What was chosen of heads beside `box_head`, and the own settings of the head that answers."""
        if not options.answers:
            return {}
        named = settings_of(settings, "head") if settings.head else {}
        return named | settings.of_part(self._head(options, settings).settings)

    def prerequisite(self, options: ModelOptions) -> Prerequisite | None:
        """The default backbone must have been trained on Scenes' attributes."""
        return scenes_cnn_prerequisite() if is_scenes_cnn(options) else None

    def build(self, spec: TaskSpec, context: BuildContext) -> Learner:
        """Build the learner; the same context always gives the same weights."""
        from baselines.learners.build_discriminative import build_discriminative

        return build_discriminative(self, spec, context)
