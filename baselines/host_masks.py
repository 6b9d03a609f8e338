"""Selections that the host knows, such as the objects of a target: made there, so that no device is waited for."""

from __future__ import annotations

import torch
from torch import Tensor


def indices_of(mask: Tensor, device: torch.device) -> tuple[Tensor, ...]:
    """Give the indices at which a mask of the host is true, one int64 `[P]` on the device for each dimension.

    A mask on the device selects the same values, but the host waits to learn how many they are.
    """
    return tuple(mask.nonzero().T.contiguous().to(device, non_blocking=True))
