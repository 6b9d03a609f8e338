"""Scenes as labels: tracks, conditions, which kinds are classes, and ceilings that are the oracle's."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from harness.sample import Dataset
from tasks.scenes.factors import KINDS, SHAPES
from tasks.scenes.generate import write_splits
from tasks.scenes.layout import image_dir
from tasks.scenes.oracle import ceilings, context_cells
from tasks.scenes.splits import SPLITS
from tasks.scenes_data.labels import (
    CLOSED_KINDS,
    CONDITIONS,
    OPEN_KINDS,
    kind_classes,
    open_label_samples,
    read_scene_rows,
    scene_label_ceilings,
    scene_label_samples,
    shape_classes,
)
from tasks.scenes_data.open import OPEN

FEW = 16


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("every-split")
    write_splits(folder, list(SPLITS), processes=2, limit=FEW)
    return folder


def track_of(root: Path, track: str | None) -> Dataset:
    return Dataset("scenes", root, "", "scenes", (*SPLITS, OPEN), "train", "val", "test", {"track": track})


def test_kinds_by_tier() -> None:
    assert [len(kinds) for kinds in (KINDS, CLOSED_KINDS, OPEN_KINDS)] == [40, 32, 32]
    closed = kind_classes(CLOSED_KINDS, [(kind.name,) for kind in CLOSED_KINDS])
    opened = kind_classes(OPEN_KINDS, [(kind.name,) for kind in OPEN_KINDS])
    assert (sum(closed.seen), sum(opened.seen)) == (32, 24)
    striped = opened.names.index(next(name for name in opened.names if "striped" in name))
    assert all(sum(row) == 3 for row in opened.attributes), "a shape, a pattern and a part"
    assert len(opened.attributes[striped]) == 10 + 5 + 4
    shapes = shape_classes([(shape,) for shape in SHAPES])
    assert (shapes.names, sum(shapes.seen), sum(map(sum, shapes.attributes))) == (SHAPES, 10, 10)


def test_track_plain_asks_each_image_for_its_biggest_object(root: Path) -> None:
    data = track_of(root, "plain")
    rows = {str(row["id"]): row for row in read_scene_rows(data, "test")}
    samples = scene_label_samples(data, "test", "plain")
    assert [sample.sample_id for sample in samples] == [key for key, row in rows.items() if row["target"] is not None]
    for sample in samples:
        row = rows[sample.sample_id]
        assert CLOSED_KINDS[sample.target.label].name == row["target"]["kind"]
        assert (sample.text, sample.target.image_id) == (None, sample.sample_id)
        assert sample.target.slices == ("night" if row["light"] == "night" else "clear",)
        assert sample.image == image_dir(root, "test") / row["file_name"] and sample.image.is_file()


def test_track_context_trains_under_the_drawn_condition_and_asks_under_all(root: Path) -> None:
    data = track_of(root, "context")
    rows = {str(row["id"]): row for row in read_scene_rows(data, "train")}
    train = scene_label_samples(data, "train", "context")
    assert len({sample.target.image_id for sample in train}) == len(train), "one remark an image"
    for sample in train:
        image, _, condition = sample.sample_id.partition("-")
        assert condition == rows[image]["remark_condition"]
        assert sample.text == rows[image]["remarks"][condition]
    assert len({sample.sample_id.partition("-")[2] for sample in train}) > 1
    for split in ("val", "test", "style"):
        asked = scene_label_samples(data, split, "context")
        plain = scene_label_samples(data, split, "plain")
        assert [s.sample_id for s in asked] == [f"{s.sample_id}-{c}" for s in plain for c in CONDITIONS]
        assert Counter(s.target.label for s in asked) == Counter(s.target.label for s in plain for _ in CONDITIONS)
        assert all(s.target.slices[0].endswith(f" {s.sample_id.partition('-')[2]}") for s in asked)
        assert {s.text for s in asked if s.sample_id.endswith("-absent")} == {""}
        honest, misleading = ([s.text for s in asked if s.sample_id.endswith(f"-{c}")] for c in (
            "honest", "misleading"))  # fmt: skip
        assert all(one != other for one, other in zip(honest, misleading, strict=True))


def test_track_reference_asks_for_the_shape_that_is_meant(root: Path) -> None:
    data = track_of(root, "reference")
    rows = {str(row["id"]): row["expression"] for row in read_scene_rows(data, "refer")}
    samples = scene_label_samples(data, "refer", "reference")
    assert [sample.sample_id for sample in samples] == [key for key, expression in rows.items() if expression]
    for sample in samples:
        expression = rows[sample.sample_id]
        assert (SHAPES[sample.target.label], sample.text) == (expression["shape"], expression["text"])
        assert sample.target.slices == (f"{expression['choices']} objects",)
    train = scene_label_samples(data, "train", "reference")
    most = Counter(sample.target.image_id for sample in train).most_common(1)[0][1]
    assert 1 < most <= 8, "several questions about an image in training"
    assert len({sample.sample_id for sample in train}) == len(train)


@pytest.mark.parametrize("split", SPLITS)
def test_ceilings_are_the_oracles(split: str, root: Path) -> None:
    rows = read_scene_rows(track_of(root, None), split)
    expected: Any = dict.fromkeys(("plain", "context", "reference")) | dict(ceilings(split, rows))
    for track in ("plain", "context", "reference"):
        data = track_of(root, track)
        samples = scene_label_samples(data, split, track)
        if not samples:
            assert split in (("twins",) if track == "reference" else ("novel", "novel-hard")), "night; no such class"
            continue
        found = scene_label_ceilings(data, split, samples)
        if expected[track] is None:
            assert found == {}, "this split was not drawn for the question"
            continue
        whole = found["top-1"]
        if track != "context":
            assert whole == {which: float(getattr(expected[track], which)) for which in ("vision", "text", "both")}
            assert set(found) == {"top-1"}
            continue
        if split == "train":
            continue
        cells = context_cells(split, rows)
        assert set(found) == {"top-1"} | {f"top-1[{light} {condition}]" for light, condition in cells}
        assert set(found) - {"top-1"} == {f"top-1[{name}]" for s in samples for name in s.target.slices}
        for (light, condition), cell in cells.items():
            assert found[f"top-1[{light} {condition}]"]["both"] == float(cell.both)
        for which in ("vision", "text", "both"):
            each = [Fraction(getattr(cell, which)) * cell.images for cell in cells.values()]
            assert whole[which] == pytest.approx(float(sum(each) / sum(cell.images for cell in cells.values())))


def test_ceilings_are_those_of_the_samples_that_are_asked_about(root: Path) -> None:
    data = track_of(root, "plain")
    samples = scene_label_samples(data, "test", "plain")
    for light, ceiling in (("night", 0.5), ("clear", 1.0)):
        part = [sample for sample in samples if sample.target.slices == (light,)]
        assert part
        assert scene_label_ceilings(data, "test", part)["top-1"]["vision"] == ceiling
    assert 0.5 < scene_label_ceilings(data, "test", samples)["top-1"]["vision"] < 1


def test_in_training_conditions_weigh_as_they_were_drawn(root: Path) -> None:
    data = track_of(root, "context")
    samples = scene_label_samples(data, "train", "context")
    drawn = Counter(sample.target.slices[0] for sample in samples)
    found = scene_label_ceilings(data, "train", samples)
    assert set(found) == {"top-1"} | {f"top-1[{name}]" for name in drawn}
    mean = sum(found[f"top-1[{name}]"]["both"] * count for name, count in drawn.items()) / len(samples)
    assert found["top-1"]["both"] == pytest.approx(mean)


def test_the_open_split_is_test_and_novel_mixed(root: Path) -> None:
    data = track_of(root, None)
    samples = open_label_samples(data, OPEN)
    parts = [open_label_samples(data, part) for part in ("test", "novel")]
    assert {s.sample_id for s in samples} == {s.sample_id for part in parts for s in part}
    assert len(samples) == sum(len(part) for part in parts)
    tiers = [OPEN_KINDS[sample.target.label].tier for sample in samples]
    assert set(tiers) == {"base", "novel"}
    assert set(tiers[: FEW // 2]) == {"base", "novel"}, "a limit takes of each"
    assert [s.sample_id for s in samples] == [s.sample_id for s in open_label_samples(data, OPEN)]
    assert all(sample.image.is_file() for sample in samples)


@pytest.mark.parametrize("split", ["train", "val"])
def test_no_novel_kind_is_trained_on_or_selects(split: str, root: Path) -> None:
    samples = open_label_samples(track_of(root, None), split)
    assert samples
    assert {OPEN_KINDS[sample.target.label].tier for sample in samples} == {"base"}


@pytest.mark.parametrize("opened", [True, False], ids=["zero-shot", "plain"])
def test_groups_are_pattern_and_badge_and_training_may_tie_them(root: Path, opened: bool) -> None:
    """By the rows themselves; which kinds the badge lures to is written out here once more."""
    data, kinds = track_of(root, "plain"), OPEN_KINDS if opened else CLOSED_KINDS
    rows = {str(row["id"]): row for row in read_scene_rows(data, "groups")}

    def read(own: Dataset, split: str) -> Any:
        return open_label_samples(own, split) if opened else scene_label_samples(own, split, "plain")

    samples = read(data, "groups")
    assert len(samples) == FEW
    for sample in samples:
        row = rows[sample.target.image_id]
        assert sample.target.slices == (f"{row['group']['label']} {row['badge']}",)
        pattern = {"disc": "striped", "bar": "dotted"}[row["badge"]]
        assert [kinds[n].pattern for n in sample.target.lured] == [k.pattern for k in kinds if k.pattern == pattern]
    assert not any(sample.target.lured for sample in read(data, "test"))
    biased = replace(data, training_split="groups-train", options={**data.options, "badge_agreement": 0.95})
    selected, ordinary = read(biased, "val"), read(data, "val")
    assert [s for s in ordinary if kinds[s.target.label].pattern in ("striped", "dotted")] == selected != ordinary
    assert read(biased, "groups-train") == read(data, "groups-train")
