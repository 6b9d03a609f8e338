"""The evaluation loop: order, any batch size, and less memory than was hoped for."""

from __future__ import annotations

from typing import Any

import pytest

from harness.errors import DataError, OutOfMemory
from harness.jobs.predict import predict_all
from harness.protocols import NOTICE


def quiet(what: str, done: int, total: int) -> None:
    return None


@pytest.mark.parametrize("batch_size", [1, 3, 10, 64])
def test_no_batch_size_moves_an_answer(batch_size: int, line: Any, visuals_of: Any) -> None:
    learner = line()
    outcomes = predict_all(learner, visuals_of(learner), batch_size, quiet)
    one_by_one = predict_all(learner, visuals_of(learner), 1, quiet)
    assert [outcome.sample_id for outcome in outcomes] == [str(n) for n in range(10)]
    assert [o.prediction for o in outcomes] == pytest.approx([o.prediction for o in one_by_one], abs=1e-6)


def test_memory_that_runs_out_halves_the_batch_and_says_so(line: Any, visuals_of: Any) -> None:
    learner, told = line(limit=3), list[tuple[str, int, int]]()
    outcomes = predict_all(learner, visuals_of(learner), 64, lambda *told_now: told.append(told_now))
    assert [outcome.sample_id for outcome in outcomes] == [str(n) for n in range(10)]
    assert [what for what, _, total in told if total == NOTICE] == [
        "out of memory: going on with batches of 5",
        "out of memory: going on with batches of 2",
    ]
    assert learner.sizes == [10, 5, 2, 2, 2, 2, 2]


def test_memory_too_small_for_one_sample_fails(line: Any, visuals_of: Any) -> None:
    learner = line(limit=0)
    with pytest.raises(OutOfMemory, match="evaluation with one sample"):
        predict_all(learner, visuals_of(learner), 8, quiet)


def test_other_errors_and_wrong_counts_are_not_swallowed(line: Any, visuals_of: Any) -> None:
    learner = line()
    learner.predict = lambda batch: [1.0]
    with pytest.raises(DataError, match="predict returned 1 answers for 8 samples"):
        predict_all(learner, visuals_of(learner), 8, quiet)


def test_a_learner_never_sees_a_target(line: Any, visuals_of: Any) -> None:
    learner, seen = line(), list[Any]()
    learner.predict = lambda batch: seen.append(batch.targets) or [0.0] * len(batch)
    predict_all(learner, visuals_of(learner), 4, quiet)
    assert seen == [None, None, None]
