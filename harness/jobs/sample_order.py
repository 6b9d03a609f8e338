"""In which order a training visits its samples, and how it takes that up again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch


@dataclass
class SampleOrder:
    """Batches of shuffled indices for `steps` steps; each epoch visits every one of `count` samples once.

    `queue` holds what was drawn and not used when `done` steps were done: with both, and the generator where it stood,
    the order goes on as it would have.
    """

    count: int
    batch_size: int
    steps: int
    generator: torch.Generator
    queue: list[int] = field(default_factory=list)
    done: int = 0

    def groups(self) -> Iterator[list[list[int]]]:
        """Yield batches in groups, of as many as are known before the generator must be drawn from again.

        It serves the losses too, so that the next epoch's order can only be drawn when the steps before it are done.
        """
        while self.done < self.steps:
            while len(self.queue) < self.batch:
                self.queue = self.queue + torch.randperm(self.count, generator=self.generator).tolist()
            known = min(self.steps - self.done, max(1, len(self.queue) // self.batch_size))
            end = known * self.batch_size
            yield [self.queue[start : start + self.batch_size] for start in range(0, end, self.batch_size)]
            self.queue = self.queue[end:]
            self.done += known

    def left_after(self, step: int) -> list[int]:
        """Give what was drawn and is not used after a step of the group that was yielded last."""
        return self.queue[(step - self.done) * self.batch_size :]

    def visits(self) -> Counter[int]:
        """Count how often each sample was visited in the steps that are done."""
        epochs, begun = divmod(self.done * self.batch, self.count)
        awaited = self.queue[: self.count - begun] if begun else range(self.count)
        return Counter(dict.fromkeys(range(self.count), epochs + 1)) - Counter(awaited)

    @property
    def batch(self) -> int:
        """How many samples a step takes: the batch size, or all where there are fewer."""
        return min(self.batch_size, self.count)
