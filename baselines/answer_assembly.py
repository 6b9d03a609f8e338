"""Puts a model of labels, boxes or label maps together, or one of its controls; always the same weights for a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from baselines.answerer import AdditiveAnswerer, Answerer
from baselines.assembly import count_trainable, seeded
from baselines.class_texts import ClassTexts, derangement
from baselines.fusion import build_join, reads_each_class
from baselines.fusion.join import Join, JoinShape
from baselines.heads.class_scorers import LinearScorer, PairReader, TextScorer
from baselines.language_source import find_language
from baselines.settings import Settings, read_settings
from baselines.text.language_encoder import LanguageEncoder, load_encoder
from baselines.text.other_sources import Attributes, BagOfWords, RandomVectors
from baselines.trunk import AttentionMixer, BareTrunk, Blind, ConvolutionMixer, Trunk, VisualShape
from baselines.vision import TimmTower, build_tower
from baselines.vision_source import find_vision
from harness.answers import BOXES, LABELS, MAPS
from harness.errors import UsageError
from harness.protocols import BuildContext, Learner
from harness.sample import TaskSpec

if TYPE_CHECKING:
    from baselines.answering_model import AnsweringModel

_HEADS = 4
_GRIDS = {LABELS: 7, BOXES: 16, MAPS: 16}
_NARROWER = 4
"""Where each place is paired with each class, features are so many times narrower."""
_LARGEST_ATTENTION = 100
"""Places of a grid that attend to each other; finer grids are mixed by convolutions."""


def build_answerer(model: AnsweringModel, spec: TaskSpec, context: BuildContext) -> Learner:
    """Build a composition, or one of its controls; raises UsageError for an answer that it has no head for."""
    if spec.answers not in _GRIDS:
        raise UsageError(f"Model '{model.name}' answers with labels, boxes or label maps, not with {spec.answers}.")
    with seeded(context.seed):
        return _Assembly(model, spec, context).build()


class _Assembly:
    """The parts of one model while it is being built."""

    def __init__(self, model: AnsweringModel, spec: TaskSpec, context: BuildContext) -> None:
        self.model, self.spec, self.context = model, spec, context
        self.settings: Settings = read_settings(context.options.settings)
        self.tower = self._tower()
        self.shape = VisualShape(self.tower.width, self.tower.tokens, self.tower.grid)
        self.beside = bool(spec.training_texts)

    def build(self) -> Learner:
        control = self.model.control
        if control in (None, "C2", "C3", "C4"):
            return self._answerer(fused=True)
        if control == "C0":
            return self._answerer(fused=False)
        if control == "C1":
            return self._capacity_matched()
        of_text = self._answerer(fused=True, blind=True)
        return of_text if control == "C5" else AdditiveAnswerer(self._answerer(fused=False), of_text)

    def _tower(self) -> TimmTower:
        tower = build_tower(
            find_vision(self.context.options),
            stage=self.settings.vision_stage,
            prerequisite=self.context.prerequisite,
            grid=self.settings.grid or _GRIDS[self.spec.answers],
            whole=self.spec.answers != LABELS,
        )
        if (self.model.vision_tune or self.settings.vision_tune) == "frozen":
            tower.freeze()
        return tower

    def _answerer(self, *, fused: bool, blind: bool = False, extra: int = 0) -> Answerer:
        sight = Blind(self.shape) if blind else self.tower
        if self.model.trunk == "probe":
            bare = BareTrunk(self.shape)
            return Answerer(sight, bare, self._head(self._linear(bare.width), bare.width), None, ())
        if not (fused and self.model.fused):
            trunk = self._trunk(None, extra)
            return Answerer(sight, trunk, self._head(self._linear(trunk.width), trunk.width), None, ())
        return self._fused(sight)

    def _fused(self, sight: TimmTower | Blind) -> Answerer:
        """Join with the text beside each image where there is one, else with the texts of the classes."""
        source = self._source()
        pretrained = source.pretrained if isinstance(source, LanguageEncoder) else ()
        width = self.settings.joint_width
        if self.beside and self.model.join is not None:
            trunk = self._trunk(self._join(source.width, width))
            return Answerer(sight, trunk, self._head(self._linear(width), width), source, pretrained)
        classes = self._class_texts(source)
        if self.model.join is None:
            head = self._head(TextScorer(classes, width), width)
            return Answerer(sight, self._trunk(None), head, None, pretrained)
        join = self._join(classes.width, width)
        if not reads_each_class(self.model.join):
            head = self._head(TextScorer(classes, width), width)
            return Answerer(sight, self._trunk(join), head, classes, pretrained)
        narrow = width if self.spec.answers == LABELS else max(_HEADS, width // _NARROWER)
        pairs = PairReader(classes, self._join(classes.width, narrow), width, narrow)
        return Answerer(sight, self._trunk(None), self._head(pairs, width), None, pretrained)

    def _trunk(self, join: Join | None, extra: int = 0) -> Trunk:
        width = self.settings.joint_width
        return Trunk(self.shape, width, self._mixer(), join=join, extra=extra)

    def _join(self, text_width: int, width: int) -> Join:
        shape = JoinShape(width, text_width, _HEADS, self.context.train.dropout, self.settings)
        join = build_join(str(self.model.join), shape)
        if self.spec.answers != LABELS and not join.keeps_places:
            raise UsageError(f"Model '{self.model.name}' forgets where things are: it answers with labels only.")
        return join

    def _source(self) -> Any:
        """The text source of the model or its control."""
        texts = self.spec.training_texts or self._all_class_texts()
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
            reinitialised=self.model.control == "C2",
        )
        if self.model.control == "C3" and self.beside:
            return RandomVectors(encoder, texts[:64])
        return encoder

    def _class_texts(self, source: Any) -> ClassTexts:
        classes = self.spec.classes
        texts = [(name,) for name in classes.names] if isinstance(source, Attributes) else classes.texts
        permuted = self.model.control == "C3" and not self.beside
        return ClassTexts(source, texts, derangement(len(classes)) if permuted else None)

    def _all_class_texts(self) -> tuple[str, ...]:
        return tuple(text for group in self.spec.classes.texts for text in group)

    def _capacity_matched(self) -> Answerer:
        """Control C1: C0 with a feed-forward part that brings its trained weights to the fused model's."""
        wanted = count_trainable(self._answerer(fused=True))
        none, one, two = (count_trainable(self._answerer(fused=False, extra=extra)) for extra in (0, 1, 2))
        width = round((wanted - one) / (two - one)) + 1
        if width < 1 or abs(none - wanted) <= 0.02 * wanted:
            return self._answerer(fused=False)
        return self._answerer(fused=False, extra=width)

    def _mixer(self) -> nn.Module:
        width = self.settings.joint_width
        if self.spec.answers == LABELS and self.shape.tokens <= _LARGEST_ATTENTION:
            return AttentionMixer(width, _HEADS, self.context.train.dropout)
        return ConvolutionMixer(width, self.shape.grid)

    def _linear(self, width: int) -> LinearScorer:
        return LinearScorer(width, len(self.spec.classes))

    def _head(self, scorer: Any, width: int) -> nn.Module:
        from baselines.heads.box_head import BoxHead
        from baselines.heads.label_head import AttentionPool, LabelHead, MeanPool
        from baselines.heads.map_head import MapHead
        from baselines.heads.set_box_head import SetBoxHead

        probe = self.model.trunk == "probe"
        if self.spec.answers == LABELS:
            pool: nn.Module = MeanPool() if probe else AttentionPool(width)
            return LabelHead(pool, scorer, self.spec.classes)
        if self.spec.answers == MAPS:
            refine = not probe and not reads_each_class(
                self.model.join
            )  # controls have the head of the model that they match
            return MapHead(scorer, width, self.shape.grid, self.spec.classes, refine=refine)
        if self.settings.box_head == "centre" or probe:
            return BoxHead(scorer, width, self.shape.grid, self.spec.classes)
        if isinstance(scorer, PairReader):
            raise UsageError(
                f"Model '{self.model.name}' reads each class at each place: it needs model.box_head=centre."
            )
        return SetBoxHead(scorer, width, (self.settings.queries, self.settings.query_layers), self.spec.classes)
