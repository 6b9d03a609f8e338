"""Which data is taken, which part of it selects checkpoints, and what a sample is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DataError, UsageError
from harness.protocols import DataContext
from tasks.captioning.task import coco_caption, open_folder
from tasks.datasets.split_roles import HELD_OUT, held_out_ids

MakeCaptions = Callable[..., Path]


@pytest.fixture
def context(tmp_path: Path) -> DataContext:
    """A user without wishes in an empty folder."""
    (tmp_path / "here").mkdir()
    return DataContext(None, None, None, tmp_path / "here", tmp_path / "cache", lambda *_: None)


@pytest.fixture
def scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scenes take long to make; say only that they were asked for."""
    monkeypatch.setattr("tasks.scenes_data.open.open_scenes", lambda context: "scenes")


def test_the_order_is_wish_then_environment_then_folder_then_scenes(
    context: DataContext, scenes: None, captions_in: MakeCaptions, tmp_path: Path
) -> None:
    open_data: Any = coco_caption.open_data
    assert open_data(context) == "scenes"
    here = captions_in(context.working_directory / "data" / "coco", train=5, val=3)
    assert open_data(context).root == here
    there = captions_in(tmp_path / "there", train=5, val=4)
    environment = replace(context, environment=str(there))
    assert open_data(environment).root == there
    wished = captions_in(tmp_path / "wished", train=5, val=5)
    assert open_data(replace(environment, wish=str(wished))).root == wished
    assert open_data(replace(environment, wish="scenes")) == "scenes"
    assert open_data(replace(environment, wish="coco")).root == there
    assert open_data(replace(context, wish="coco")).root == here


@pytest.mark.parametrize(
    ("wish", "environment", "message"),
    [
        ("coco", None, "--data coco: COCO is not here .*here/data/coco.*BENCH_DATA.*--data scenes"),
        ("coco", "/no/such/coco", "--data coco: COCO is not here .*/no/such/coco"),
        (None, "/no/such/coco", "No folder /no/such/coco"),
        ("/no/such/data", None, "No folder /no/such/data"),
    ],
)
def test_data_that_is_not_there_is_an_error_and_never_something_else(
    wish: str | None, environment: str | None, message: str, context: DataContext, scenes: None
) -> None:
    with pytest.raises(DataError, match=message):
        coco_caption.open_data(replace(context, wish=wish, environment=environment))


def test_a_folder_that_is_called_coco_is_told_how_to_be_named(context: DataContext) -> None:
    (context.working_directory / "coco").mkdir(parents=True)
    with pytest.raises(DataError, match=r"For the folder \S*coco write --data \./coco\."):
        coco_caption.open_data(replace(context, wish="coco", environment=None))


@pytest.mark.parametrize("layout", ["2017", "2014", "plain"])
def test_held_out_and_train_share_nothing_and_are_all_of_train(
    layout: str, captions_in: MakeCaptions, tmp_path: Path
) -> None:
    data = open_folder(captions_in(tmp_path / "data", layout))
    assert (data.selection_split, data.default_split, data.splits) == (HELD_OUT, "val", ("train", "val", HELD_OUT))
    ids = {split: [sample.sample_id for sample in coco_caption.samples(data, split)] for split in data.splits}
    assert {split: len(found) for split, found in ids.items()} == {"train": 20, "val": 12, HELD_OUT: 16}
    assert not set(ids["train"]) & set(ids[HELD_OUT])
    assert sorted(ids["train"] + ids[HELD_OUT]) == [str(number) for number in range(101, 137)]
    assert ids["train"] == sorted(ids["train"])


def test_with_a_test_split_val_selects(captions_in: MakeCaptions, tmp_path: Path) -> None:
    root = captions_in(tmp_path / "data", "plain", train=6, val=4)
    content = json.loads((root / "annotations/captions_val.json").read_text())
    (root / "annotations/captions_test.json").write_text(json.dumps(content))
    data = open_folder(root)
    assert (data.selection_split, data.default_split, data.splits) == ("val", "test", ("train", "val", "test"))
    assert len(coco_caption.samples(data, "train")) == 6


@given(st.integers(1, 3000))
def test_a_tenth_is_held_out_within_bounds(count: int) -> None:
    ids = [str(number) for number in range(count)]
    held_out = held_out_ids(ids)
    assert held_out == held_out_ids(list(reversed(ids)))
    assert len(held_out) == min(max(16, count // 10), 500, count // 2)
    assert held_out <= set(ids)


def test_training_targets_are_all_that_a_model_is_told(captions_in: MakeCaptions, tmp_path: Path) -> None:
    data = open_folder(captions_in(tmp_path / "data", train=6, val=4))
    train = coco_caption.samples(data, "train")
    spec = coco_caption.spec(data, train)
    assert spec.training_targets == tuple(sample.target for sample in train)
    assert (spec.task, spec.answers, len(spec.classes)) == ("coco-caption", "captions", 0)


def test_a_split_that_is_not_there_is_named(captions_in: MakeCaptions, tmp_path: Path) -> None:
    data = open_folder(captions_in(tmp_path / "data", train=6, val=4))
    with pytest.raises(UsageError, match=r"No split 'vall' .*Did you mean 'val'"):
        coco_caption.samples(data, "vall")


def test_references_alone_are_a_data_set_for_scoring(captions_in: MakeCaptions, tmp_path: Path) -> None:
    root = captions_in(tmp_path / "data", train=6, val=4)
    data, samples = coco_caption.read_references(root / "annotations/captions_val2017.json")
    assert (data.name, data.layout, len(samples)) == ("captions_val2017", "references", 4)
    with pytest.raises(DataError, match=r"No file"):
        coco_caption.read_references(tmp_path / "no.json")
