"""The learner of every captioning model that is trained by gradient: tower, decoder, cross-entropy.

Where samples have choices it scores each by its log-likelihood as a caption of the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from baselines.host_masks import indices_of
from baselines.language.decoding import Search, search_captions
from baselines.tuning.parameter_groups import group_parameters
from baselines.vision.timm_tower import TimmTower
from harness.protocols import LossPart, ParameterGroups
from harness.sample import Batch

_IGNORED = -100


class GenerativeLearner(nn.Module):
    """Teacher forcing in training, greedy or beam search in prediction."""

    loss_has_parts = True

    def __init__(
        self,
        vision: TimmTower | None,
        decoder: Any,
        search: Search,
        pretrained: Sequence[nn.Parameter] = (),
        option_score: str = "sum",
    ) -> None:
        super().__init__()
        self.vision = vision
        self.vision_frozen = vision is not None and not any(p.requires_grad for p in vision.parameters())
        self.decoder = decoder
        self.search = search
        self._pretrained = tuple(pretrained)
        self._option_score = option_score

    def loss(self, batch: Batch, generator: Generator) -> Tensor:
        """Mean cross-entropy over the words of one reference an image, drawn anew at each step."""
        return F.cross_entropy(*self._words(batch, generator))

    def loss_parts(self, batch: Batch, generator: Generator) -> Sequence[LossPart]:
        """Cross-entropy summed over words, and their number."""
        logits, wanted = self._words(batch, generator)
        return (LossPart(F.cross_entropy(logits, wanted, reduction="sum"), len(wanted)),)

    def _words(self, batch: Batch, generator: Generator) -> tuple[Tensor, Tensor]:
        """Logits `[W, V]` of all words of one reference an image, and these words."""
        assert batch.targets is not None
        logits, labels = self._logits(batch, [_pick(target.references, generator) for target in batch.targets])
        is_word = labels != _IGNORED
        wanted = labels[is_word].to(logits.device, non_blocking=True)
        return logits[indices_of(is_word, logits.device)].float(), wanted

    def losses(self, batch: Batch) -> Tensor:
        """Mean cross-entropy over the words of each image's first reference `[B]`."""
        assert batch.targets is not None
        logits, labels = self._logits(batch, [target.references[0] for target in batch.targets])
        labels = labels.to(logits.device, non_blocking=True)
        words = F.cross_entropy(logits.float().transpose(1, 2), labels, ignore_index=_IGNORED, reduction="none")
        return words.sum(dim=1) / (labels != _IGNORED).sum(dim=1)

    @torch.no_grad()
    def predict(self, batch: Batch) -> list[Any]:
        """Caption each image, or score its choices; expects eval mode."""
        if any(batch.choices):
            return self._score_choices(batch)
        device = next(self.decoder.parameters()).device
        rows = torch.zeros(len(batch), dtype=torch.int64, device=device)
        return search_captions(self.decoder, batch.visual, rows, self.search)

    def parameter_groups(self) -> ParameterGroups:
        """Group trainable parameters by origin."""
        return group_parameters(self, self._pretrained)

    def _score_choices(self, batch: Batch) -> list[list[float]]:
        """Log-likelihood of each choice with its end, as many texts at once as there are images in the batch."""
        texts = [text for own in batch.choices for text in own]
        images = [row for row, own in enumerate(batch.choices) for _ in own]
        scores: list[float] = []
        for start in range(0, len(texts), len(batch)):
            part = slice(start, start + len(batch))
            scores += self._likelihoods(batch, images[part], texts[part]).tolist()
        found = iter(scores)
        return [[next(found) for _ in own] for own in batch.choices]

    def _likelihoods(self, batch: Batch, images: Sequence[int], texts: Sequence[str]) -> Tensor:
        """[N] the log-likelihood of texts, each as a caption of an image of the batch."""
        inputs, labels = self._pad([(*self.decoder.vocabulary.encode(t), self.decoder.vocabulary.end) for t in texts])
        device = next(self.decoder.parameters()).device
        visual = None if batch.visual is None else batch.visual[list(images)]
        logits, wanted = self.decoder(visual, inputs.to(device)).float(), labels.to(device)
        surprise = F.cross_entropy(logits.transpose(1, 2), wanted, ignore_index=_IGNORED, reduction="none").sum(dim=1)
        return -surprise / (wanted != _IGNORED).sum(dim=1) if self._option_score == "mean" else -surprise

    def _logits(self, batch: Batch, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Logits `[B, T, V]` and the words that were wanted `[B, T]`, these on the host."""
        inputs, labels = self._pad([self._encode(caption) for caption in captions])
        device = next(self.decoder.parameters()).device
        return self.decoder(batch.visual, inputs.to(device, non_blocking=True)), labels

    def _encode(self, caption: str) -> tuple[int, ...]:
        """Turn a caption into ids; one that is too long is cut and has no end."""
        ids = (*self.decoder.vocabulary.encode(caption), self.decoder.vocabulary.end)
        return ids[: self.search.max_tokens]

    def _pad(self, captions: Sequence[tuple[int, ...]]) -> tuple[Tensor, Tensor]:
        """Make inputs and labels `[B, T]`, T the longest caption of the batch."""
        longest = max(len(caption) for caption in captions)
        vocabulary = self.decoder.vocabulary
        inputs = torch.full((len(captions), longest), vocabulary.end)
        labels = torch.full((len(captions), longest), _IGNORED)
        inputs[:, 0] = vocabulary.begin
        for row, caption in enumerate(captions):
            ids = torch.tensor(caption)
            inputs[row, 1 : len(caption)] = ids[:-1]
            labels[row, : len(caption)] = ids
        return inputs, labels


def _pick(references: Sequence[str], generator: Generator) -> str:
    return references[int(torch.randint(len(references), (1,), generator=generator))]
