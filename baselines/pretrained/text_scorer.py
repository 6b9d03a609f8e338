"""Scores texts by a causal language model: the log-likelihood of their pieces, each text by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn

from baselines.pretrained.transformers_loading import Loading, load_network, load_tokenizer
from harness.errors import CheckpointError, UsageError
from harness.protocols import BuildContext, ParameterGroups
from harness.sample import Batch, TaskSpec


class TextLikelihood(nn.Module):
    """Gives each choice of a sample its log-likelihood; images are not looked at."""

    vision = None
    vision_frozen = False

    def __init__(self, model: nn.Module, tokenizer: Any, begin: int, *, mean: bool) -> None:
        super().__init__()
        self.model = model.eval().requires_grad_(False)
        self._tokenizer, self._begin, self._mean = tokenizer, begin, mean

    def loss(self, batch: Batch, generator: Generator) -> Tensor:
        """Refuse to be trained."""
        raise UsageError("A language model that scores texts is evaluated as it is and cannot be trained here.")

    def parameter_groups(self) -> ParameterGroups:
        """Name nothing: nothing is trained."""
        return ParameterGroups((), (), ())

    @torch.no_grad()
    def predict(self, batch: Batch) -> list[list[float]]:
        """Return a log-likelihood for each text of each sample; a text without any piece gets 0."""
        return [[self._score(text) for text in texts] for texts in batch.choices]

    def _score(self, text: str) -> float:
        pieces = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        if not pieces:
            return 0.0
        device = next(self.model.parameters()).device
        ids = torch.tensor([[self._begin, *pieces]], device=device)
        logits = self.model(input_ids=ids, use_cache=False).logits[0, :-1].float()
        found = logits.log_softmax(dim=-1).gather(1, ids[0, 1:, None]).sum()
        return float(found) / (len(pieces) if self._mean else 1)


def load_text_scorer(folder: Path, digest: str, spec: TaskSpec, context: BuildContext) -> TextLikelihood:
    """Load a causal language model; raises CheckpointError for a folder that holds none, or no first piece."""
    model = load_network(Loading(folder, digest, "AutoModelForCausalLM", spec, context))
    tokenizer = load_tokenizer(folder)
    begin = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    if begin is None:
        raise CheckpointError(f"{folder}: its tokenizer has neither a first nor a last piece, so texts have no start.")
    return TextLikelihood(model, tokenizer, int(begin), mean=context.options.settings.get("option_score") == "mean")
