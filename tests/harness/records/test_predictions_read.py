"""A file of predictions is read while its data is opened, and complaints come in the order of before."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.errors import DataError
from harness.records.score_file import predictions_read
from harness.sample import Dataset, Outcome

PATH = Path("answers.csv")


class Plain:
    """A task that reads a file once it knows the data, as a third party's does."""

    def read_predictions(self, path: Path, data: Dataset) -> Sequence[Outcome]:
        return [Outcome(str(path), 1), Outcome(str(data), 2)]


class Early:
    """A task that reads it before."""

    def __init__(self) -> None:
        self.begun = threading.Event()

    def begin_predictions(self, path: Path) -> Callable[[Dataset], Sequence[Outcome]]:
        if path != PATH:
            raise DataError(f"No file {path}.")
        self.begun.set()
        return lambda data: [Outcome(str(path), 1), Outcome(str(data), 2)]


@pytest.mark.parametrize("task", [Plain(), Early()])
def test_answers_are_those_of_the_file_for_the_data(task: Any) -> None:
    data: Any = "data"
    with predictions_read(task, PATH) as answers:
        assert [(each.sample_id, each.prediction) for each in answers(data)] == [("answers.csv", 1), ("data", 2)]


def test_the_file_is_read_before_anybody_asks() -> None:
    task: Any = Early()
    with predictions_read(task, PATH):
        assert task.begun.wait(30)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor")]


def test_data_is_complained_of_before_the_file() -> None:
    task: Any = Early()
    with pytest.raises(DataError, match="no data"), predictions_read(task, Path("gone")):
        raise DataError("no data")
    with pytest.raises(DataError, match="No file gone"), predictions_read(task, Path("gone")) as answers:
        answers(task)
