"""Puts a model of labels, boxes or label maps together, or one of its controls; always the same weights for a seed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import nn

from baselines.composition import DiscriminativeComposition
from baselines.fusion.feature_fusion import FeatureFusion, FeatureFusionShape
from baselines.fusion.operator import find_operator
from baselines.heads.class_scorers import LinearScorer, PairReader, TextScorer
from baselines.heads.head import HeadModule, HeadShape, choose_head
from baselines.language.class_texts import ClassTexts, derangement
from baselines.language.encoder import LanguageEncoder, load_encoder
from baselines.language.knowledge import Knowledge, knowledge_of, read_facts
from baselines.language.source import find_language
from baselines.language.stand_ins import Attributes, BagOfWords, RandomVectors
from baselines.learners.discriminative import AdditiveLearner, DiscriminativeLearner
from baselines.learners.neck import AttentionMixer, BareNeck, Blind, ConvolutionMixer, Neck, VisualShape
from baselines.seeding import seeded
from baselines.settings import Settings, settings_to_build
from baselines.tuning.parameter_groups import count_trainable
from baselines.vision.source import find_vision
from baselines.vision.timm_tower import TimmTower, build_tower
from harness.errors import UsageError
from harness.plan.parts import load_code
from harness.protocols import BuildContext, Learner
from harness.sample import TaskSpec

_HEADS = 4
_NARROWER = 4
"""Where each place is paired with each class, features are so many times narrower."""
_LARGEST_ATTENTION = 100
"""Places of a grid that attend to each other; finer grids are mixed by convolutions."""


def build_discriminative(model: DiscriminativeComposition, spec: TaskSpec, context: BuildContext) -> Learner:
    """Build a composition, or one of its controls; raises UsageError for an answer that it has no head for."""
    with seeded(context.seed):
        return _Assembly(model, spec, context).build()


class _Assembly:
    """The parts of one model while it is being built."""

    def __init__(self, model: DiscriminativeComposition, spec: TaskSpec, context: BuildContext) -> None:
        self.model, self.spec, self.context = model, spec, context
        self.settings: Settings = settings_to_build(context)
        self.bare = model.neck == "probe"
        self.head = choose_head(context.options.answers or spec.answers, self.settings, bare=self.bare)
        self.operator = None if model.fusion is None else find_operator(model.fusion)
        self.tower = self._tower()
        self.shape = VisualShape(self.tower.width, self.tower.tokens, self.tower.grid)
        self.knowledge = self._knowledge()
        self.beside: bool = context.derived.get("texts beside images", lambda: bool(spec.training_texts))

    def build(self) -> Learner:
        control = self.model.control
        if control in (None, "C2", "C3", "C4"):
            return self._answerer(fused=True)
        if control == "C0":
            return self._answerer(fused=False)
        if control == "C1":
            return self._capacity_matched()
        of_text = self._answerer(fused=True, blind=True)
        return of_text if control == "C5" else AdditiveLearner(self._answerer(fused=False), of_text)

    def _tower(self) -> TimmTower:
        tower = build_tower(
            find_vision(self.context.options),
            stage=self.settings.vision_stage,
            prerequisite=self.context.prerequisite,
            grid=self.settings.grid or self.head.grid,
            whole=self.head.dense,
        )
        if (self.model.vision_tune or self.settings.vision_tune) == "frozen":
            tower.freeze(self.settings.load.torch_dtype)
        return tower

    def _answerer(self, *, fused: bool, blind: bool = False, extra: int = 0) -> DiscriminativeLearner:
        sight = Blind(self.shape) if blind else self.tower
        if self.bare:
            bare = BareNeck(self.shape)
            return DiscriminativeLearner(sight, bare, self._head(self._linear(bare.width), bare.width), None, ())
        if not (fused and self.model.fused):
            neck = self._neck(None, extra)
            return DiscriminativeLearner(sight, neck, self._head(self._linear(neck.width), neck.width), None, ())
        return self._fused(sight)

    def _fused(self, sight: TimmTower | Blind) -> DiscriminativeLearner:
        """Join with the text beside each image where there is one, else with the texts of the classes."""
        source = self._source()
        pretrained = source.pretrained if isinstance(source, LanguageEncoder) else ()
        width = self.settings.joint_width
        if self.beside and self.operator is not None:
            if self.settings.knowledge:
                raise UsageError(
                    f"Model '{self.model.name}' reads the texts beside images here, not those of classes: leave "
                    "model.knowledge out, or take class-embedding."
                )
            neck = self._neck(self._fusion(source.width, width))
            return DiscriminativeLearner(sight, neck, self._head(self._linear(width), width), source, pretrained)
        classes = self._class_texts(source)
        if self.operator is None:
            head = self._head(TextScorer(classes, width), width)
            return DiscriminativeLearner(sight, self._neck(None), head, None, pretrained)
        fusion = self._fusion(classes.width, width)
        if not self.operator.reads_pooled:
            head = self._head(TextScorer(classes, width), width)
            return DiscriminativeLearner(sight, self._neck(fusion), head, classes, pretrained)
        narrow = max(_HEADS, width // _NARROWER) if self.head.dense else width
        pairs = PairReader(classes, self._fusion(classes.width, narrow), width, narrow)
        return DiscriminativeLearner(sight, self._neck(None), self._head(pairs, width), None, pretrained)

    def _neck(self, fusion: FeatureFusion | None, extra: int = 0) -> Neck:
        width = self.settings.joint_width
        return Neck(self.shape, width, self._mixer(), fusion=fusion, extra=extra)

    def _fusion(self, text_width: int, width: int) -> FeatureFusion:
        operator, dropout = self.operator, self.context.train.dropout
        if operator is None or operator.features is None:
            raise UsageError(f"Model '{self.model.name}' has no operator that joins features with texts.")
        if self.head.dense and not operator.keeps_places:
            raise UsageError(f"Model '{self.model.name}' forgets where things are: it answers with labels only.")
        own = self.settings.of_part(operator.feature_settings)
        shape = FeatureFusionShape(width, text_width, _HEADS, dropout, self.settings.join_layers, own)
        fusion: FeatureFusion = load_code(operator.features)(shape)
        return fusion

    def _source(self) -> Any:
        """The text source of the model or its control."""
        texts = self.spec.training_texts if self.beside else self._all_class_texts()
        if self.model.control == "C4":
            has_attributes = not self.beside and self.spec.classes.attributes
            if has_attributes:
                return Attributes(self.spec.classes.names, self.spec.classes.attributes)
            return BagOfWords(texts)
        options = self.context.options
        encoder = load_encoder(
            find_language(options.language),
            self.model.policy(options),
            self.settings,
            self.context,
            reinitialised=self.model.control == "C2",
        )
        if self.model.control == "C3" and self.beside:
            return RandomVectors(encoder, texts[:64])
        return encoder

    def _class_texts(self, source: Any) -> ClassTexts:
        classes = self.spec.classes
        named = isinstance(source, Attributes)
        texts = [(name,) for name in classes.names] if named else classes.texts
        knowledge = replace(self.knowledge, words=()) if named else self.knowledge  # attributes are looked up by name
        permuted = self.model.control == "C3" and not self.beside
        return ClassTexts(source, texts, derangement(len(classes)) if permuted else None, knowledge)

    def _all_class_texts(self) -> tuple[str, ...]:
        return tuple(text for group in self.knowledge.told(self.spec.classes.texts) for text in group)

    def _knowledge(self) -> Knowledge:
        settings = self.settings
        if not settings.knowledge:
            return Knowledge()
        table = read_facts(settings.knowledge)
        return knowledge_of(table, self.spec.classes.names, settings.knowledge_as, settings.knowledge_rows)

    def _capacity_matched(self) -> DiscriminativeLearner:
        """Control C1: C0 with a feed-forward part that brings its trained weights to the fused model's."""
        wanted = count_trainable(self._answerer(fused=True))
        none, one, two = (count_trainable(self._answerer(fused=False, extra=extra)) for extra in (0, 1, 2))
        width = round((wanted - one) / (two - one)) + 1
        if width < 1 or abs(none - wanted) <= 0.02 * wanted:
            return self._answerer(fused=False)
        return self._answerer(fused=False, extra=width)

    def _mixer(self) -> nn.Module:
        width = self.settings.joint_width
        if not self.head.dense and self.shape.tokens <= _LARGEST_ATTENTION:
            return AttentionMixer(width, _HEADS, self.context.train.dropout)
        return ConvolutionMixer(width, self.shape.grid)

    def _linear(self, width: int) -> LinearScorer:
        return LinearScorer(width, len(self.spec.classes))

    def _head(self, scorer: Any, width: int) -> HeadModule:
        head, pairs = self.head, self.operator is not None and self.operator.reads_pooled
        if isinstance(scorer, PairReader) and not head.pairs:
            raise UsageError(
                f"Model '{self.model.name}' reads each class at each place, which the head {head.name} cannot take: "
                "choose another with --set model.head=NAME (see 'bench list heads')."
            )
        own = self.settings.of_part(head.settings)
        shape = HeadShape(scorer, width, self.shape.grid, self.spec.classes, self.bare, pairs, own)
        built: HeadModule = load_code(head.build)(shape)
        return built
