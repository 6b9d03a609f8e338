"""The face for notebooks: quiet, with the command line's own options, and its tables as frames."""

from __future__ import annotations

import inspect
import io
import multiprocessing
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from harness import api
from harness.cli.main import app
from harness.errors import UsageError
from harness.option_fields import declared
from harness.plan.config import build_config
from harness.plan.run_request import RunRequest
from harness.records.store import Store

SEEDS = str(Path(__file__).parents[2] / "results" / "seeds")
TASK = "zero-shot-classification"


def csv_of(*arguments: str) -> pd.DataFrame:
    done = CliRunner().invoke(app, [*arguments, "--format", "csv"])
    assert done.exit_code == 0, done.output
    return pd.read_csv(io.StringIO(done.stdout))


def same(frame: pd.DataFrame, file: pd.DataFrame) -> None:
    """Equal as far as CSV can tell: empty is absent, and a number is a number."""
    assert list(frame.columns) == list(file.columns)
    read = pd.read_csv(io.StringIO(frame.to_csv(index=False)))
    pd.testing.assert_frame_equal(read, file, check_dtype=False)


def test_importing_it_does_nothing_and_needs_nothing_heavy() -> None:
    check = (
        "import sys; from harness import api; "
        "print(sorted({'torch', 'pandas', 'pydantic', 'typer', 'numpy'} & set(sys.modules)), "
        "'--' if __import__('logging').getLogger('harness').handlers else 'quiet')"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[] quiet\n", "")


def test_a_notebook_shows_every_option_with_its_default() -> None:
    shown = inspect.signature(api.run).parameters
    options = {item.name: item.default for item in declared(RunRequest) if item.option and not item.option.hidden}
    assert {name: shown[name].default for name in options} == options
    assert set(shown) - set(options) == {"settings", "vision_args", "config", "progress"}
    assert {each.kind for each in shown.values()} == {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modle": "film"}, "Unknown key 'modle'.*Did you mean 'model'"),
        ({"seeds": 0}, "seeds = 0; wanted more than 0"),
        ({"settings": {"train.stepz": 5}}, "Did you mean 'train.steps'"),
        ({"task": []}, "--task is empty"),
    ],
)
def test_what_does_not_fit_is_named_before_anything_starts(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        api.run(**options)


def test_an_older_name_is_a_deprecation() -> None:
    with pytest.raises(UsageError, match="--task is empty"), pytest.warns(DeprecationWarning, match="--scenes-track"):
        api.run(track="context", task="")


def test_a_run_that_a_script_begins_without_a_guard_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(UsageError, match="below if __name__ == '__main__'"):
        api.run()


def test_records_tell_the_command_that_does_the_same() -> None:
    flags = {"task": "a,b", "seeds": 2, "controls": True, "no_measure": False, "job_timeout": 1.5}
    given = ["train.steps=5", 'model.names=["x y"]']
    command = api._command(flags, given, "crop=0.9", Path("a b.toml"))
    assert command == (
        "bench run --task a,b --seeds 2 --controls --job-timeout 1.5 --vision-args crop=0.9 --set train.steps=5 "
        "--set 'model.names=[\"x y\"]' --config 'a b.toml'"
    )


@pytest.mark.parametrize("value", [3, 0.5, True, "same", [1, 2], "a b"])
def test_settings_arrive_as_they_are(value: Any) -> None:
    setting = f"model.x={api._as_toml(value)}"
    assert build_config({}, [setting]).options.settings["x"] == value


def test_the_leaderboard_is_that_of_the_command() -> None:
    frame = api.leaderboard(TASK, results=SEEDS)
    same(frame, csv_of("leaderboard", "--task", TASK, "--results", SEEDS))
    assert frame.attrs["columns"]["ECE"]["direction"] == -1
    assert frame.attrs["columns"]["unseen-top-1"]["direction"] == 1


@pytest.mark.parametrize("cells", [False, True])
def test_robustness_is_that_of_the_command(cells: bool) -> None:
    frame = api.robustness([TASK], results=SEEDS, cells=cells)
    same(frame, csv_of("robustness", "--task", TASK, "--results", SEEDS, *(["--cells"] if cells else [])))


def test_every_record_is_a_row_with_its_own_numbers() -> None:
    stored = Store(SEEDS).read_records(TASK)
    frame = api.records(TASK, results=SEEDS)
    assert list(frame["fingerprint"]) == [record.fingerprint for record in stored]
    for number in (0, len(stored) - 1):
        row, estimate = frame.iloc[number], stored[number].metrics["unseen-top-1"]
        assert estimate is not None
        assert (row["unseen-top-1"], row["unseen-top-1 low"]) == (estimate.value, estimate.low)
        assert row["parameters_total"] == stored[number].efficiency.parameters_total
        assert row["control"] == stored[number].control or pd.isna(row["control"])


def test_no_records_are_an_empty_frame_with_columns(tmp_path: Path) -> None:
    for frame in (api.records(results=str(tmp_path)), api.leaderboard(results=str(tmp_path))):
        assert len(frame) == 0
    assert "fingerprint" in api.records(results=str(tmp_path)).columns


def test_verdicts_are_a_row_for_each_claim_and_model() -> None:
    frame = api.verdict(TASK, results=SEEDS, claim=["a", "b"])
    assert list(frame.columns) == ["task", "claim", "model", "verdict", "decided by"]
    assert list(frame["model"]) == ["class-embedding"] * 2
    assert set(frame["verdict"]) <= {"supported", "not supported", "inconclusive"}
    numbers = api.verdict(TASK, results=SEEDS, claim="a", numbers=True)
    assert (numbers["low"] <= numbers["value"]).all() and (numbers["value"] <= numbers["high"]).all()


def test_two_models_are_compared_by_metric() -> None:
    frame = api.compare("class-embedding", "class-embedding[C0]", task=TASK, results=SEEDS, metric="unseen-top-1")
    assert set(frame["task"]) == {TASK} and len(frame) == 1
    stored = api.records(TASK, results=SEEDS)
    means = stored.groupby(stored["control"].fillna("-"))["unseen-top-1"].mean()
    assert frame["difference"][0] == pytest.approx(means["-"] - means["C0"])


def test_progress_is_one_call_at_a_time_and_what_is_said_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    from harness.protocols import NOTICE

    told: list[tuple[str, int, int]] = []
    reporter = api._Reporter(lambda *told_now: told.append(told_now))
    with caplog.at_level("INFO", "harness"):
        reporter.progress("training", 1, 2)
        reporter.progress("memory ran out", 0, NOTICE)
        reporter.say("Note: x")
    assert told == [("training", 1, 2)]
    assert caplog.messages == ["memory ran out", "Note: x"]
