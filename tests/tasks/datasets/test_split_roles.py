"""Which split selects checkpoints: never the one that is reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DataError
from harness.sample import Dataset, Note, Sample
from harness.text.spelling import name_bytes, normal_form
from tasks.datasets.split_roles import (
    ALL,
    HELD_OUT,
    Roles,
    folder_dataset,
    held_out_ids,
    mixed,
    part_of,
    roles_of,
    stored_split,
)

SAMPLES = [Sample(str(number), Path(), None) for number in range(300)]


def data_of(roles: Roles) -> Dataset:
    return Dataset("d", Path(), "", "labels", roles.splits, roles.training, roles.selection, roles.default)


def ids(samples: Sequence[Sample]) -> set[str]:
    return {sample.sample_id for sample in samples}


@pytest.mark.parametrize(
    ("found", "reported", "splits", "selection", "default"),
    [
        (["train", "val", "test"], None, ("train", "val", "test"), "val", "test"),
        (["train", "val", "test"], "test", ("train", "val", "test"), "val", "test"),
        (["train", "val", "test"], "train", ("train", "val", "test"), "val", "test"),
        (["train", "val", "test"], "val", ("train", "val", "test", HELD_OUT), HELD_OUT, "test"),
        (["val", "train"], None, ("train", "val", HELD_OUT), HELD_OUT, "val"),
        (["val", "train"], "val", ("train", "val", HELD_OUT), HELD_OUT, "val"),
        (["val", "train"], "train", ("train", "val", HELD_OUT), "train-held-out", "val"),
        (["test", "train"], None, ("train", "test", HELD_OUT), HELD_OUT, "test"),
        (["test", "trainval", "train", "val"], None, ("train", "val", "test"), "val", "test"),
    ],
)
def test_roles(found: list[str], reported: str | None, splits: tuple[str, ...], selection: str, default: str) -> None:
    roles = roles_of(Path("d"), found, reported)
    assert (roles.splits, roles.selection, roles.default) == (splits, selection, default)
    assert roles.selection != (reported or roles.default)
    assert roles.selection in roles.splits
    assert roles.stored == tuple(split for split in splits if split != HELD_OUT)


@pytest.mark.parametrize(
    ("found", "reported", "stored", "default"),
    [
        (["val"], None, ("val",), "val"),
        (["test"], None, ("test",), "test"),
        (["test", "val"], None, ("val", "test"), "test"),
        (["test", "val"], "val", ("val", "test"), "test"),
        ([ALL], ALL, (ALL,), ALL),
        (["train"], "train", ("train",), "train"),
    ],
)
def test_without_training_data_nothing_selects(
    found: list[str], reported: str | None, stored: tuple[str, ...], default: str
) -> None:
    roles = roles_of(Path("d"), found, reported)
    assert roles == Roles(stored, stored, None, default, None)
    data = folder_dataset(Path(), roles, "labels", "", notes=(Note("n"),))
    assert (data.training_split, data.selection_split, data.notes) == (None, None, (Note("n"),))
    assert part_of(data, default, SAMPLES) == SAMPLES


@pytest.mark.parametrize(("found", "told"), [(["train"], "only train"), ([], "no split")])
def test_train_alone_is_no_data_to_evaluate_on_unless_asked_for(found: list[str], told: str) -> None:
    message = rf"^d has {told}: nothing is left to evaluate on. Add val or test; or, .* --split train"
    with pytest.raises(DataError, match=message):
        roles_of(Path("d"), found)


def test_names_that_are_not_utf8_have_an_order_and_a_part() -> None:
    name = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    samples = [Sample(name, Path(), None), *SAMPLES[:40]]
    assert ids(mixed(samples)) == ids(samples)
    assert len(held_out_ids([s.sample_id for s in samples])) == 16
    assert normal_form("cafe\u0301") == normal_form("caf\xe9") == "caf\xe9"
    assert name_bytes("caf\xe9") == "caf\xe9".encode()


def test_the_held_out_part_is_no_training_part() -> None:
    data = data_of(roles_of(Path("d"), ["train", "val"]))
    train, held = (ids(part_of(data, split, SAMPLES)) for split in ("train", HELD_OUT))
    assert (len(train), len(held), train & held) == (270, 30, set())
    assert train | held == ids(SAMPLES)
    assert ids(part_of(data, "val", SAMPLES)) == ids(SAMPLES)
    assert [stored_split(data, split) for split in data.splits] == ["train", "val", "train"]


def test_with_val_for_selection_the_whole_of_train_is_trained_on() -> None:
    data = data_of(roles_of(Path("d"), ["train", "val", "test"]))
    assert part_of(data, "train", SAMPLES) == SAMPLES
    reporting_val = data_of(roles_of(Path("d"), ["train", "val", "test"], "val"))
    assert len(part_of(reporting_val, "train", SAMPLES)) == 270
    assert part_of(reporting_val, "test", SAMPLES) == SAMPLES


@pytest.mark.parametrize(("count", "held"), [(0, 0), (1, 0), (20, 10), (100, 16), (1000, 100), (9000, 500)])
def test_sizes_of_the_held_out_part_by_hand(count: int, held: int) -> None:
    assert len(held_out_ids([str(number) for number in range(count)])) == held


@given(st.lists(st.text(), unique=True, max_size=60), st.randoms())
def test_what_is_held_out_depends_on_the_ids_alone(names: list[str], random: object) -> None:
    shuffled = list(names)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert held_out_ids(names) == held_out_ids(shuffled)
    samples = [Sample(name, Path(), None) for name in names]
    again = [Sample(name, Path(), None) for name in shuffled]
    assert [s.sample_id for s in mixed(samples)] == [s.sample_id for s in mixed(again)]
    assert ids(mixed(samples)) == set(names)


def test_mixed_by_hand_and_no_class_comes_first() -> None:
    # sha256: "a" ca97…, "b" 3e23…, "c" 2e7d…, "d" 18ac…
    samples = [replace(SAMPLES[0], sample_id=name) for name in "abcd"]
    assert [sample.sample_id for sample in mixed(samples)] == ["d", "c", "b", "a"]
    by_class = [Sample(f"{label}/{number}", Path(), label) for label in range(5) for number in range(40)]
    assert {sample.target for sample in mixed(by_class)[:32]} == set(range(5))
