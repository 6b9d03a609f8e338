"""Ignored values that hide a class are refused or told, and answers without a class or one value off are named."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.errors import DataError
from harness.protocols import DataContext
from tasks.datasets.label_values import segment_notes
from tasks.formats.coco_entries import Category
from tasks.formats.coco_panoptic import Panoptic, PanopticEntry, Segment
from tasks.segmentation.task import coco_segmentation

MakeContext = Callable[..., DataContext]


def folder_of(root: Path, splits: Mapping[str, Sequence[Any]], classes: str) -> Path:
    """Label folders of 8 x 8 px; each map is given as one row that is repeated."""
    for split, rows in splits.items():
        for number, row in enumerate(rows):
            for place in (root / f"images/{split}", root / f"annotations/{split}"):
                place.mkdir(parents=True, exist_ok=True)
            colour = (number, len(split), 0)
            Image.new("RGB", (8, 8), colour).save(root / f"images/{split}/{split}{number}.png")
            write_map(root / f"annotations/{split}/{split}{number}.png", row)
    (root / "classes.txt").write_text(classes)
    return root


def write_map(path: Path, row: Sequence[int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.tile(np.array(row, np.uint8), (8, 1))).save(path)


def opened(root: Path, make: MakeContext, split: str | None = None) -> Any:
    return coco_segmentation.open_data(make(root, split, classes=str(root / "classes.txt")))


HALF = [0] * 6 + [255] * 2


def test_masks_of_0_and_255_with_two_names_are_refused_with_the_lines_that_mend_it(
    tmp_path: Path, open_context: MakeContext
) -> None:
    root = folder_of(tmp_path / "masks", {"train": [HALF] * 3, "val": [HALF]}, "background\nforeground\n")
    message = (
        r"255 is ignored, which is 25.0% of all pixels, and only 'background' \(value 0\) is left to be scored, since "
        r"no label image shows 'foreground' \(value 1\). If 255 means a class.*`0 background`, `255 foreground`"
    )
    with pytest.raises(DataError, match=message):
        opened(root, open_context)
    (root / "classes.txt").write_text("0 background\n255 foreground\n")
    data = opened(root, open_context)
    assert data.notes == ()
    samples = coco_segmentation.samples(data, "val")
    write_map(tmp_path / "answers/val0.png", [0] * 8)
    outcomes = coco_segmentation.read_predictions(tmp_path / "answers", data)
    with coco_segmentation.scorer(data, tmp_path) as scorer:
        assert scorer.score(samples, outcomes)["mIoU"].value == pytest.approx(0.375), "(6/8 + 0) / 2"
        assert list(scorer.notes(samples, outcomes)) == []


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ("one\n", r"only 'one' \(value 0\) is left to be scored\. If 255 .*`0 one`, `255 NAME`"),
        ("1 wall\n2 sky\n", r"0 and 255 are ignored, which is 100.0% of all pixels, and no class is left"),
        ("0 a\n1 b\n255 void\n", r"255 is ignored, .*no label image shows 'b' \(value 1\)"),
    ],
)
def test_ignored_values_that_leave_one_class_are_refused_whatever_ignores_them(
    classes: str, message: str, tmp_path: Path, open_context: MakeContext
) -> None:
    root = folder_of(tmp_path / "masks", {"train": [HALF] * 3, "val": [HALF]}, classes)
    with pytest.raises(DataError, match=message):
        opened(root, open_context)


def test_a_class_that_nothing_shows_beside_many_ignored_pixels_is_told(
    tmp_path: Path, open_context: MakeContext
) -> None:
    rows = [0, 0, 0, 0, 1, 1, 255, 255]
    root = folder_of(tmp_path / "masks", {"train": [rows] * 3, "val": [rows]}, "a\nb\nc\n")
    data = opened(root, open_context)
    texts = list(map(str, data.notes))
    assert texts[0].startswith(
        "no label image shows 'c', 1 of 3 classes, while the ignored value 255 (25.0% of pixels) abounds"
    )
    assert "split val: no label image shows 1 of 3 classes (first: 'c'): no mean counts them" in texts
    assert (data.notes[0].count, data.notes[0].total) == (1, 3)


def test_values_outside_the_list_are_named_when_the_data_is_opened(tmp_path: Path, open_context: MakeContext) -> None:
    root = folder_of(tmp_path / "masks", {"train": [[0] * 4 + [1] * 4] * 3, "val": [[0, 7, 1, 1] * 2]}, "a\nb\n")
    with pytest.raises(DataError, match=r"val0.png has the label 7 in 16 pixels .*2 classes, values 0..1; ignored"):
        opened(root, open_context)


def test_counts_are_kept_and_made_again_where_they_were_changed(tmp_path: Path, open_context: MakeContext) -> None:
    root = folder_of(tmp_path / "masks", {"train": [[0] * 4 + [1] * 4] * 3, "val": [[0] * 4 + [1] * 4]}, "a\nb\nc\n")
    first = opened(root, open_context).notes
    kept = sorted((tmp_path / "cache/label-values").iterdir())
    assert len(kept) == 2
    for path in kept:
        path.write_text(path.read_text().replace('"1": ', '"2": '))
    assert opened(root, open_context).notes == first
    assert len(first) == 2


def test_voc_masks_of_one_class_are_refused_too(voc_folder: Path, open_context: MakeContext) -> None:
    for path in voc_folder.rglob("SegmentationClass/*.png"):
        write_map(path, [0] * 20 + [255] * 20)
        Image.open(path).resize((40, 30), Image.Resampling.NEAREST).save(path)
    with pytest.raises(
        DataError, match=r"SegmentationClass: 255 is ignored, which is 50.0% of all pixels, and only 'bac"
    ):
        coco_segmentation.open_data(open_context(voc_folder))


def test_answers_of_zero_based_values_against_a_truth_from_one_are_named(
    tmp_path: Path, open_context: MakeContext
) -> None:
    rows = [1, 1, 2, 2, 3, 3, 3, 3]
    root = folder_of(tmp_path / "ade", {"train": [rows] * 3, "val": [rows]}, "1 wall\n2 sky\n3 tree\n")
    data = opened(root, open_context)
    samples = coco_segmentation.samples(data, "val")
    for name, answer, expected in (
        (
            "low",
            [value - 1 for value in rows],
            "one too low: shifted by one they agree with 100.0% of the pixels, as the",
        ),
        ("right", rows, ""),
    ):
        write_map(tmp_path / name / "val0.png", answer)
        outcomes = coco_segmentation.read_predictions(tmp_path / name, data)
        with coco_segmentation.scorer(data, tmp_path) as scorer:
            notes = list(map(str, scorer.notes(samples, outcomes)))
            score = scorer.score(samples, outcomes)["mIoU"].value
        if not expected:
            assert (score, notes) == (1.0, [])
            continue
        assert score == 0.0
        assert notes[0].startswith(
            "25.0% of the pixels that are asked for are answered with no class (0 and 255 are no"
        )
        assert expected in notes[1]


def test_panoptic_categories_without_a_segment_are_told(panoptic_folder: Path, open_context: MakeContext) -> None:
    notes = list(map(str, coco_segmentation.open_data(open_context(panoptic_folder)).notes))
    assert notes[:-1] == ["split train: no label image shows 1 of 3 classes (first: 'cat'): no mean counts them"]


def test_borders_beside_one_class_are_no_hidden_class(tmp_path: Path, open_context: MakeContext) -> None:
    """Six images of one class with 1 pixel of 384 at 255, 0.3 %: the other class is just not there."""
    root = folder_of(tmp_path / "masks", {"val": [[0] * 8] * 6}, "background\nforeground\n")
    labels = np.zeros((8, 8), np.uint8)
    labels[0, 0] = 255
    Image.fromarray(labels).save(root / "annotations/val/val0.png")
    notes = [str(note) for note in opened(root, open_context).notes]
    assert len(notes) == 1 and "no label image shows 1 of 2 classes (first: 'foreground')" in notes[0]


def entry_of(areas: Sequence[int | None]) -> PanopticEntry:
    """An image of 100 px; the second segment is a crowd."""
    segments = tuple(Segment(number, 1, number == 2, area) for number, area in enumerate(areas, start=1))
    return PanopticEntry(1, Path("a.png"), 10, 10, Path("b.png"), segments)


@pytest.mark.parametrize(
    ("areas", "told"),
    [
        ([40, 50], ["split val: 60.0% of pixels are unlabelled or crowds, by the stated areas, and are not scored"]),
        ([50, 50], []),
        ([40, None], ["split val: 60.0% of pixels are unlabelled or crowds, by the stated areas, and are not scored"]),
        ([None, 50], []),
    ],
)
def test_unlabelled_pixels_of_panoptic_data_are_told(areas: Sequence[int | None], told: Sequence[str]) -> None:
    panoptic = Panoptic((entry_of(areas),), (Category(1, "cat", {"isthing": 1}),), ())
    assert [str(note) for note in segment_notes({"val": panoptic})] == told
