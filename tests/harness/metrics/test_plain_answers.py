"""What `predict` may return, and what is said of everything else."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DataError
from harness.metrics.plain_answers import outcomes_of, require_finite_answer
from harness.sample import Outcome

FLOATS = st.floats(allow_nan=True, allow_infinity=True)
ANSWERS = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), FLOATS, st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("returned", "plain"),
    [
        (torch.tensor([[0.25, 0.75], [1.0, 0.0]]), [[0.25, 0.75], [1.0, 0.0]]),
        (torch.tensor([[0.25, 0.75], [1.0, 0.0]], requires_grad=True), [[0.25, 0.75], [1.0, 0.0]]),
        (np.array([[0.25, 0.75], [1.0, 0.0]]), [[0.25, 0.75], [1.0, 0.0]]),
        ([torch.tensor([0.5, 0.5], dtype=torch.bfloat16), np.array([1, 0])], [[0.5, 0.5], [1, 0]]),
        ([[np.float64(0.5), np.float32(0.5)], (np.int64(1), True)], [[0.5, 0.5], [1, True]]),
        (({"boxes": torch.zeros(1, 2)}, "a dog"), [{"boxes": [[0.0, 0.0]]}, "a dog"]),
        (np.array(["a", "b"]), ["a", "b"]),
    ],
)
def test_tensors_arrays_and_numbers_of_numpy_become_plain(returned: Any, plain: list[Any]) -> None:
    found = [outcome.prediction for outcome in outcomes_of(["1", "2"], returned)]
    assert found == plain
    assert json.loads(json.dumps(found)) == plain


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("ab", r"predict returned 'ab' \(builtins.str\) for 2 samples; wanted a list of JSON values"),
        (None, r"predict returned None \(builtins.NoneType\) for 2 samples"),
        (torch.tensor(1.0), r"predict returned tensor\(1.\) \(torch.Tensor\) for 2 samples"),
        (["a"], "predict returned 1 answers for 2 samples; wanted one for each"),
        (torch.zeros(3, 2), "predict returned 3 answers for 2 samples"),
        (["a", {1, 2}], r"predict returned \{1, 2\} \(builtins.set\) for sample two"),
        (["a", b"b"], r"predict returned b'b' \(builtins.bytes\) for sample two"),
        (["a", {1: "b"}], r"predict returned \{1: 'b'\} \(builtins.dict\) for sample two"),
        ([[0.5, float("nan")], [0.5, 0.5]], r"The answer for sample one holds nan: \[0.5, nan\]"),
        ([[0.5, 0.5], [[1, float("inf"), 0.0]]], r"The answer for sample two holds inf"),
        ([0.5, {"score": float("-inf")}], r"The answer for sample two holds -inf"),
        (torch.tensor([[0.5, 0.5], [float("nan"), 0.5]]), r"The answer for sample two holds nan"),
    ],
)
def test_everything_else_is_refused_by_what_and_where_it_is(returned: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        outcomes_of(["one", "two"], returned)


@given(ANSWERS)
def test_an_answer_is_refused_exactly_where_strict_json_has_no_word_for_it(answer: Any) -> None:
    try:
        json.dumps(answer, allow_nan=False)
    except ValueError:
        with pytest.raises(DataError, match="The answer for sample 1 holds"):
            outcomes_of(["1"], [answer])
    else:
        assert outcomes_of(["1"], [answer]) == [Outcome("1", answer)]


def test_sums_that_overflow_are_no_answers_that_do() -> None:
    require_finite_answer([Outcome("1", [1e308, 1e308])])
