"""Labels in rounds: rules by hand and by brute force, equal labels for all, and that no other label gets in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.cell import TrainOptions
from harness.errors import UsageError
from harness.inputs.visual_tokens import VisualTokens
from harness.jobs import built_learner
from harness.jobs.acquired import Acquired, acquired_of
from harness.jobs.acquisition import Rounds, acquire, k_center_greedy
from harness.plan.trials_check import check_remedies
from harness.sample import Sample

LABELS = [int(number >= 20) for number in range(40)]
SPLIT = [Sample(str(n), Path(f"{n}.png"), SimpleNamespace(label=label)) for n, label in enumerate(LABELS)]


class Known:
    """A learner whose answers and features are given by sample."""

    vision_frozen = True

    def __init__(self, answers: Any = None, seen: bool = True) -> None:
        self.answers, self.vision = answers, (lambda pixels: pixels) if seen else None

    def predict(self, batch: Any) -> list[Any]:
        assert batch.targets is None
        return [self.answers(int(name)) for name in batch.sample_ids]


class Told:
    """What an acquisition asked for."""

    def __init__(self, learner: Known) -> None:
        self.learner, self.trained = learner, list[list[str]]()
        self.notices: list[str] = []

    def rounds(self) -> Rounds:
        def learner(labelled: Sequence[Sample], is_trained: bool) -> Any:
            assert all(sample.target is not None for sample in labelled)
            self.trained += [[sample.sample_id for sample in labelled]] if is_trained else []
            return self.learner

        def read(own: Any, samples: Sequence[Sample]) -> VisualTokens:
            assert all(sample.target is None for sample in samples)
            features = np.array([[[float(sample.sample_id), 0.0]] for sample in samples], np.float32)
            return VisualTokens(own, None, tuple(samples), features if own.vision else None, "cpu")

        return Rounds(learner, read, lambda what, *_: self.notices.append(what))


def asked(rule: str, learner: Known, seed: int = 0, **options: Any) -> tuple[Acquired, Told]:
    told = Told(learner)
    train = TrainOptions(**{"acquire": rule, "acquire_rounds": 3, "limit": 9} | options)
    return acquire(SPLIT, train, seed, 2, told.rounds()), told


def test_all_rules_begin_alike_and_have_as_many_labels() -> None:
    sure = Known(lambda n: [n / 39, 1 - n / 39])  # the nearer to 19 or 20, the less sure
    drawn, nothing = asked("random", sure)
    assert nothing.trained == [] and [len(own) for own in drawn.rounds] == [3, 3, 3]
    for rule in ("entropy", "margin"):
        found, told = asked(rule, sure)
        assert found.rounds[0] == drawn.rounds[0] and [len(own) for own in found.rounds] == [3, 3, 3]
        assert [sorted(own, key=int) for own in told.trained] == [
            sorted(found.rounds[0], key=int), sorted(found.rounds[0] + found.rounds[1], key=int),
        ]  # fmt: skip
        nearest = sorted({*map(str, range(40))} - {*found.rounds[0]}, key=lambda name: abs(int(name) - 19.5))
        assert {*found.rounds[1], *found.rounds[2]} == {*nearest[:6]}
    more, _ = asked("random", sure, limit=20, acquire_rounds=1)
    assert {name for own in drawn.rounds for name in own} < {*more.rounds[0]}
    assert asked("random", sure, seed=1)[0] != drawn
    assert len(asked("random", sure, limit=None, shots=5)[0].of(SPLIT)) == 10
    assert acquired_of(drawn.to_json()) == drawn and drawn.to_json()["rounds"][0]["acquired"] == 3


def test_the_core_set_is_far_from_all_that_have_labels() -> None:
    found, told = asked("coreset", Known())
    assert told.trained == [], "a frozen tower needs no training"
    centres = [int(name) for name in found.rounds[0]]
    for own in found.rounds[1:]:
        for name in own:
            rest = [n for n in range(40) if n not in centres]
            assert min(abs(int(name) - c) for c in centres) == max(min(abs(n - c) for c in centres) for n in rest)
            centres.append(int(name))
    blind, told = asked("coreset", Known(seen=False))
    assert blind.rounds == asked("random", Known())[0].rounds and "sees no images" in told.notices[-1]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=4, max_size=14),
    st.integers(1, 3),
    st.integers(1, 6),
)
def test_k_center_greedy_by_brute_force(points: list[tuple[int, int]], given_centres: int, count: int) -> None:
    centres, features = list(range(given_centres)), np.array(points, dtype=float)
    found = k_center_greedy(features, centres, count)
    assert len(found) == len({*found, *centres}) - given_centres == min(count, len(points) - given_centres)
    for place in found:
        distances = {n: min(np.hypot(*(features[n] - features[c])) for c in centres) for n in range(len(points))}
        rest = {n: distance for n, distance in distances.items() if n not in centres}
        assert rest[place] == max(rest.values())
        centres.append(place)


def test_labels_of_what_was_not_acquired_move_no_weight(trained: Any, cell: Any, monkeypatch: Any) -> None:
    labels = [LABELS[(number * 17) % 40] for number in range(40)]
    first, told = trained(labels, acquire="entropy", acquire_rounds=3, limit=12, unlabelled=0.9)
    own = {int(name) for each in told["acquisition"]["rounds"] for name in each["samples"]}
    assert len(own) == 12 and told["unlabelled"]["samples"] == 28
    scrambled = [label if number in own else 1 - label for number, label in enumerate(labels)]
    second, again = trained(scrambled, acquire="entropy", acquire_rounds=3, limit=12, unlabelled=0.9)
    assert again == told and all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    changed = [1 - label if number == min(own) else label for number, label in enumerate(labels)]
    third, _ = trained(changed, acquire="entropy", acquire_rounds=3, limit=12, unlabelled=0.9)
    assert not torch.equal(first["new.weight"], third["new.weight"]), "a label that was acquired counts"
    monkeypatch.setattr(built_learner, "training_split", lambda task, job: SPLIT)
    read = built_learner.trained_samples(None, cell.training, {**told, "skipped": [str(min(own))]})  # type: ignore[arg-type]
    assert {int(sample.sample_id) for sample in read} == own - {min(own)}


def test_what_cannot_be_acquired_is_said() -> None:
    with pytest.raises(UsageError, match="acquire=entropy wants a budget of labels"):
        check_remedies(TrainOptions(acquire="entropy"))
    with pytest.raises(UsageError, match="trains in one process"):
        check_remedies(TrainOptions(acquire="entropy", limit=4, processes=2))
    with pytest.raises(UsageError, match="Known answers without"):
        asked("margin", Known(lambda n: "a caption"))
    with pytest.raises(UsageError, match="counts classes, of which there are none"):
        acquire(SPLIT, TrainOptions(acquire="random", shots=2), 0, 0, Told(Known()).rounds())
