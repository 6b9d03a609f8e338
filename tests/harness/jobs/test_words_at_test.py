"""A learner is built and trained with the training words of classes, and reads others once it is trained."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.cell import Cell, Places
from harness.jobs import built_learner
from harness.sample import Classes, TaskSpec


@pytest.mark.parametrize("test_texts", [(), (("crimson",), ("cobalt",))])
def test_no_model_is_built_with_the_words_of_test_time(
    test_texts: Any, cell: Cell, tmp_path: Path, line: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Reader(line):  # type: ignore[misc]
        reads = ("classes",)
        vision = None

        def reword(self, class_texts: Any) -> None:
            read.append(class_texts)

    def build(spec: TaskSpec, context: Any) -> Any:
        built.append(spec.classes)
        return Reader()

    read: list[Any] = []
    built: list[Classes] = []
    classes = Classes(("red", "blue"), (("red",), ("blue",)), (True, True), test_texts=test_texts)
    task = SimpleNamespace(spec=lambda data, samples: TaskSpec("t", (), "labels", classes), samples=lambda *_: ())
    monkeypatch.setattr(built_learner, "load_task", lambda name: task)
    monkeypatch.setattr(built_learner, "job_model", lambda job: SimpleNamespace(build=build, evaluates_only=True))
    monkeypatch.setattr(built_learner, "read_training", lambda folder: {"skipped": []})
    monkeypatch.setattr(built_learner, "read_derived", lambda *_: None)
    built_learner.load_trained(cell.training, Places(tmp_path, tmp_path / "training", None))
    assert [each.test_texts for each in built] == [()] and built[0].texts == classes.texts
    assert read == ([test_texts] if test_texts else [])
