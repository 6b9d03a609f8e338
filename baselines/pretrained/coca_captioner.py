"""Captions with CoCa of open_clip (Yu et al. 2022, arXiv 2205.01917).

open_clip's own `generate` needs generation classes that transformers 5 no longer has (it then stops at
"Please install transformers"), so captions are searched here over the model's public `forward`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from baselines.clip.loading import clip_preprocessing_of, load_open_clip
from baselines.clip.source import OpenClipSource
from baselines.language.decoding import Search, search_captions
from baselines.pretrained.frozen_captioner import FrozenCaptioner
from baselines.pretrained.processor_tower import ProcessorTower
from harness.cell import DecodeOptions
from harness.errors import UsageError
from harness.sample import Batch, Prediction


class ClipVocabulary:
    """CLIP's byte pairs: 49,408 ids, of which the last two begin and end a text; 0 is its padding."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self.size = int(tokenizer.vocab_size)
        self.begin, self.end = int(tokenizer.sot_token_id), int(tokenizer.eot_token_id)
        self.never = (self.begin, 0)

    def encode(self, caption: str) -> tuple[int, ...]:
        """Turn a caption into ids."""
        return tuple(self._tokenizer.encode(caption))

    def decode(self, ids: Sequence[int]) -> str:
        """Turn ids into text without special tokens."""
        pieces = [index for index in ids if index not in (self.begin, self.end, 0)]
        return " ".join(str(self._tokenizer.decode(pieces)).split())


class CocaState:
    """The image's tokens and the ids so far; CoCa has no cache of keys and values."""

    def __init__(self, latent: Tensor, embeddings: Tensor) -> None:
        self.latent, self.embeddings = latent, embeddings
        self.ids = torch.empty((len(latent), 0), dtype=torch.int64, device=latent.device)

    def select(self, rows: Tensor) -> None:
        """Keep these rows, in this order."""
        self.latent, self.embeddings, self.ids = self.latent[rows], self.embeddings[rows], self.ids[rows]


class CocaSteps:
    """CoCa as a decoder that grows one id at a time; `visual` is pixel values `[R, 3, S, S]`."""

    def __init__(self, model: Any, vocabulary: ClipVocabulary) -> None:
        self._model, self.vocabulary = model, vocabulary

    def start(self, visual: Tensor | None) -> CocaState:
        """Encode the image once."""
        assert visual is not None
        encoded = self._model(visual)
        return CocaState(encoded["image_features"], encoded["image_embs"])

    def step(self, tokens: Tensor, state: CocaState) -> Tensor:
        """Read the whole text so far and return the logits of its last place."""
        state.ids = torch.cat([state.ids, tokens[:, None]], dim=1)
        answer = self._model(
            None, state.ids, image_latent=state.latent, image_embs=state.embeddings, output_labels=False
        )
        logits: Tensor = answer["logits"][:, -1]
        return logits


class CocaCaptioner(FrozenCaptioner):
    """Captions of pixel values `[B, 3, S, S]`, each row by itself."""

    def __init__(
        self, model: nn.Module, vision: ProcessorTower, vocabulary: ClipVocabulary, decode: DecodeOptions
    ) -> None:
        super().__init__(model, vision)
        self._vocabulary = vocabulary
        longest = int(model.context_length) - 1  # type: ignore[arg-type]  # one place is the image's
        self._search = Search(min(decode.max_tokens, longest), decode.beams)

    def predict(self, batch: Batch) -> list[Prediction]:
        """Caption a batch."""
        assert batch.visual is not None
        steps = CocaSteps(self.model, self._vocabulary)
        pixels = self.inputs(batch.visual)
        rows = torch.arange(len(batch), device=pixels.device)
        return list(search_captions(steps, pixels, rows, self._search))  # type: ignore[arg-type]


def load_coca(source: OpenClipSource, decode: DecodeOptions, dtype: torch.dtype) -> CocaCaptioner:
    """Load a CoCa; raises WeightsUnavailable, CheckpointError, UsageError for another architecture."""
    import open_clip
    from open_clip.coca_model import CoCa

    loaded = load_open_clip(source, dtype=dtype)
    name = source.architecture or source.repository or source.folder
    if not isinstance(loaded.model, CoCa):
        raise UsageError(f"{name} of open_clip is a {type(loaded.model).__name__}: only CoCa writes text.")
    if not isinstance(loaded.tokenizer, open_clip.SimpleTokenizer):
        raise UsageError(f"{name} has a tokenizer of its own; only CLIP's is supported.")
    vision = ProcessorTower(clip_preprocessing_of(loaded.model), loaded.digest)
    return CocaCaptioner(loaded.model, vision, ClipVocabulary(loaded.tokenizer), decode)
