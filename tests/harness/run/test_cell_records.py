"""What stands beside a cell's numbers where memory ran out, however that ended."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.cell import Cell
from harness.run.cell_records import batch_note, training_notes
from harness.sample import Outcome, Predicted

_ANSWERS = tuple(Outcome(str(number), "a cat") for number in range(40))


@pytest.mark.parametrize(
    ("asked", "taken", "note"),
    [
        (64, None, []),  # not known: an earlier version's
        (64, 40, []),  # all in one batch
        (16, 16, []),
        (64, 16, ["memory ran out in evaluation: batches of 16 instead of 64"]),
        (16, 1, ["memory ran out in evaluation: batches of 1 instead of 16"]),
    ],
)
def test_a_smaller_batch_than_was_asked_for_is_noted(
    cell: Cell, asked: int, taken: int | None, note: list[str]
) -> None:
    cell = replace(cell, evaluate=replace(cell.evaluate, batch_size=asked))
    assert [found.text for found in batch_note(cell, Predicted(_ANSWERS, {}, None, batch_size=taken))] == note


def test_a_training_in_smaller_parts_says_whether_it_was_killed_or_halved_its_batch(cell: Cell) -> None:
    assert not training_notes(cell, {"accumulation": cell.training.train.accumulation})
    (halved,) = training_notes(cell, {"accumulation": 4})
    (killed,) = training_notes(cell, {"accumulation": 4, "restarted_in_parts": True})
    assert halved.text == "memory ran out while training: 4 micro-batches a step instead of 1"
    assert killed.text == (
        "the training was killed, most often for lack of memory, and begun anew in parts: "
        "4 micro-batches a step instead of 1"
    )
