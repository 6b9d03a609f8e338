"""Targets follow their moved images: what is right stays right, by hand, at random, and through the real scorers."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hotcoco import mask as coco
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.affine import Affine
from harness.answers import IGNORED, encode_label_map
from harness.perturb.image.geometry import GEOMETRY, apply_affine, warp_labels
from harness.protocols import DataContext, MovesTargets, MovesTexts
from harness.sample import Outcome, Sample
from tasks.captioning.propositions import proposition_statistics
from tasks.captioning.task import coco_caption
from tasks.classification.task import image_classification
from tasks.classification.zero_shot import zero_shot_classification
from tasks.detection.task import coco_detection
from tasks.formats.coco_instances import ImageObjects
from tasks.formats.segmentations import check_segmentations
from tasks.segmentation.segments import labels_of_segments, true_segments
from tasks.segmentation.task import coco_segmentation
from tasks.targets.moved import moved_boxes
from tasks.targets.targets import BoxTarget, LabelTarget

MakeContext = Callable[..., DataContext]
Mask = npt.NDArray[np.uint8]
FLIP = Affine((-1, 0, 1, 0, 1, 0), mirrored=True)
NAMED = {perturbation.name: perturbation for perturbation in GEOMETRY}
CASES = [(name, severity) for name, one in NAMED.items() for severity in one.severities]
KINDS = ("box", "runs", "listed", "polygon")


DRAWN = 1.5
"""So many px a drawn mask may differ from its outline: a pixel, and half of one by the rounding of corners."""


def drawn(name: str, severity: int, size: tuple[int, int], seed: int = 0) -> Affine:
    return NAMED[name].affine(*size, severity, np.random.default_rng(seed))


def target_of(mask: Mask, kind: str = "runs", polygon: Sequence[float] = (), crowd: bool = False) -> BoxTarget:
    """An image with one object, as it is read from a file."""
    height, width = mask.shape
    runs = coco.encode(np.asfortranarray(mask))
    box = coco.toBbox(runs)[None].astype(np.float64)
    listed = {"size": [height, width], "counts": counts_of(mask)}
    segmentation: Any = {"box": None, "runs": runs, "listed": listed, "polygon": [list(polygon)]}[kind]
    objects = ImageObjects(
        np.array([77]), np.array([3]), box, box.copy(), np.array([float(mask.sum())]), np.array([crowd]),
        (segmentation,),
    )  # fmt: skip
    fractions = tuple((box[0] / [width, height, width, height]).tolist())
    return BoxTarget("5", width, height, (fractions,), (3,), (crowd,), objects)


def counts_of(mask: Mask) -> list[int]:
    """Run lengths as COCO writes those of crowds, not compressed."""
    flat = [0, *mask.T.ravel().tolist()]
    edges = [place for place in range(1, len(flat)) if flat[place] != flat[place - 1]]
    return [stop - start for start, stop in pairwise([1, *edges, len(flat)])]


def rectangle(width: int, height: int, x: int, y: int, w: int, h: int, kind: str = "runs") -> BoxTarget:
    mask = np.zeros((height, width), np.uint8)
    mask[y : y + h, x : x + w] = 1
    return target_of(mask, kind, (x, y, x + w, y, x + w, y + h, x, y + h))


def px_boxes(target: BoxTarget) -> npt.NDArray[np.float64]:
    sides = [target.width_px, target.height_px, target.width_px, target.height_px]
    return np.array(target.boxes).reshape(-1, 4) * sides


def mask_of(target: BoxTarget) -> Mask:
    assert target.objects is not None
    (segmentation,) = target.objects.segmentations
    runs: Any = segmentation
    if isinstance(segmentation, list):
        runs = coco.merge(coco.frPyObjects(segmentation, target.height_px, target.width_px))
    return coco.decode(runs)


@pytest.mark.parametrize("kind", KINDS)
def test_boxes_by_hand(kind: str) -> None:
    target = rectangle(40, 30, 4, 6, 10, 12, kind)
    flipped = moved_boxes(target, FLIP)
    assert px_boxes(flipped) == pytest.approx(np.array([[26, 6, 10, 12]]))
    assert (flipped.labels, flipped.crowd, flipped.image_id) == ((3,), (False,), "5")
    assert flipped.objects is not None and flipped.objects.areas.tolist() == [120]
    assert flipped.objects.stated_boxes.tolist() == [[26, 6, 10, 12]] and flipped.objects.annotation_ids == [77]
    half_out = moved_boxes(target, Affine((1, 0, -9 / 40, 0, 1, 0)))
    assert px_boxes(half_out) == pytest.approx(np.array([[0, 6, 5, 12]]))
    assert half_out.crowd == (False,) and half_out.objects is not None
    assert half_out.objects.areas == pytest.approx([60])
    nearly_out = moved_boxes(target, Affine((1, 0, -12 / 40, 0, 1, 0)))
    assert px_boxes(nearly_out) == pytest.approx(np.array([[0, 6, 2, 12]])) and nearly_out.crowd == (True,)
    assert nearly_out.objects is not None and nearly_out.objects.iscrowd.tolist() == [True]
    out = moved_boxes(target, Affine((1, 0, -14 / 40, 0, 1, 0)))
    assert (out.boxes, out.labels, out.crowd) == ((), (), ()) and out.objects is not None and len(out.objects) == 0
    doubled = moved_boxes(target, Affine((2, 0, 0, 0, 2, 0)))
    assert px_boxes(doubled) == pytest.approx(np.array([[8, 12, 20, 18]]))  # 6 rows of 24 are cut off
    assert doubled.objects is not None and doubled.objects.areas == pytest.approx([20 * 18])


def test_exactly_a_quarter_is_enough_and_a_crowd_stays_one() -> None:
    quarter, less = (Affine((1, 0, -cut / 40, 0, 1, 0)) for cut in (15, 16))
    target = rectangle(40, 30, 0, 0, 20, 10)
    assert moved_boxes(target, quarter).crowd == (False,) and moved_boxes(target, less).crowd == (True,)
    crowd = target_of(np.ones((30, 40), np.uint8), crowd=True)
    assert moved_boxes(crowd, FLIP).crowd == (True,)


def test_a_box_turns_to_the_one_around_its_corners_and_a_mask_to_its_own() -> None:
    turn = drawn("rotate", 5, (100, 100))  # 45 degrees: a square becomes a diamond, a circle stays one
    y, x = np.mgrid[:100, :100] + 0.5
    circle = ((x - 50) ** 2 + (y - 50) ** 2 <= 400).astype(np.uint8)
    reach = 20 * 2**0.5
    assert px_boxes(moved_boxes(target_of(circle, "box"), turn)) == pytest.approx(
        np.array([[50 - reach, 50 - reach, 2 * reach, 2 * reach]])
    )
    assert px_boxes(moved_boxes(target_of(circle), turn)) == pytest.approx(np.array([[30, 30, 40, 40]]), abs=1)
    square = rectangle(100, 100, 30, 30, 40, 40, "polygon")
    assert px_boxes(moved_boxes(square, turn)) == pytest.approx(
        np.array([[50 - reach, 50 - reach, 2 * reach, 2 * reach]])
    )


def test_objects_that_stay_keep_their_places_in_the_row() -> None:
    boxes = ((0.0, 0.0, 0.1, 0.2), (0.5, 0.5, 0.2, 0.2), (0.9, 0.9, 0.1, 0.1))
    target = BoxTarget("1", 50, 80, boxes, (4, 5, 6), (False, True, False))
    moved = moved_boxes(target, Affine((1, 0, -0.3, 0, 1, 0)))
    assert moved.labels == (5, 6) and moved.crowd == (True, False) and moved.objects is None
    np.testing.assert_allclose(moved.boxes, [(0.2, 0.5, 0.2, 0.2), (0.6, 0.9, 0.1, 0.1)])
    nothing = BoxTarget("1", 50, 80, (), (), ())
    assert moved_boxes(nothing, FLIP) == nothing


def test_boxes_that_are_stated_beside_their_masks_stay_as_stated() -> None:
    """COCO's boxes and areas have parts of pixels that no drawn mask has; flipping must not cost them."""
    polygon = (4.3, 6.2, 14.7, 6.9, 12.2, 18.4)
    runs = coco.merge(coco.frPyObjects([list(polygon)], 30, 40))
    target = target_of(coco.decode(runs), "polygon", polygon)
    assert target.objects is not None
    target.objects.boxes[0] = target.objects.stated_boxes[0] = [4.3, 6.2, 10.4, 12.2]
    target.objects.areas[0] = 59.97
    flipped = moved_boxes(target, FLIP)
    assert px_boxes(flipped) == pytest.approx(np.array([[25.3, 6.2, 10.4, 12.2]]))
    assert flipped.objects is not None and flipped.objects.areas.tolist() == [59.97]
    again = moved_boxes(flipped, FLIP)
    assert again.objects is not None
    np.testing.assert_allclose(again.objects.stated_boxes, target.objects.stated_boxes, atol=1e-12)
    np.testing.assert_allclose(again.objects.segmentations[0], [polygon], atol=1e-12)


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(CASES), st.sampled_from(KINDS), st.tuples(st.integers(8, 80), st.integers(8, 80)),
    st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_a_moved_box_is_the_one_around_the_moved_mask(
    case: tuple[str, int], kind: str, size: tuple[int, int], seed: int
) -> None:
    width, height = size
    source = np.random.default_rng(seed)
    x, y = int(source.integers(0, width - 3)), int(source.integers(0, height - 3))
    w, h = int(source.integers(3, width - x + 1)), int(source.integers(3, height - y + 1))
    target = rectangle(width, height, x, y, w, h, kind)
    affine = drawn(*case, size, seed)
    moved = moved_boxes(target, affine)
    image = np.zeros((height, width), np.uint8)
    image[y : y + h, x : x + w] = 1
    seen = warp_labels(image, affine, 0)
    if not moved.boxes:
        assert seen.sum() <= 2 * (width + height) * 0.25 and seen.sum() <= max(3, 0.05 * image.sum())
        return
    box = px_boxes(moved)[0]
    assert (np.array(moved.boxes) >= 0).all() and (box[:2] + box[2:] <= np.array(size) + 1e-9).all()
    assert moved.objects is not None and len(moved.objects) == 1 and moved.objects.areas[0] > 0
    check_segmentations(moved.objects.segmentations, [size], lambda _: "the moved mask")
    if seen.any() and case[0] not in ("rotate", "shear"):
        around = coco.toBbox(coco.encode(np.asfortranarray(seen)))
        assert (
            np.abs(box[:2] - around[:2]).max() <= DRAWN
            and np.abs(box[:2] + box[2:] - around[:2] - around[2:]).max() <= DRAWN
        )
    if seen.any() and kind != "box":
        around = coco.toBbox(coco.encode(np.asfortranarray(mask_of(moved))))
        assert (
            np.abs(box[:2] - around[:2]).max() <= DRAWN
            and np.abs(box[:2] + box[2:] - around[:2] - around[2:]).max() <= DRAWN
        )
        growth = abs(np.linalg.det(np.reshape(affine.matrix, (2, 3))[:, :2]))
        slack = 1.5 * (box[2] + box[3]) + 4
        assert moved.objects.areas[0] == pytest.approx(seen.sum(), abs=slack)
        assert moved.objects.areas[0] <= image.sum() * growth + 1e-6


