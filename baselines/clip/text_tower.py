"""The text side of an open_clip model: texts to embeddings of unit length, without computing the padding.

open_clip pads every prompt to its context (77 tokens) and computes all of it, at 7 to 8 times the cost. Here a batch
is cut to its longest prompt wherever that gives the same numbers:

- a causal tower that pools at the end token never sees what stands behind it;
- CoCa's adds a class token behind the padding, whose place and mask are kept;
- a tower of transformers masks its padding.

The bidirectional ones (SigLIP, MobileCLIP, CLIPA) attend to padding as to any token: they are not cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

_BLOCK = 256


class TextTower(nn.Module):
    """Frozen; `model` is an open_clip model without its image side."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        super().__init__()
        self.model = model
        self._tokenizer = tokenizer
        self.requires_grad_(False)
        self.eval()

    @property
    def inner(self) -> Any:
        """The module with the text weights: the model itself in a plain CLIP, a part of it in all others."""
        return getattr(self.model, "text", self.model)

    @property
    def embedding(self) -> nn.Module:
        """The table of token embeddings."""
        of_transformers = getattr(self.inner.transformer, "get_input_embeddings", None)
        table: nn.Module = of_transformers() if of_transformers else self.inner.token_embedding
        return table

    def train(self, mode: bool = True) -> TextTower:
        """Stay in eval mode: dropout would move embeddings that are not trained."""
        return super().train(False)

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """Turn texts into ids `[N, context]`, padded."""
        ids: Tensor = self._tokenizer(list(texts))
        return ids

    def forward(self, ids: Tensor) -> Tensor:
        """Embed padded ids `[N, context]`; returns `[N, d]` of unit length."""
        length = self._longest(ids)
        overrides = {} if length is None else self._cut(length)
        inner, kept = self.inner, ids if length is None else ids[:, :length]
        if inner is self.model:
            answer = functional_call(inner, overrides, (None, kept))
            features = answer["text_features"] if isinstance(answer, dict) else answer[1]
        else:
            answer = functional_call(inner, overrides, (kept,))
            features = answer[0] if isinstance(answer, tuple) else answer
        return F.normalize(features.float(), dim=-1)

    @torch.no_grad()
    def embed(self, texts: Sequence[str]) -> Tensor:
        """Embed texts `[N, d]`, in blocks; each by itself, so that the blocks do not matter."""
        device = next(self.parameters()).device
        blocks = [texts[start : start + _BLOCK] for start in range(0, len(texts), _BLOCK)]
        return torch.cat([self(self.tokenize(block).to(device)) for block in blocks])

    @contextmanager
    def replacing(self, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
        """Let `change` have the token embeddings `[N, L, width]` before the tower reads them."""
        handle = self.embedding.register_forward_hook(lambda module, arguments, output: change(output))
        try:
            yield
        finally:
            handle.remove()

    def _longest(self, ids: Tensor) -> int | None:
        """How many tokens of a batch can move its embeddings; None for all of them."""
        inner, context = self.inner, ids.shape[1]
        config = getattr(inner, "config", None)
        if config is not None:
            return _last(ids != config.pad_token_id) + 1
        if inner.attn_mask is None:
            return None
        if getattr(inner, "cls_emb", None) is not None:
            return min(context, _last(ids != inner.pad_id) + 2)  # its mask, shifted by one, needs one padding
        pool = inner.text_pool_type if inner is self.model else inner.pool_type
        if pool == "argmax":
            return int(ids.argmax(dim=1).max()) + 1
        if pool == "eos":
            end = inner.text_eos_id if inner is self.model else inner.eos_id
            return int((ids == end).int().argmax(dim=1).max()) + 1
        return None

    def _cut(self, length: int) -> dict[str, Tensor]:
        """Tensors that stand in for the tower's own at this length."""
        inner = self.inner
        if getattr(inner, "config", None) is not None:
            return {}
        places = inner.positional_embedding
        if getattr(inner, "cls_emb", None) is not None:
            return {"positional_embedding": torch.cat([places[:length], places[-1:]])}
        return {"positional_embedding": places[:length], "attn_mask": inner.attn_mask[:length, :length]}


def _last(is_token: Tensor) -> int:
    """The last column in which any row has a token; 0 where none has."""
    columns = is_token.any(dim=0).nonzero()
    return int(columns.max()) if len(columns) else 0
