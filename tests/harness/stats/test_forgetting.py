"""Figures of trainings on one domain after the other: by hand, and as loops over their published formulas."""

from __future__ import annotations

import numpy as np
import pytest

from harness.stats.forgetting import SEQUENCE_FIGURES, figure_contributions, retention

#                   before        after 1         after 2         after 3
HAND = np.array([[0.2, 0.3, 0.1], [0.9, 0.5, 0.3], [0.7, 0.8, 0.2], [0.6, 0.7, 0.9]])
BY_HAND = {
    "Avg": (0.9 + 0.5 + 0.3 + 0.7 + 0.8 + 0.2 + 0.6 + 0.7 + 0.9) / 9,
    "Last": (0.6 + 0.7 + 0.9) / 3,
    "Transfer": (0.5 + (0.3 + 0.2) / 2) / 2,  # domain 2 before stage 2; domain 3 before stage 3, twice
    "BWT": ((0.6 - 0.9) + (0.7 - 0.8)) / 2,
    "forgetting": ((0.9 - 0.6) + (0.8 - 0.7)) / 2,
}


def looped(name: str, scores: np.ndarray) -> float:
    """The formulas as they are published, with R[t][d] after stage t = 1..T, domains counted from 1."""
    count = scores.shape[1]
    r = {(t, d): scores[t, d - 1] for t in range(1, count + 1) for d in range(1, count + 1)}
    every = range(1, count + 1)
    if name == "Avg":  # over time for each domain, then over domains
        return float(np.mean([np.mean([r[t, d] for t in every]) for d in every]))
    if name == "Last":
        return float(np.mean([r[count, d] for d in every]))
    if name == "Transfer":
        return float(np.mean([np.mean([r[t, d] for t in range(1, d)]) for d in range(2, count + 1)]))
    if name == "BWT":
        return sum(r[count, i] - r[i, i] for i in range(1, count)) / (count - 1)
    best = [max(r[t, j] for t in range(1, count)) for j in range(1, count)]
    return sum(best[j - 1] - r[count, j] for j in range(1, count)) / (count - 1)


@pytest.mark.parametrize("name", SEQUENCE_FIGURES)
def test_by_hand_and_by_loops(name: str) -> None:
    def figure(scores: np.ndarray) -> float:
        return float((SEQUENCE_FIGURES[name](scores) * scores).sum())

    assert figure(HAND) == pytest.approx(BY_HAND[name])
    for count in (2, 3, 5):
        scores = np.random.default_rng(count).random((count + 1, count))
        assert figure(scores) == pytest.approx(looped(name, scores))
        assert (SEQUENCE_FIGURES[name](scores)[0] == 0).all(), (
            "what was there before any training counts for none of them"
        )


def test_samples_add_up_to_the_figure_within_their_domains() -> None:
    draw = np.random.default_rng(1)
    own = [draw.random((3, 40)), 0.5 + 0 * draw.random((3, 10))]
    scores = np.array([part.mean(axis=1) for part in own]).T
    weights = SEQUENCE_FIGURES["Last"](scores)
    added = figure_contributions(weights, own)
    assert np.concatenate(added).mean() == pytest.approx((weights * scores).sum())
    assert added[1] == pytest.approx((weights * scores).sum()), "equal samples spread no more for another domain's mean"
    # Var of a mean of strata: the sum of (weight of the domain)^2 x its variance / n.
    mean_of_squares = sum(((part - part.mean()) ** 2).sum() for part in added) / 50**2
    assert mean_of_squares == pytest.approx(0.25 * own[0][2].var() / 40)


def test_retention_by_hand() -> None:
    chance = np.array([0.05, 0.1, 0.05])
    # just before their own stages: .5 of domain 2 (.3 before training), .2 of domain 3 (.1).
    many, few = np.full(3, 1000.0), np.full(3, 4.0)
    assert retention(HAND, chance, many) == pytest.approx((0.4 + 0.15) / (0.2 + 0.05))
    assert retention(HAND, chance, few) is None, "of so few samples, as many are right by chance"
    assert retention(np.full((4, 3), 0.05), chance, many) is None, "nothing above chance that could be kept"
    assert retention(np.ones((2, 1)), np.zeros(1), np.full(1, 9.0)) is None