@pytest.mark.parametrize(("name", "severity"), CASES)
def test_masks_move_with_their_pixels(name: str, severity: int) -> None:
    size = (160, 120)
    y, x = np.mgrid[:120, :160] + 0.5
    mask = ((x - 70) ** 2 / 40**2 + (y - 55) ** 2 / 25**2 <= 1).astype(np.uint8)
    picture = np.where(mask[..., None] == 1, np.array([230, 20, 20], np.uint8), np.array([10, 10, 10], np.uint8))
    affine = drawn(name, severity, size, seed=3)
    red = apply_affine(picture, affine)
    shown = (red[..., 0] > 127) & (red[..., 1] < 100)
    moved = mask_of(moved_boxes(target_of(mask), affine)) == 1
    assert (moved & shown).sum() / (moved | shown).sum() > 0.95


def objects_of(open_context: MakeContext, wish: Path | str) -> tuple[Any, Sequence[Sample]]:
    data = coco_detection.open_data(open_context(wish))
    return data, coco_detection.samples(data, data.default_split)


def moved_samples(task: MovesTargets, samples: Sequence[Sample], case: tuple[str, int]) -> list[Sample]:
    found = []
    for number, sample in enumerate(samples):
        affine = drawn(*case, (sample.target.width_px, sample.target.height_px), number)
        found.append(Sample(sample.sample_id, sample.image, task.moved(sample.target, affine), sample.text))
    return found


