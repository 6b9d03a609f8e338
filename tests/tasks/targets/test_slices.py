"""Slices of a split by what its targets say."""

from __future__ import annotations

from pathlib import Path

from harness.protocols import HasSlices
from harness.sample import Sample
from tasks.captioning.task import coco_caption
from tasks.detection.task import coco_detection
from tasks.targets.targets import BoxTarget, CaptionTarget


def test_captions_are_parted_into_thirds_by_their_length() -> None:
    lengths = [3, 4, 5, 8, 9, 10, 14, 15, 16]
    samples = [Sample(str(n), Path(), CaptionTarget((" ".join("w" * n),) * 2)) for n in lengths]
    assert isinstance(coco_caption, HasSlices)
    found = coco_caption.slices(samples)["caption length"]
    assert {name: list(places) for name, places in found.items()} == {
        "up to 8.0 words": [0, 1, 2, 3],
        "between": [4, 5, 6],
        "over 14.0 words": [7, 8],
    }
    assert coco_caption.slices(samples[:1] * 5) == {}


def test_images_are_parted_by_their_largest_object_and_by_how_many_there_are() -> None:
    def sample(*areas_px2: float, crowd: bool = False) -> Sample:
        boxes = tuple((0.0, 0.0, area / 400 / 400, 1.0) for area in areas_px2)
        labels, crowds = (0,) * len(boxes), (crowd,) * len(boxes)
        return Sample("1", Path(), BoxTarget("1", 400, 400, boxes, labels, crowds))

    samples = [
        sample(1000),
        sample(1000, 1025),
        sample(9215, 9217, 10),
        sample(),
        sample(*[9.0] * 6),
        sample(99, crowd=True),
    ]
    assert isinstance(coco_detection, HasSlices)
    found = coco_detection.slices(samples)
    assert found["largest object"] == {"small": [0, 4], "medium": [1], "large": [2], "none": [3, 5]}
    assert found["objects"] == {"one": [0], "2 to 4": [1, 2], "none": [3, 5], "5 or more": [4]}
