"""Finds the decoder from scratch that has as many trainable weights as a fused model (control C1)."""

from __future__ import annotations

from collections.abc import Callable

from baselines.language.scratch import ScratchSize
from baselines.settings import Settings
from harness.errors import UsageError

TOLERANCE = 0.02
_WIDEST = 4096
_EXPANSION = 4


def match_size(wanted: int, settings: Settings, count: Callable[[ScratchSize], int]) -> ScratchSize:
    """Choose width and inner width so that `count` comes within 2 % of `wanted`.

    The width is the largest whose decoder with the usual inner width (four times as wide) is not too
    large; the inner width, in which the count is linear, takes up the rest. Raises UsageError when even
    the narrowest decoder is too large.
    """
    narrowest = settings.heads
    low, high = 1, _WIDEST // narrowest  # in units of one channel a head
    if count(_sized(narrowest, settings, 1)) > wanted * (1 + TOLERANCE):
        raise UsageError(
            f"Control C1: the fused model has {wanted} trainable weights, fewer than the smallest decoder. "
            "Take fewer model.layers or a larger model.min_count."
        )
    while low < high:
        middle = (low + high + 1) // 2
        width = middle * narrowest
        low, high = (middle, high) if count(_sized(width, settings)) <= wanted else (low, middle - 1)
    width = low * narrowest
    base, more = count(_sized(width, settings, 1)), count(_sized(width, settings, 2))
    size = _sized(width, settings, max(1, 1 + round((wanted - base) / (more - base))))
    reached = count(size)
    if abs(reached - wanted) > TOLERANCE * wanted:
        raise UsageError(f"Control C1: {reached} trainable weights were reached, wanted {wanted}. Change model.layers.")
    return size


def _sized(width: int, settings: Settings, ffn: int = 0) -> ScratchSize:
    return ScratchSize(settings.layers, width, ffn or _EXPANSION * width, settings.heads)