def found_again(sample: Sample) -> Outcome:
    """What a perfect detector says of the moved image: the objects that count."""
    target = sample.target
    rows = zip(target.labels, target.boxes, target.crowd, strict=True)
    return Outcome(sample.sample_id, [[label, 0.9, *box] for label, box, crowd in rows if not crowd])


@pytest.mark.parametrize("case", CASES)
def test_perfect_answers_stay_perfect_for_boxes_and_maps(
    case: tuple[str, int], few_scenes: Path, open_context: MakeContext
) -> None:
    data, samples = objects_of(open_context, "scenes")
    moved = moved_samples(coco_detection, samples, case)
    with coco_detection.scorer(data, few_scenes) as scorer:
        scorer.prepare(samples)
        first = scorer.score(moved, [found_again(sample) for sample in moved])["AP"]
    assert first is not None and first.value == pytest.approx(1)
    maps = coco_segmentation.open_data(open_context("scenes"))
    moved = moved_samples(coco_segmentation, coco_segmentation.samples(maps, "open"), case)
    answers = []
    for sample in moved:
        labels = sample.target.label_map()
        answers.append(Outcome(sample.sample_id, encode_label_map(np.where(labels == IGNORED, 0, labels))))
    with coco_segmentation.scorer(maps, few_scenes) as scorer:
        scorer.prepare(moved)
        scores = scorer.score(moved, answers)
    assert scores["mIoU"] is not None and scores["mIoU"].value == 1.0
    assert scores["PQ-St"] is not None and scores["PQ-St"].value == 1.0


