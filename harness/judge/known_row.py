"""What a row's samples tell: found out once, and remembered with the table (`judge.table_memory`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.record import Estimate
from harness.stats.rank_intervals import RankInterval
from harness.stats.seed_variance import Spread


@dataclass(frozen=True)
class KnownRow:
    """Scores with what their seeds share of the sampling, the spreads, the ranks that it may have, and its mark."""

    metrics: Mapping[str, Estimate | None]
    spreads: Mapping[str, Spread]
    rank: RankInterval | None
    verdict: str | None

    def to_json(self) -> list[Any]:
        """Turn into plain JSON types; fields alone, since a table has ten thousand of these numbers."""
        metrics = {n: e and (e.value, e.low, e.high, e.count, e.note) for n, e in self.metrics.items()}
        spreads = {n: (s.seeds_sd, s.sampling_se, s.shared) for n, s in self.spreads.items()}
        rank = self.rank and (self.rank.best, self.rank.worst, self.rank.paired)
        return [metrics, spreads, rank, self.verdict]

    @staticmethod
    def from_json(stored: list[Any]) -> KnownRow:
        """Build from what `to_json` made."""
        metrics, spreads, rank, verdict = stored
        return KnownRow(
            {name: None if e is None else Estimate(*e) for name, e in metrics.items()},
            {name: Spread(*spread) for name, spread in spreads.items()},
            None if rank is None else RankInterval(*rank),
            verdict,
        )
