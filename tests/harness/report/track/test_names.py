"""`--track` takes trackers and the track of a task, and tells them apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.plan.track_names import TRACKERS, split_track


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], (None, ())),
        (["context"], ("context", ())),
        (["wandb"], (None, ("wandb",))),
        (["mlflow", "reference", "mlflow"], ("reference", ("mlflow",))),
        (["tensorboard, plain ,wandb,"], ("plain", ("tensorboard", "wandb"))),
        (["context,context"], ("context", ())),
        (["a-track-of-a-third-party"], ("a-track-of-a-third-party", ())),
    ],
)
def test_trackers_and_the_tasks_track_are_told_apart(
    values: list[str], expected: tuple[str | None, tuple[str, ...]]
) -> None:
    assert split_track(values) == expected


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["plain", "context"], "names two tracks, plain and context"),
        (["plain,context,wandb"], "names two tracks, plain and context"),
        (["wanb"], "Did you mean 'wandb'"),
        (["TensorBoard"], "Did you mean 'tensorboard'"),
        (["ml-flow"], "--set task.track=ml-flow"),
        (["tensorbord,context"], "Did you mean 'tensorboard'"),
        ([""], "--track is empty"),
        ([" , "], "--track is empty"),
    ],
)
def test_what_is_not_understood_is_an_error_that_says_what_to_do(values: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        split_track(values)


@given(st.lists(st.sampled_from(["context", *TRACKERS])))
def test_neither_order_nor_commas_matter(words: list[str]) -> None:
    track, trackers = split_track(words)
    joined = split_track([",".join(words)] if words else [])
    assert joined == (track, trackers)
    assert set(trackers) == set(words) - {"context"}
    assert (track == "context") == ("context" in words)
