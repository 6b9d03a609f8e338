"""Puts a captioning model together: tower, decoder, fusion, tuning; always the same weights for a seed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from baselines.composition import GenerativeComposition
from baselines.fusion.decoder_fusion import DecoderFusionShape
from baselines.fusion.operator import find_operator
from baselines.heads.language_decoder import LanguageDecoder
from baselines.heads.lstm_decoder import LstmDecoder
from baselines.language.decoding import Search
from baselines.language.pretrained import Language, LanguageWish, load_language
from baselines.language.scratch import ScratchSize, build_scratch_language, size_of
from baselines.language.source import find_language
from baselines.language.vocabulary import WordVocabulary, frequent_words
from baselines.learners.generative import GenerativeLearner
from baselines.learners.matched_capacity import match_size
from baselines.load_options import require_loss_scale
from baselines.seeding import seeded
from baselines.settings import Settings, settings_to_build
from baselines.tuning.parameter_groups import count_trainable
from baselines.tuning.policy import apply_policy
from baselines.vision.timm_tower import open_tower
from harness.errors import UsageError
from harness.plan.parts import load_code
from harness.protocols import BuildContext
from harness.sample import OnDemand, Target, TaskSpec


def build_generative(model: GenerativeComposition, spec: TaskSpec, context: BuildContext) -> GenerativeLearner:
    """Build a composition, or one of its controls."""
    with seeded(context.seed):
        return _Assembly(model, spec, context).build()


class _Assembly:
    """The parts of one captioner while it is being built."""

    def __init__(self, model: GenerativeComposition, spec: TaskSpec, context: BuildContext) -> None:
        self.model, self.context = model, context
        self.settings: Settings = settings_to_build(context)
        self.captions = OnDemand(
            lambda: sorted({text for target in spec.training_targets for text in _captions_of(target)})
        )
        self.tower = open_tower(context) if model.sees_images else None

    def build(self) -> GenerativeLearner:
        if self.model.control == "C1":
            return self._capacity_matched()
        if self.model.decoder == "pretrained":
            return self._with_pretrained()
        words = self._words()
        if self.model.decoder == "scratch":
            return self._from_scratch(words, size_of(self.settings))
        assert self.tower is not None
        return self._captioner(LstmDecoder(words, self.tower.width, self.settings.width, self._dropout))

    def _words(self) -> WordVocabulary:
        min_count = self.settings.min_count
        return WordVocabulary(self.context.derived.get("words", lambda: frequent_words(self.captions, min_count)))

    def _with_pretrained(self) -> GenerativeLearner:
        load = self.settings.load
        require_loss_scale(load, self.context.train)
        again = self.model.control == "C2"
        wish = LanguageWish(self.settings.language_layers, self._dropout, again, load, self.context.device)
        source = find_language(self.context.options.language)
        language = load_language(source, self.captions, wish, self.context.derived)
        apply_policy(self.model.policy(self.context.options), language, self.settings)
        return self._captioner(self._decoder(language, self.model.fusion), language)

    def _from_scratch(self, words: WordVocabulary, size: ScratchSize) -> GenerativeLearner:
        language = build_scratch_language(words, size, self._dropout)
        return self._captioner(self._decoder(language, "cross-attention"))

    def _capacity_matched(self) -> GenerativeLearner:
        """Control C1: build the fused model to count its trainable weights, then a decoder of that size."""
        wanted = count_trainable(self._with_pretrained())
        words = self._words()

        def count(size: ScratchSize) -> int:
            with torch.device("meta"):
                return count_trainable(self._from_scratch(words, size))

        return self._from_scratch(words, match_size(wanted, self.settings, count))

    def _decoder(self, language: Language, fusion: str | None) -> LanguageDecoder:
        if fusion is None or self.tower is None:
            return LanguageDecoder(language, None)
        operator = find_operator(fusion)
        if operator.decoder is None:
            raise UsageError(f"The fusion operator '{fusion}' feeds no language model that writes: it has no decoder.")
        shape = DecoderFusionShape(
            visual_width=self.tower.width,
            visual_tokens=self.tower.tokens,
            language_width=language.width,
            blocks=len(language.blocks),
            heads=language.heads,
            dropout=self._dropout,
            settings=self.settings.of_part(operator.settings),
        )
        return LanguageDecoder(language, load_code(operator.decoder)(shape))

    def _captioner(self, decoder: nn.Module, language: Language | None = None) -> GenerativeLearner:
        decode = self.context.decode
        search = Search(decode.max_tokens, decode.beams)
        pretrained = language.pretrained if language else ()
        return GenerativeLearner(self.tower, decoder, search, pretrained, self.settings.option_score)

    @property
    def _dropout(self) -> float:
        return self.context.train.dropout


def _captions_of(target: Target) -> Sequence[str]:
    """True captions of a training image; raises UsageError for a target without any, as choices may have."""
    found: Sequence[str] = getattr(target, "references", ())
    if not found:
        raise UsageError(
            "A model that writes learns from true captions of training images, and this task's targets have no "
            "`references`. Offer them, or take a model that is evaluated as it is."
        )
    return found