def test_flipping_real_objects_twice_gives_them_back(coco_mini: Path, open_context: MakeContext) -> None:
    _, samples = objects_of(open_context, coco_mini)
    for sample in samples[:40]:
        again = moved_boxes(moved_boxes(sample.target, FLIP), FLIP)
        assert (again.labels, again.crowd) == (sample.target.labels, sample.target.crowd)
        np.testing.assert_allclose(again.boxes or np.zeros((0, 4)), sample.target.boxes or np.zeros((0, 4)), atol=1e-9)
        np.testing.assert_array_equal(again.objects.areas, sample.target.objects.areas)
        np.testing.assert_allclose(again.objects.stated_boxes, sample.target.objects.stated_boxes, atol=1e-9)


@pytest.mark.parametrize("case", [("rotate", 3), ("crop", 4), ("flip", 1)])
def test_perfect_answers_stay_perfect_on_real_photographs(
    case: tuple[str, int], coco_mini: Path, open_context: MakeContext
) -> None:
    data, samples = objects_of(open_context, coco_mini)
    moved = moved_samples(coco_detection, samples, case)
    with coco_detection.scorer(data, coco_mini) as scorer:
        first = scorer.score_first(moved, [found_again(sample) for sample in moved])  # type: ignore[attr-defined]
    assert first is not None and first.value > 0.999


