"""Puts a captioning model together: tower, decoder, fusion, tuning; always the same weights for a seed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from baselines.capacity import match_size
from baselines.captioner import Captioner
from baselines.decoding import Search
from baselines.fusion import build_fusion
from baselines.fusion.operator import FusionShape
from baselines.heads.language_decoder import LanguageDecoder
from baselines.heads.lstm_decoder import LstmDecoder
from baselines.language import Language, LanguageWish, load_language
from baselines.language_source import find_language
from baselines.scratch_language import ScratchSize, build_scratch_language, size_of
from baselines.settings import Settings, read_settings
from baselines.tuning import find_policy
from baselines.vision import TimmTower, build_tower
from baselines.vision_source import find_vision
from baselines.vocabulary import WordVocabulary
from harness.cell import ModelOptions
from harness.protocols import BuildContext
from harness.sample import TaskSpec

if TYPE_CHECKING:
    from baselines.captioning_model import CaptioningModel


def build_captioner(model: CaptioningModel, spec: TaskSpec, context: BuildContext) -> Captioner:
    """Build a composition, or one of its controls."""
    with seeded(context.seed):
        return _Assembly(model, spec, context).build()


class _Assembly:
    """The parts of one captioner while it is being built."""

    def __init__(self, model: CaptioningModel, spec: TaskSpec, context: BuildContext) -> None:
        self.model, self.context = model, context
        self.settings: Settings = read_settings(context.options.settings)
        self.captions = sorted({text for target in spec.training_targets for text in target.references})
        self.tower = open_tower(context) if model.sees_images else None

    def build(self) -> Captioner:
        if self.model.control == "C1":
            return self._capacity_matched()
        if self.model.decoder == "pretrained":
            return self._with_pretrained()
        words = WordVocabulary(self.captions, self.settings.min_count)
        if self.model.decoder == "scratch":
            return self._from_scratch(words, size_of(self.settings))
        assert self.tower is not None
        return self._captioner(LstmDecoder(words, self.tower.width, self.settings.width, self._dropout))

    def _with_pretrained(self) -> Captioner:
        wish = LanguageWish(self.settings.language_layers, self._dropout, self.model.control == "C2")
        language = load_language(find_language(self.context.options.language), self.captions, wish)
        find_policy(self.model.policy(self.context.options))(language, self.settings)
        return self._captioner(self._decoder(language, self.model.fusion), language)

    def _from_scratch(self, words: WordVocabulary, size: ScratchSize) -> Captioner:
        language = build_scratch_language(words, size, self._dropout)
        return self._captioner(self._decoder(language, "cross-attention"))

    def _capacity_matched(self) -> Captioner:
        """Control C1: build the fused model to count its trainable weights, then a decoder of that size."""
        wanted = count_trainable(self._with_pretrained())
        words = WordVocabulary(self.captions, self.settings.min_count)

        def count(size: ScratchSize) -> int:
            with torch.device("meta"):
                return count_trainable(self._from_scratch(words, size))

        return self._from_scratch(words, match_size(wanted, self.settings, count))

    def _decoder(self, language: Language, fusion: str | None) -> LanguageDecoder:
        if fusion is None or self.tower is None:
            return LanguageDecoder(language, None)
        shape = FusionShape(
            visual_width=self.tower.width,
            visual_tokens=self.tower.tokens,
            language_width=language.width,
            blocks=len(language.blocks),
            heads=language.heads,
            dropout=self._dropout,
            settings=self.settings,
        )
        return LanguageDecoder(language, build_fusion(fusion, shape))

    def _captioner(self, decoder: nn.Module, language: Language | None = None) -> Captioner:
        decode = self.context.decode
        search = Search(decode.max_tokens, decode.beams)
        return Captioner(self.tower, decoder, search, language.pretrained if language else ())

    @property
    def _dropout(self) -> float:
        return self.context.train.dropout


def open_tower(context: BuildContext) -> TimmTower:
    """Build the run's tower, frozen unless `model.vision_tune` says otherwise."""
    options: ModelOptions = context.options
    settings = read_settings(options.settings)
    tower = build_tower(find_vision(options), stage=settings.vision_stage, prerequisite=context.prerequisite)
    if settings.vision_tune == "frozen":
        tower.freeze()
    return tower


def count_trainable(module: nn.Module) -> int:
    """Count the weights that training moves."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


@contextmanager
def seeded(seed: int) -> Iterator[Any]:
    """Draw from a seed, and leave torch's own generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
