"""How a model's score on the validation split grows with the number of settings that are tried for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from harness.record import RunRecord
from harness.stats.expected_best import expected_best


@dataclass(frozen=True)
class TrialScores:
    """The trials of one training: the validation score of each that has one, how many there were, and the best's edge.

    One that fell behind has the best score that it had until then. `at_the_edge` names the settings of the best that
    lie at an edge of the space.
    """

    scores: tuple[float, ...]
    tried: int
    at_the_edge: tuple[str, ...] = ()


def trial_scores(record: RunRecord) -> TrialScores | None:
    """Read the trials of a record; None where its training had none."""
    training = record.provenance.get("training", {})
    trials: Sequence[Mapping[str, Any]] = training.get("trials", ())
    scores = tuple(trial["score"] for trial in trials if trial["score"] is not None)
    return TrialScores(scores, len(trials), tuple(training.get("at_the_edge", ()))) if scores else None


def best_of(trials: Sequence[TrialScores], k: int) -> float | None:
    """The validation score that is expected of the best of `k` trials, mean over seeds; None for more than tried."""
    if not trials or k > min(seed.tried for seed in trials):
        return None
    return fmean(expected_best(seed.scores, k) for seed in trials)


def counts_of_trials(trials: Sequence[TrialScores]) -> list[int]:
    """The numbers of trials that are told: powers of two, and all.

    >>> counts_of_trials([TrialScores((0.1, 0.2), 6)])
    [1, 2, 4, 6]
    """
    most = max((seed.tried for seed in trials), default=0)
    powers = [2**power for power in range(most.bit_length())]
    return [*(number for number in powers if number < most), most] if most else []


def edges_told(trials: Sequence[TrialScores]) -> str:
    """Say which settings of the best lie at an edge, and in how many seeds; "" for none.

    >>> edges_told([TrialScores((0.1,), 2, ("dropout is high",)), TrialScores((0.1,), 2)])
    'dropout is high (1 of 2 seeds)'
    """
    names = list(dict.fromkeys(name for seed in trials for name in seed.at_the_edge))
    counts = {name: sum(name in seed.at_the_edge for seed in trials) for name in names}
    return ", ".join(f"{name} ({count} of {len(trials)} seeds)" for name, count in counts.items())


def trials_json(trials: Sequence[TrialScores]) -> dict[str, Any] | None:
    """The number of trials, the score expected of the best of k on validation, and the edges; None without trials."""
    if not trials:
        return None
    expected = {str(k): value for k in counts_of_trials(trials) if (value := best_of(trials, k)) is not None}
    return {
        "tried": [seed.tried for seed in trials],
        "expected_best": expected,
        "at_the_edge": [list(seed.at_the_edge) for seed in trials],
    }
