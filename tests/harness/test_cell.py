"""A fingerprint covers everything that can move a score, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from harness.cell import Cell, Domain, _job_content, fingerprint_of
from harness.storage.portable import by_content

FREE_OF_SCORE = {"data.opened", "data.embedded", "data.root", "data.cache", "options.answers", "data.notes"}
"""What may differ between two machines that must agree."""


def leaves(value: Any, prefix: str = "") -> list[str]:
    """Name every field, also those of dataclasses within."""
    names: list[str] = []
    for item in fields(value):
        inner = getattr(value, item.name)
        names += leaves(inner, f"{prefix}{item.name}.") if is_dataclass(inner) else [f"{prefix}{item.name}"]
    return names


def changed(value: Any, name: str) -> Any:
    """Change one field of a dataclass, by its dotted name."""
    head, _, rest = name.partition(".")
    if name == "domains":
        return replace(value, domains=(Domain("style", value.data, "style", None, "style"),))
    inner = getattr(value, head)
    return replace(value, **{head: changed(inner, rest) if rest else other(inner)})


def other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, tuple):
        return (*value, "more")
    if isinstance(value, dict):
        return {**value, "more": 1}
    if isinstance(value, Path):
        return value / "elsewhere"
    return f"{value}x"


def test_every_field_of_a_cell_moves_its_fingerprint(cell: Cell) -> None:
    names = leaves(cell)
    assert len(names) > 45
    for name in names:
        moved = changed(cell, name).fingerprint != cell.fingerprint
        assert moved == (name.removeprefix("training.") not in FREE_OF_SCORE), name


def test_what_is_evaluated_does_not_move_the_training(cell: Cell) -> None:
    trained_alike = replace(cell, split="train", evaluate=replace(cell.evaluate, limit=3))
    assert trained_alike.training.fingerprint == cell.training.fingerprint
    assert changed(cell.training, "train.steps").fingerprint != cell.training.fingerprint


def test_a_model_setting_named_root_is_not_mistaken_for_the_data_root(cell: Cell) -> None:
    prints = {
        replace(cell.training, options=replace(cell.training.options, settings={"root": root})).fingerprint
        for root in ("a", "b")
    }
    assert len(prints) == 2


@pytest.mark.parametrize("content", [{"a": 1, "b": [1.5, None]}, {"b": [1.5, None], "a": 1}])
def test_key_order_and_process_do_not_matter(content: dict[str, Any]) -> None:
    assert fingerprint_of(content) == "993a7a2ceb877d40"
    script = f"from harness.cell import fingerprint_of; print(fingerprint_of({content!r}))"
    seen = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()
    assert seen == fingerprint_of(content)


def test_the_label_says_which_cell_it_is(cell: Cell) -> None:
    assert cell.label == "a-model seed 0"
    assert replace(cell, training=replace(cell.training, control="C1", seed=2)).label == "a-model C1 seed 2"


def test_fp32_is_no_part_of_a_fingerprint_since_it_was_not_when_there_was_no_other(cell: Cell) -> None:
    def former(part: Any) -> dict[str, Any]:
        return {name: value for name, value in asdict(part).items() if name != "precision"}

    reduced = replace(cell, evaluate=replace(cell.evaluate, precision="bf16"))
    training = {"training": _job_content(cell.training)}
    content = {**cell.told, **training, "scored_by": by_content(cell.training.data.scoring)}
    assert cell.fingerprint == fingerprint_of({**content, "evaluate": former(cell.evaluate)}) != reduced.fingerprint
    names = ("batch_size", "limit", "emap")
    evaluate = {name: value for name, value in former(cell.evaluate).items() if name in names}
    assert cell.answers == fingerprint_of({**training, "split": "val", "evaluate": evaluate}) != reduced.answers
    assert cell.training.fingerprint == reduced.training.fingerprint


def test_a_training_that_may_differ_in_bits_keeps_the_fingerprint_of_old(cell: Cell) -> None:
    content = _job_content(cell.training)
    assert "deterministic" not in content["train"]
    asked = replace(cell.training, train=replace(cell.training.train, deterministic=True))
    assert cell.training.fingerprint == fingerprint_of(content) != asked.fingerprint
    assert _job_content(asked)["train"] == {**content["train"], "deterministic": True}
