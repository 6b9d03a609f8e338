"""`bench monitor` on the outside model: the same data, other data, bare images, and what it cannot do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from harness.answers import encode_label_map
from harness.sample import Classes, TaskSpec
from harness.serve.answer_columns import answer_columns

from .conftest import Exported


def watched(exported: Exported, *arguments: object) -> Any:
    return exported.bench("monitor", exported.folder, "--results", exported.folder.parent / "results", *arguments)


def coloured(folder: Path, red: int, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        Image.new("RGB", (40, 30), (red, 7 * number % 256, 3 * number % 256)).save(folder / f"{number}.png")
    return folder


def test_other_images_are_a_shift_and_the_reference_itself_is_none(exported: Exported, tmp_path: Path) -> None:
    red = watched(exported, "--data", coloured(tmp_path / "red", 250, 40), "--format", "json")
    found = json.loads(red.stdout)
    assert red.returncode == 1 and found["shifted"] and found["samples"] == [40, 40], red.stderr
    assert [test["name"] for test in found["tests"]] == ["answers (KS)", "features (MMD)"]
    assert found["tests"][1]["adjusted"] <= 0.002 and found["accuracy"] == {} and found["true"] is None
    same = watched(exported, "--split", "train")
    assert same.returncode == 0 and "no shift seen" in same.stdout, same.stdout + same.stderr
    assert max(map(len, same.stdout.splitlines())) <= 100 and "accuracy is not estimated" in same.stdout
    few = watched(exported, "--data", coloured(tmp_path / "few", 250, 9))
    assert few.returncode == 2 and "too few for a test" in few.stderr and "Traceback" not in few.stderr
    none = watched(exported)
    assert none.returncode == 2 and "Nothing to look at" in none.stderr
    lost = watched(exported, "--split", "val", "--reference", "0" * 16)
    assert lost.returncode == 2 and "has no record" in lost.stderr


def test_answers_of_every_form_become_numbers() -> None:
    def columns(form: str, answer: Any, classes: int = 2) -> list[float]:
        spec = TaskSpec("t", (), form, Classes(tuple("ab"[:classes])))
        return list(answer_columns(spec, [answer])[0])

    assert columns("captions", "a red dog") == [3.0, 9.0]
    assert columns("labels", [0.25, 0.75]) == [0.25, 0.75] and columns("labels", 1) == [0.0, 1.0]
    assert columns("boxes", [[1, 0.9, 0, 0, 1, 1], [1, 0.1, 0, 0, 1, 1]]) == [0.0, 1.0, 0.9]
    assert columns("boxes", []) == [0.0, 0.0, 0.0]
    assert columns("maps", encode_label_map(np.array([[0, 1], [1, 1]], np.uint16))) == [0.25, 0.75]
    assert columns("choices", [0.5, 2.0, 1.0]) == [2.0, 1.0] and columns("answers", "two") == [1.0, 3.0]
