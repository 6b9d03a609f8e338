"""A pretrained language model of transformers as an encoder of texts, by mean pooling over its tokens.

The built-in one is a sentence encoder that was trained with just this pooling (Reimers & Gurevych 2019,
arXiv 1908.10084).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from baselines.language.pretrained import LanguageWish, configure, load_transformer, quiet
from baselines.language.source import LanguageSource
from baselines.language.text_tokens import TextTokens, stack_tokens
from baselines.load_options import computing_in, require_loss_scale
from baselines.settings import Settings
from baselines.tuning.policy import apply_policy
from baselines.tuning.transformer import Transformer
from harness.errors import CheckpointError, UsageError
from harness.protocols import BuildContext, EmbeddedText

_LONGEST = 64
"""Pieces of a text that are read; class names, remarks and expressions are far shorter."""
_BLOCK = 64


class LanguageEncoder(nn.Module):
    """Texts -> states of their pieces and their mean; a frozen model reads each text once and remembers it."""

    def __init__(self, transformer: Transformer, tokenizer: Any) -> None:
        super().__init__()
        self.model = transformer.model
        self.pretrained = transformer.pretrained
        self.width = transformer.width
        self._dtype = transformer.dtype
        self._tokenizer = tokenizer
        self._remembered: dict[str, tuple[Tensor, Tensor]] = {}
        self._given: Tensor | None = None

    @property
    def frozen(self) -> bool:
        """Whether no weight of it is trained."""
        return not any(parameter.requires_grad for parameter in self.model.parameters())

    def train(self, mode: bool = True) -> LanguageEncoder:
        """Set the mode; a frozen model stays in eval mode, so that dropout does not change what is remembered."""
        super().train(mode and not self.frozen)
        return self

    def forward(self, texts: Sequence[str]) -> TextTokens:
        """Encode texts."""
        if self._given is not None:
            return self._of_vectors(self._given, len(texts))
        if not self.frozen:
            return stack_tokens([row for start in range(0, len(texts), _BLOCK) for row in self._read(texts, start)])
        new = list(dict.fromkeys(text for text in texts if text not in self._remembered))
        device = next(self.model.parameters()).device
        # What is remembered must not depend on who asked first, so never in the reduced precision of a training step.
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            for start in range(0, len(new), _BLOCK):
                block = new[start : start + _BLOCK]
                self._remembered |= zip(block, self._read(new, start), strict=True)
        return stack_tokens([tuple(part.to(device) for part in self._remembered[text]) for text in texts])  # type: ignore[misc]

    def forget(self) -> None:
        """Drop what is remembered."""
        self._remembered.clear()

    def embed(self, text: str) -> EmbeddedText | None:
        """Embed the tokens of a text, with padding in the place of its words; None where that is unknown."""
        if not getattr(self._tokenizer, "is_fast", False):
            return None
        keywords = {"truncation": True, "max_length": _LONGEST, "return_tensors": "pt"}
        encoded = self._tokenizer(text, return_offsets_mapping=True, **keywords)
        words = words_of_tokens(text, encoded["offset_mapping"][0].tolist())
        table = self.model.get_input_embeddings()
        with torch.no_grad():
            vectors = table(encoded["input_ids"][0].to(table.weight.device))
            padding = table(torch.tensor(self._tokenizer.pad_token_id, device=table.weight.device))
        inside = torch.tensor(words, device=vectors.device) >= 0
        return EmbeddedText(vectors, torch.where(inside[:, None], padding, vectors), words)

    @contextmanager
    def reading(self, vectors: Tensor) -> Iterator[None]:
        """Within it, read these tokens `[n, L, d]` in place of n texts; a frozen model records a graph, too."""
        self._given = vectors
        try:
            yield
        finally:
            self._given = None

    def _of_vectors(self, vectors: Tensor, count: int) -> TextTokens:
        if len(vectors) != count:
            raise ValueError(f"{count} texts, and the tokens of {len(vectors)}")
        mask = torch.ones(vectors.shape[:2], dtype=torch.long, device=vectors.device)
        with computing_in(self.model, self._dtype):
            states = self.model(inputs_embeds=vectors, attention_mask=mask).last_hidden_state.float()
        return TextTokens(states, mask.bool(), states.mean(dim=1))

    def _read(self, texts: Sequence[str], start: int) -> list[tuple[Tensor, Tensor]]:
        block = list(texts[start : start + _BLOCK])
        encoded = self._tokenizer(block, padding=True, truncation=True, max_length=_LONGEST, return_tensors="pt")
        device = next(self.model.parameters()).device
        if not encoded["input_ids"].shape[1]:  # empty texts only, and a tokenizer that puts nothing around them
            nothing = torch.zeros(len(block), self.width, device=device)
            return [(vector.new_zeros(0, self.width), vector) for vector in nothing]
        mask = encoded["attention_mask"].to(device, non_blocking=True)
        ids = encoded["input_ids"].to(device, non_blocking=True)
        with computing_in(self.model, self._dtype):
            states = self.model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        pooled = (states * mask[..., None]).sum(dim=1) / mask.sum(dim=1).clamp(min=1)[:, None]
        lengths = encoded["attention_mask"].sum(dim=1).tolist()  # on the host, where it was made
        return [(row[:length], vector) for row, length, vector in zip(states, lengths, pooled, strict=True)]


def words_of_tokens(text: str, offsets: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """The number of the word, by white space, in which each token begins; -1 for one of no characters.

    >>> words_of_tokens("a striped disc", [(0, 0), (0, 1), (2, 7), (7, 9), (10, 14), (0, 0)])
    (-1, 0, 1, 1, 2, -1)
    """
    found = []
    for start, stop in offsets:
        first = next((place for place in range(start, stop) if not text[place].isspace()), None)
        found.append(-1 if first is None else len(text[: first + 1].split()) - 1)
    return tuple(found)


def load_encoder(
    source: LanguageSource, policy: str, settings: Settings, context: BuildContext, *, reinitialised: bool
) -> LanguageEncoder:
    """Load a language model to read texts; `reinitialised` draws its weights at random (control C2).

    Raises UsageError for a model that cannot encode, CheckpointError for weights that do not fit.
    """
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    wish = LanguageWish(settings.text_layers, 0.0, reinitialised, settings.load, context.device)
    with quiet():
        config = configure(AutoConfig.from_pretrained(source.folder, local_files_only=True), source, wish)
        transformer = load_transformer(AutoModel, source, config, wish)
        tokenizer = AutoTokenizer.from_pretrained(source.folder, local_files_only=True)
    if getattr(tokenizer, "pad_token", None) is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token is None:
        raise UsageError(f"--language {source.name}: its tokenizer has no token to pad with. Take another.")
    if len(tokenizer) > transformer.model.get_input_embeddings().weight.shape[0]:
        raise CheckpointError(f"--language {source.name}: its tokenizer has more pieces than it has embeddings.")
    apply_policy(policy, transformer, settings)
    encoder = LanguageEncoder(transformer, tokenizer)
    if not encoder.frozen:
        require_loss_scale(settings.load, context.train)
    return encoder
