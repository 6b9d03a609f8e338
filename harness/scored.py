"""Predictions once they are scored, of a run or under a condition of a sweep, and what is stored of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.protocols import Statistics
from harness.sample import Outcome, Sample
from harness.sample_scores import sample_scores
from harness.store import Store, outcomes_name, scores_name


@dataclass(frozen=True)
class Scored:
    """Predictions beside their samples, and the statistics of all metrics."""

    samples: Sequence[Sample]
    outcomes: Sequence[Outcome]
    statistics: Mapping[str, Statistics | None]


def write_scores(
    store: Store, task: str, fingerprint: str, scored: Scored, metrics: Sequence[str], condition: str | None = None
) -> None:
    """Write a cell's predictions with what each sample scores, and what each contributes to some metrics.

    `condition` is the label of the one that the cell's model was perturbed by, None for the clean samples.
    """
    columns = sample_columns(scored.statistics, len(scored.outcomes))
    store.write_outcomes(outcomes_name(task, fingerprint, condition), scored.outcomes, columns)
    scores = sample_scores([sample.sample_id for sample in scored.samples], scored.statistics, metrics)
    store.write_sample_scores(scores_name(task, fingerprint, condition), scores)


def outcomes_sha256(store: Store, task: str, fingerprint: str) -> str:
    """Digest the stored table of a cell's predictions; raises StoreError where it is not there."""
    return hashlib.sha256(store.read_bytes(f"{outcomes_name(task, fingerprint)}.parquet")).hexdigest()


def sample_columns(statistics: Mapping[str, Statistics | None], count: int) -> dict[str, list[float]]:
    """What each sample scores, of the metrics that are about all samples: not slices, not single classes."""
    whole = {name: s for name, s in statistics.items() if s is not None and "[" not in name and ":" not in name}
    columns = {name: s.per_sample.tolist() for name, s in whole.items()}
    return {name: values for name, values in columns.items() if len(values) == count}
