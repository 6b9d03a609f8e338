"""How far the answers of a variant are from those of the model that it was made of, on the same samples."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from harness.answers import answered_class
from harness.inputs.visual_tokens import VisualTokens
from harness.protocols import HasSampleLosses, Learner

_ALLOWED_DIFFERENCE = 1e-2
"""Of numbers that only rounding may move, relative to the largest of the parent's (or 1)."""
_ALLOWED_FLIPS = 0.01


@dataclass(frozen=True)
class Observed:
    """What a learner answered of some samples, and the numbers behind: of what kind, `[N, ...]` in order of samples."""

    answers: Sequence[Any]
    numbers: torch.Tensor | None
    kind: str


@dataclass(frozen=True)
class Parity:
    """What two models differ by: the largest absolute difference of a number, and the share of decisions that changed.

    `numbers` says which they are; `largest` is the parent's largest one, to which rounding is relative. `difference` is
    None where nothing could be compared, infinite where a number of the variant is not finite.
    """

    samples: int
    numbers: str
    difference: float | None
    largest: float | None
    flipped: int

    @property
    def flipped_share(self) -> float:
        """The share of samples that are decided otherwise, 0..1."""
        return self.flipped / self.samples if self.samples else 0.0

    def objection(self, *, exact: bool) -> str | None:
        """Say why no number of the variant may count; None where they may.

        Of any variant numbers must be finite. Of an `exact` one nothing but rounding may have changed.
        """
        if self.difference is not None and not math.isfinite(self.difference):
            return f"its {self.numbers} are not finite"
        if not exact:
            return None
        limit = _ALLOWED_DIFFERENCE * max(1.0, self.largest or 0.0)
        allowed = max(1, math.floor(_ALLOWED_FLIPS * self.samples))
        if self.difference is not None and self.difference > limit:
            return (
                f"its {self.numbers} differ from the parent's by up to {self.difference:.3g}, allowed are {limit:.3g}"
            )
        if self.flipped > allowed:
            return f"it decides {self.flipped} of {self.samples} samples otherwise, allowed are {allowed}"
        return None

    def to_json(self) -> dict[str, Any]:
        """Turn into plain JSON types, as stored beside a record's numbers."""
        found = {"samples": self.samples, "numbers": self.numbers, "largest_difference": self.difference}
        return found | {"largest_of_parent": self.largest, "flipped": self.flipped, "flipped_share": self.flipped_share}


def observe(learner: Learner, tokens: VisualTokens, batch_size: int) -> Observed:
    """Have a learner answer all samples; what its own call returns are the logits, else losses stand for them."""
    answers: list[Any] = []
    logits: list[torch.Tensor] = []
    losses: list[torch.Tensor] = []
    module: Any = learner
    hook = module.register_forward_hook(lambda _, __, output: logits.append(_flat(output)))
    try:
        for start in range(0, len(tokens), batch_size):
            indices = list(range(start, min(start + batch_size, len(tokens))))
            batch = tokens.batch(indices, with_targets=True)
            with torch.inference_mode():
                before = len(logits)
                answers += learner.predict(batch)
                if len(logits) == before and isinstance(learner, HasSampleLosses):
                    losses.append(learner.losses(batch).float().cpu())
    finally:
        hook.remove()
    if logits and all(each.numel() for each in logits):
        return Observed(answers, torch.cat([each.flatten() for each in logits]), "logits")
    if losses:
        return Observed(answers, torch.cat(losses), "losses of the first reference")
    numbers = [number for answer in answers for number in _numbers(answer)]
    return Observed(answers, torch.tensor(numbers, dtype=torch.float64) if numbers else None, "answers")


def parity_of(parent: Observed, variant: Observed) -> Parity:
    """Compare two models' answers to the same samples."""
    pairs = list(zip(parent.answers, variant.answers, strict=True))
    flipped = sum(decision(one) != decision(other) for one, other in pairs)
    one, other = parent.numbers, variant.numbers
    if one is None or other is None or one.shape != other.shape or parent.kind != variant.kind:
        return Parity(len(pairs), parent.kind, None, None, flipped)
    known = torch.isfinite(one)
    difference = float((one[known] - other[known]).abs().max()) if known.any() else 0.0
    if math.isnan(difference) or not torch.isfinite(other[known]).all():
        difference = math.inf
    largest = float(one[known].abs().max()) if known.any() else 0.0
    return Parity(len(pairs), parent.kind, difference, largest, flipped)


def decision(answer: Any) -> Any:
    """What an answer decides: the class of probabilities, the text, the packed map; of boxes the classes in order."""
    answer = answer.tolist() if hasattr(answer, "tolist") else answer
    if isinstance(answer, Mapping):
        return tuple(sorted((key, str(value)) for key, value in answer.items()))
    if isinstance(answer, list | tuple):
        if not answer:
            return ()
        if all(isinstance(entry, list | tuple) for entry in answer):
            return tuple(entry[0] for entry in answer)
        if not any(isinstance(entry, str) for entry in answer):
            return answered_class(list(answer))
    return answer


def _flat(output: Any) -> torch.Tensor:
    found = [tensor.float().cpu().flatten() for tensor in _tensors(output)]
    return torch.cat(found) if found else torch.zeros(0)


def _tensors(output: Any) -> Iterator[torch.Tensor]:
    if isinstance(output, torch.Tensor):
        if output.is_floating_point():
            yield output.detach()
    elif isinstance(output, Mapping):
        for value in output.values():
            yield from _tensors(value)
    elif isinstance(output, list | tuple):
        for value in output:
            yield from _tensors(value)


def _numbers(answer: Any) -> Iterator[float]:
    answer = answer.tolist() if hasattr(answer, "tolist") else answer
    if isinstance(answer, bool | str):
        return
    if isinstance(answer, int | float):
        yield float(answer)
    elif isinstance(answer, list | tuple):
        for entry in answer:
            yield from _numbers(entry)
