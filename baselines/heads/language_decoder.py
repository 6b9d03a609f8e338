"""A language model that captions: the fusion operator feeds it, no block of it is changed.

Fusion layers are run by forward pre-hooks of the blocks, so the language model keeps its own names and
any model of transformers can take them.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from baselines.fusion.decoder_fusion import DecoderFusion, Fused
from baselines.language.pretrained import Language
from baselines.load_options import computing_in


class LanguageState:
    """Keys and values of the language model's own past, and what the operator made of the image."""

    def __init__(self, cache: Any, fused: Fused) -> None:
        self.cache = cache
        self.fused = fused

    def select(self, rows: Tensor) -> None:
        """Keep these rows, in this order."""
        self.cache.reorder_cache(rows)
        self.fused = self.fused.select(rows)


class LanguageDecoder(nn.Module):
    """Next-word logits from visual tokens and the words so far."""

    def __init__(self, language: Language, fusion: DecoderFusion | None) -> None:
        super().__init__()
        self.language = language.model
        self._dtype = language.dtype
        self.fusion = fusion
        self.vocabulary = language.vocabulary
        self._fused = Fused()
        self._keeps_logits = "logits_to_keep" in inspect.signature(language.model.forward).parameters
        for index, block in enumerate(language.blocks):
            if fusion is not None and fusion.reads_before(index):
                block.register_forward_pre_hook(partial(self._before_block, index), with_kwargs=True)

    def forward(self, visual: Tensor | None, tokens: Tensor) -> Tensor:
        """Return logits `[B, T, size]` after each of the ids `[B, T]`.

        Padding on the right needs no mask: a causal model never looks there from a real word.
        """
        fused = self._fuse(visual)
        embedded = self._embed(tokens, fused.prefix)
        with self._reading(fused), computing_in(self.language, self._dtype):
            logits = self.language(inputs_embeds=embedded, use_cache=False, **self._keep(tokens.shape[1])).logits
        kept: Tensor = logits[:, -tokens.shape[1] :]
        return kept

    def start(self, visual: Tensor | None) -> LanguageState:
        """Begin to decode: the image is read once."""
        from transformers import DynamicCache

        return LanguageState(DynamicCache(config=self.language.config), self._fuse(visual))

    def step(self, tokens: Tensor, state: LanguageState) -> Tensor:
        """Read one id a row `[R]`, return the logits `[R, size]` of the next."""
        is_first = state.cache.get_seq_length() == 0
        embedded = self._embed(tokens[:, None], state.fused.prefix if is_first else None)
        with self._reading(state.fused), computing_in(self.language, self._dtype):
            logits = self.language(
                inputs_embeds=embedded, past_key_values=state.cache, use_cache=True, **self._keep(1)
            ).logits
        last: Tensor = logits[:, -1]
        return last

    def _fuse(self, visual: Tensor | None) -> Fused:
        if self.fusion is None or visual is None:
            return Fused()
        fused: Fused = self.fusion(visual)
        return fused

    def _embed(self, tokens: Tensor, prefix: Tensor | None) -> Tensor:
        embedded: Tensor = self.language.get_input_embeddings()(tokens)
        return embedded if prefix is None else torch.cat([prefix.to(embedded.dtype), embedded], dim=1)

    def _keep(self, count: int) -> dict[str, int]:
        return {"logits_to_keep": count} if self._keeps_logits else {}

    @contextmanager
    def _reading(self, fused: Fused) -> Iterator[None]:
        """Let the hooks see what the operator made of these images."""
        self._fused = fused
        try:
            yield
        finally:
            self._fused = Fused()

    def _before_block(
        self, index: int, block: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        memory = self._fused.memory[index] if self._fused.memory else None
        if memory is None or self.fusion is None:
            return arguments, keywords
        if arguments:
            return (self.fusion.read(index, arguments[0], memory), *arguments[1:]), keywords
        hidden = self.fusion.read(index, keywords["hidden_states"], memory)
        return arguments, {**keywords, "hidden_states": hidden}
