"""`--log` takes trackers; the older `--track` takes them and the track of a task, tells them apart, and says so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.plan.config import build_config
from harness.plan.run_request import RunRequest
from harness.plan.track_names import TRACKERS, renamed, tracker_names


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (None, ()),
        ("wandb", ("wandb",)),
        (" mlflow , wandb,mlflow,", ("mlflow", "wandb")),
    ],
)
def test_trackers_are_named_once(given: str | None, names: tuple[str, ...]) -> None:
    assert tracker_names(given) == names
    assert build_config({"log": given}).trackers == names


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "--log is empty. Give trackers: tensorboard, mlflow, wandb"),
        ("wanb", "--log wanb: unknown tracker. Did you mean 'wandb'"),
        ("context", "--log context: unknown tracker"),
    ],
)
def test_what_is_no_tracker_is_named(given: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_config({"log": given})


@pytest.mark.parametrize(
    ("old", "scenes_track", "log", "new"),
    [
        ("context", "context", None, "--scenes-track context"),
        ("wandb", None, "wandb", "--log wandb"),
        ("mlflow,reference,mlflow", "reference", "mlflow", "--scenes-track reference --log mlflow"),
        ("tensorboard, plain ,wandb,", "plain", "tensorboard,wandb", "--scenes-track plain --log tensorboard,wandb"),
        ("context,context", "context", None, "--scenes-track context"),
        ("a-track-of-a-third-party", "a-track-of-a-third-party", None, "--scenes-track a-track-of-a-third-party"),
    ],
)
def test_the_older_option_still_works_and_says_what_it_is_now(
    old: str, scenes_track: str | None, log: str | None, new: str
) -> None:
    request, (notice,) = renamed(RunRequest(track=old))
    assert (request.track, request.scenes_track, request.log) == (None, scenes_track, log)
    assert notice.endswith(f" is now {new}; the old name will go.")
    config = build_config({"track": old})
    assert config.notices == (notice,)
    assert config.trackers == tracker_names(log)
    assert config.task_settings == ({} if scenes_track is None else {"track": scenes_track})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"track": "plain,context"}, "names two tracks, plain and context"),
        ({"track": "plain,context,wandb"}, "names two tracks, plain and context"),
        ({"track": "wanb"}, "Did you mean 'wandb'"),
        ({"track": "TensorBoard"}, "Did you mean 'tensorboard'"),
        ({"track": "ml-flow"}, "--scenes-track ml-flow"),
        ({"track": "tensorbord,context"}, "Did you mean 'tensorboard'"),
        ({"track": ""}, "--track is empty"),
        ({"track": " , "}, "--track is empty"),
        ({"track": "wandb", "log": "mlflow"}, "--track wandb and --log mlflow say the same thing twice"),
        ({"track": "plain", "scenes_track": "context"}, "--track plain and --scenes-track context say the same thing"),
    ],
)
def test_what_is_not_understood_is_an_error_that_says_what_to_do(values: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_config(values)


def test_without_the_older_option_there_is_no_notice() -> None:
    assert build_config({"log": "wandb", "scenes_track": "context"}).notices == ()


@given(st.lists(st.sampled_from(["context", *TRACKERS]), min_size=1))
def test_order_does_not_matter(words: list[str]) -> None:
    request, _ = renamed(RunRequest(track=",".join(words)))
    assert set(tracker_names(request.log)) == set(words) - {"context"}
    assert (request.scenes_track == "context") == ("context" in words)
