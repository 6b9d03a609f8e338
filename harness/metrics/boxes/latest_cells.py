"""Cells that metrics have in common: each a category at an IoU threshold, of resamples or without single samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.metrics.boxes.drawn_precision import DrawnPrecision, Draws
from harness.metrics.boxes.interpolation import CutRankings
from harness.metrics.boxes.left_out import LeftOut
from harness.metrics.boxes.matching import Ranking
from harness.stats.resampling import IntArray


@dataclass
class LatestCells:
    """What was asked for last, of each range of area.

    Metrics are scored on one block of resamples after another (`harness.stats.intervals.scored_blocks`), some on
    its beginning only; such a beginning is served from the whole block.
    """

    _cut: dict[str, CutRankings] = field(default_factory=dict)
    _draws: Draws | None = None
    _drawn: dict[str, DrawnPrecision] = field(default_factory=dict)
    _left_out: dict[str, LeftOut] = field(default_factory=dict)

    def of(self, rankings: Sequence[Ranking], area: str, counts: IntArray) -> DrawnPrecision:
        """The cells of these multiplicities [R, N], or of a block that begins with them."""
        if self._draws is None or not self._draws.begin_with(counts):
            self._draws, self._drawn = Draws(counts), {}
        if area not in self._drawn:
            self._drawn[area] = DrawnPrecision(self._rankings(rankings, area), self._draws)
        return self._drawn[area]

    def without(self, rankings: Sequence[Ranking], area: str, samples: IntArray) -> LeftOut:
        """The cells without each of these samples [G] in turn."""
        if area not in self._left_out or not np.array_equal(self._left_out[area].samples, samples):
            self._left_out[area] = LeftOut(self._rankings(rankings, area), samples)
        return self._left_out[area]

    def _rankings(self, rankings: Sequence[Ranking], area: str) -> CutRankings:
        if area not in self._cut:
            self._cut[area] = CutRankings(rankings)
        return self._cut[area]
