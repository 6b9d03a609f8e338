"""Scales losses for gradients in fp16, where the least of them would be lost.

Micikevicius et al. 2017, arXiv 1710.03740.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class LossScale:
    """A scale that is halved when gradients overflow, and doubled again by torch; in other precisions it is 1.

    It begins at 65536, at which each gradient above 1 overflows in fp16: `is_found` says whether a step has been made
    since, so that a training of few steps can make those again that only looked for the scale.
    """

    def __init__(self, device: str, precision: str) -> None:
        self._scaler = torch.amp.GradScaler(device.partition(":")[0], enabled=precision == "fp16")
        self.is_found = precision != "fp16"

    def backward(self, loss: Tensor) -> None:
        """Add the scaled gradients of a loss."""
        self._scaler.scale(loss).backward()

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """Make the gradients those of the loss itself."""
        self._scaler.unscale_(optimizer)

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """Move the weights."""
        self._scaler.step(optimizer)
        self._scaler.update()
        self.is_found = True

    def halve(self) -> float | None:
        """Take half the scale, as gradients overflow; returns the scale from here, None where none is left to halve."""
        scale = self._scaler.get_scale() / 2
        if not self._scaler.is_enabled() or scale < 1:
            return None
        self._scaler.update(scale)
        return scale

    def state_dict(self) -> dict[str, Any]:
        """What it knows after a step."""
        return {"scaler": self._scaler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from such a state."""
        self._scaler.load_state_dict(state["scaler"])
        self.is_found = True
