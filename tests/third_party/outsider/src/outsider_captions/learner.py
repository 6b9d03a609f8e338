"""The learner: one trained number that moves nothing, so that the training loop has something to do."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn

from harness.protocols import ParameterGroups
from harness.sample import Batch


class Unpicklable(Exception):
    """Neither says what it is nor can be sent to another process."""

    def __str__(self) -> str:
        raise RuntimeError("no words")

    def __reduce__(self) -> str:
        raise RuntimeError("no pickle")


class ConstantCaption(nn.Module):
    """Answers with one caption; `fault` plants what can go wrong in a plugin.

    Several faults with semicolons between are those of seed 0, 1, ….
    """

    loss_is_mean_over_samples = True

    def __init__(self, targets: Sequence[Any], fault: str) -> None:
        super().__init__()
        self.vision = None
        self.vision_frozen = True
        self.fault = fault
        counts = Counter(reference for target in targets for reference in target.references)
        self.answer = min(counts, key=lambda caption: (-counts[caption], caption))
        self.scale = nn.Parameter(torch.ones(2, 2))

    def loss(self, batch: Batch, generator: Generator) -> Tensor:
        """Pull the number to zero; or fail as planted."""
        if self.fault == "nan":
            return (self.scale * float("nan")).sum()
        if self.fault == "raise":
            raise ValueError("planted")
        if self.fault == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.fault == "slow":
            time.sleep(0.5)
        if self.fault.startswith("memory") and len(batch) > int(self.fault.partition(":")[2]):
            raise torch.OutOfMemoryError("planted: out of memory")
        return (self.scale**2).mean()

    def predict(self, batch: Batch) -> list[Any]:
        """Answer each image alike; or fail as planted."""
        if self.fault == "hang":
            while True:
                time.sleep(0.1)
        if self.fault == "not-finite":
            return [self.answer] * (len(batch) - 1) + [[0.5, float("nan")]]
        if self.fault == "objects":
            return [{self.answer}] * len(batch)
        if self.fault == "unprintable":
            raise ValueError("half a character \ud800, an escape \x1b[2J and " + "x" * 1_000_000)
        if self.fault == "no-pickle":
            raise Unpicklable
        if self.fault == "loud":
            print("noise from Python", flush=True)
            os.write(1, b"noise from elsewhere")
        if self.fault.startswith("predict-memory") and len(batch) > int(self.fault.partition(":")[2]):
            raise torch.OutOfMemoryError("planted: out of memory")
        return [self.answer] * len(batch)

    def parameter_groups(self) -> ParameterGroups:
        """One new parameter."""
        return ParameterGroups(language=(), vision=(), new=[("scale", self.scale)])
