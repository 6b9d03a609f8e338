"""The loss of a batch that several processes share: each divides its totals by what all of them have counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from harness.errors import OutOfMemory
from harness.jobs.data_parallel import is_mean
from harness.measure.out_of_memory import is_out_of_memory
from harness.protocols import Learner, LossPart

if TYPE_CHECKING:
    from torch import Tensor

_MOST_PARTS = 8
"""So many parts a loss has at most (`harness.protocols.HasLossParts`)."""

Made = TypeVar("Made")


def counts_of(parts: Sequence[LossPart]) -> list[float]:
    """Count for all processes alike: of a share without samples, or without memory, zeros."""
    return [part.count for part in parts] + [0.0] * (_MOST_PARTS - len(parts))


def share_of_loss(parts: Sequence[LossPart], counts: Sequence[float]) -> Tensor:
    """Divide the totals of one process by the counts of all; there is at least one part."""
    first, *others = (part.total / (count or 1) for part, count in zip(parts, counts, strict=False))
    return sum(others, first)


def unless_memory_runs_out(work: Callable[[], Made], otherwise: Made) -> tuple[Made, Exception | None]:
    """Give what `work` makes, or what is given otherwise and how memory ran out."""
    try:
        return work(), None
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return otherwise, error


def require_parts(learner: Learner, what: str, accumulation: int) -> None:
    """Raise OutOfMemory unless smaller batches, added up, are the same training as the whole batch."""
    if is_mean(learner):
        return
    raise OutOfMemory(
        f"{what}, and the loss of {type(learner).__name__} is no mean over samples: in smaller parts it would be "
        f"another training. Take --set train.accumulation={4 * accumulation}, which has rows of its own, a smaller "
        "train.batch_size, or a smaller model or image."
    )