def test_label_maps_and_segments_by_hand(panoptic_folder: Path, open_context: MakeContext) -> None:
    data = coco_segmentation.open_data(open_context(panoptic_folder))
    target = next(s.target for s in coco_segmentation.samples(data, "val") if s.sample_id == "2")
    before, segments = target.label_map(), true_segments(target)
    right = Affine((1, 0, 12 / 40, 0, 1, 0))  # the cat at columns 30 to 38 leaves
    moved = coco_segmentation.moved(target, right)
    labels, gone = moved.label_map(), true_segments(moved)
    assert (labels[:, 12:] == before[:, :-12]).all() and (labels[:, :12] == IGNORED).all()
    assert labels.dtype == np.uint16
    assert {info["id"] for info in segments.segments_info} - {info["id"] for info in gone.segments_info} == {12}
    assert (gone.ids[:, 12:] == segments.ids[:, :-12]).all() and (gone.ids[:, :12] == 0).all()
    twice = coco_segmentation.moved(coco_segmentation.moved(target, FLIP), FLIP)
    assert (twice.label_map() == before).all() and (true_segments(twice).ids == segments.ids).all()
    assert pickle.loads(pickle.dumps(moved)) == moved
    assert (target.label_map() == before).all(), "the original stays"


@pytest.mark.parametrize("case", CASES)
def test_segments_and_label_map_tell_the_same(
    case: tuple[str, int], few_scenes: Path, open_context: MakeContext
) -> None:
    """Each id that is left has pixels, and its category is what the label map says there."""
    data = coco_segmentation.open_data(open_context("scenes"))
    samples = coco_segmentation.samples(data, "open")[:6]
    categories = coco_segmentation.scorer(data, few_scenes).panoptic.categories  # type: ignore[attr-defined]
    index = {category.category_id: number for number, category in enumerate(categories)}
    lost = 0
    for before, after in zip(samples, moved_samples(coco_segmentation, samples, case), strict=True):
        segments = true_segments(after.target)
        left, all_ids = ({i["id"]: i["category_id"] for i in s} for s in (segments.segments_info, infos_of(before)))
        assert left.items() <= all_ids.items() and left
        assert set(np.unique(segments.ids).tolist()) - {0} == set(left)
        assert (labels_of_segments(segments, index, IGNORED) == after.target.label_map()).all()
        lost += len(all_ids) - len(left)
    assert lost if case == ("crop", 5) else lost >= 0


def infos_of(sample: Sample) -> Sequence[Any]:
    return true_segments(sample.target).segments_info


def test_captions_and_their_facts_are_mirrored(few_scenes: Path, open_context: MakeContext) -> None:
    data = coco_caption.open_data(open_context("scenes"))
    samples = coco_caption.samples(data, "train")
    still = drawn("rotate", 3, (128, 128))
    mirrored, sideways = [], 0
    for sample in samples:
        assert coco_caption.moved(sample.target, still) == sample.target
        target = coco_caption.moved(sample.target, FLIP)
        assert coco_caption.moved(target, FLIP) == sample.target
        mirrored.append(Sample(sample.sample_id, sample.image, target))
        sideways += sum(a != b for a, b in zip(target.references, sample.target.references, strict=True))
    assert sideways > 0
    for number in range(5):  # a caption says as much that is true of the mirrored image as it did of the other
        plain = {sample.sample_id: sample.target.references[number] for sample in samples}
        turned = {sample.sample_id: sample.target.references[number] for sample in mirrored}
        one, other = proposition_statistics(samples, plain), proposition_statistics(mirrored, turned)
        np.testing.assert_array_equal(one["proposition-F1"].parts, other["proposition-F1"].parts)
        assert other["proposition-precision"].value == 1.0


def test_labels_stay_and_texts_beside_images_are_mirrored() -> None:
    for task in (image_classification, zero_shot_classification):
        assert isinstance(task, MovesTargets) and isinstance(task, MovesTexts)
        target = LabelTarget(3, slices=("night",))
        assert task.moved(target, FLIP) == target
        assert task.moved_text("The leftmost red one.", FLIP) == "The rightmost red one."
        assert task.moved_text("The leftmost red one.", drawn("crop", 2, (9, 9))) == "The leftmost red one."
    for task in (coco_caption, coco_detection, coco_segmentation):
        assert isinstance(task, MovesTargets)
