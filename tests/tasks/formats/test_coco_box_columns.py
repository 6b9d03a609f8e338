"""Columns of boxes are what Python's parser and `detections_of` make of a file, and none of a file with a fault."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.sample import Outcome
from tasks.detection.box_outcomes import BoxOutcomes
from tasks.formats.coco_box_columns import read_box_columns
from tasks.formats.coco_entries import Category, ImageEntry
from tasks.formats.coco_results import detections_of

ROWS: list[dict[str, Any]] = [
    {"image_id": 30, "category_id": 5, "bbox": [0, 0.1, 3.5, 1e-7], "score": 1, "id": [{"é": None}]},
    {"image_id": 10, "category_id": 2, "bbox": [-9, 2, 300, 0], "score": 0.1 + 0.2},
    {"image_id": 30, "category_id": 5, "bbox": [1.1, 2.2, 3.3, 123456789012345678901], "score": -5e-324},
]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("named", [False, True])
def test_columns_are_what_the_other_reader_makes(packed: bool, named: bool, tmp_path: Path) -> None:
    path, text = tmp_path / "results.json", json.dumps(ROWS, ensure_ascii=False).encode()
    path.write_bytes(gzip.compress(text) if packed else text)
    found = read_box_columns(path, named=named)
    assert found is not None
    images = [ImageEntry(30, Path(), 0, 0, "30" * named), ImageEntry(10, Path(), 0, 0, "10" * named)]
    by_image = detections_of(ROWS, path, images, [Category(5, "a", {}), Category(2, "b", {})], "bbox")
    assert found.image_ids == tuple(str(own.image_id) for own in by_image)
    for number, own in enumerate(by_image):
        chosen = np.flatnonzero(found.image == number)
        assert chosen.tolist() == own.entries.tolist()
        assert found.category_ids[chosen].tolist() == own.category_ids.tolist()
        assert found.scores[chosen].tobytes() == own.scores.tobytes()
        assert own.boxes is not None and found.boxes[chosen].tobytes() == own.boxes.tobytes()


def test_an_empty_list_has_no_column_and_names_may_be_texts(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text("[]")
    nothing = read_box_columns(path, named=False)
    assert nothing is not None and (nothing.image_ids, len(nothing.boxes)) == ((), 0)
    path.write_text(json.dumps([{**ROWS[0], "image_id": "2007_000032"}]))
    found = read_box_columns(path, named=True)
    assert found is not None and found.image_ids == ("2007_000032",)
    assert read_box_columns(path, named=False) is None


def change(**values: Any) -> Callable[[Any], None]:
    return lambda rows: rows[1].update(values)


@pytest.mark.parametrize(
    "edit",
    [
        lambda rows: rows.append(3), lambda rows: rows[1].pop("score"), lambda rows: rows[1].pop("bbox"),
        change(image_id="30"), change(image_id=1.0), change(image_id=True), change(image_id=2**63),
        change(category_id=None), change(category_id=2.0), change(score=float("nan")), change(score="1"),
        change(score=True), change(score=10**400), change(score=1e300), change(bbox=[1, 2, 3]),
        change(bbox=[1, 2, -3, 4]), change(bbox=[1, 2, 3, True]), change(bbox=[1, 2, 3, float("inf")]),
    ],
)  # fmt: skip
def test_a_fault_is_left_to_the_reader_that_words_it(edit: Callable[[Any], Any], tmp_path: Path) -> None:
    rows = [dict(row) for row in ROWS]
    edit(rows)
    (tmp_path / "results.json").write_text(json.dumps(rows))
    assert read_box_columns(tmp_path / "results.json", named=False) is None


@pytest.mark.parametrize("content", [b"", b"{}", b"[1", b'[{"image_id": 1}]', b"\xef\xbb\xbf[]", b"\x1f\x8bnone"])
def test_what_is_no_list_of_results_is_left_to_it_too(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_bytes(content)
    assert read_box_columns(tmp_path / "results.json", named=False) is None
    assert read_box_columns(tmp_path / "missing.json", named=False) is None


def test_text_that_is_skipped_must_be_text_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_bytes(json.dumps(ROWS, ensure_ascii=False).encode("latin-1"))
    assert read_box_columns(tmp_path / "results.json", named=False) is None


def test_outcomes_are_lists_where_they_are_asked_for() -> None:
    tables = [np.array([[1, 0.5, 1, 2, 20, 10.0]]), np.zeros((0, 6))]
    outcomes = BoxOutcomes(("5", "7"), tables)
    expected = [Outcome("5", {"px": [[1, 0.5, 1.0, 2.0, 20.0, 10.0]]}), Outcome("7", {"px": []})]
    assert outcomes == expected and outcomes[0] == expected[0] and outcomes[1:] == expected[1:]
    assert json.dumps(outcomes[0].prediction) == '{"px": [[1, 0.5, 1.0, 2.0, 20.0, 10.0]]}'
    assert [outcome.prediction["px"] is table for outcome, table in zip(outcomes.as_tables(), tables, strict=True)]
