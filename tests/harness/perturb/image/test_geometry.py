"""Movements are what they say in pixels; images, points and label maps move together, at any size down to 8 x 8."""

from __future__ import annotations

import math
from fractions import Fraction

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.affine import Affine
from harness.errors import UsageError
from harness.perturb.image.geometry import (
    GEOMETRY,
    OUTSIDE,
    apply_affine,
    label_origins,
    move_points_px,
    take_labels,
    warp_labels,
)
from harness.perturb.perturbation import GeometricPerturbation

IDENTITY = Affine((1, 0, 0, 0, 1, 0))
FLIP = Affine((-1, 0, 1, 0, 1, 0), mirrored=True)
NAMED = {perturbation.name: perturbation for perturbation in GEOMETRY}
CASES = [(name, severity) for name, one in NAMED.items() for severity in one.severities]
Pixels = npt.NDArray[np.uint8]

sizes = st.tuples(st.integers(8, 90), st.integers(8, 90))
cases = st.sampled_from(CASES)
seeds = st.integers(0, 2**32 - 1)


def drawn(name: str, severity: int, size: tuple[int, int], seed: int = 0) -> Affine:
    return NAMED[name].affine(*size, severity, np.random.default_rng(seed))


def picture(width: int, height: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def in_px(affine: Affine, width: int, height: int) -> npt.NDArray[np.float64]:
    """[2, 3] the map of places in px, worked out by moving three points."""
    corners = move_points_px(np.array([[0.0, 0], [1, 0], [0, 1]]), affine, 1, 1) * [width, height]
    origin, right, down = corners
    return np.column_stack([(right - origin) / width, (down - origin) / height, origin])


def test_they_are_perturbations_of_the_family() -> None:
    assert list(NAMED) == ["rotate", "shear", "scale", "translate", "flip", "crop"]
    for perturbation in GEOMETRY:
        assert isinstance(perturbation, GeometricPerturbation)
        assert (perturbation.family, perturbation.modality) == ("geometry", "image")
        assert perturbation.severities == ((1,) if perturbation.name == "flip" else (1, 2, 3, 4, 5))


def test_angles_are_true_in_pixels_of_an_image_that_is_not_square() -> None:
    seen = set()
    for severity, degrees in enumerate((5, 10, 20, 30, 45), start=1):
        for seed in range(8):
            matrix = in_px(drawn("rotate", severity, (200, 50), seed), 200, 50)
            angle = math.degrees(math.atan2(matrix[1, 0], matrix[0, 0]))
            assert abs(angle) == pytest.approx(degrees)
            np.testing.assert_allclose(matrix[:, :2] @ matrix[:, :2].T, np.eye(2), atol=1e-12)
            np.testing.assert_allclose(matrix @ [100, 25, 1], [100, 25], atol=1e-9)
            seen.add(angle > 0)
    assert seen == {True, False}


def test_shear_scale_translate_and_crop_are_what_they_say() -> None:
    for severity in range(1, 6):
        slant, factor = (0.05, 0.1, 0.2, 0.3, 0.5)[severity - 1], (1.1, 1.25, 1.5, 1.75, 2)[severity - 1]
        offset, kept = (0.05, 0.1, 0.15, 0.2, 0.3)[severity - 1], (0.95, 0.9, 0.8, 0.7, 0.5)[severity - 1]
        kinds = set()
        for seed in range(20):
            shear, scale, shift, crop = (
                in_px(drawn(name, severity, (60, 40), seed), 60, 40) for name in ("shear", "scale", "translate", "crop")
            )
            off = (shear[0, 1], shear[1, 0])
            assert sorted(np.abs(off)) == pytest.approx([0, slant])
            assert scale[0, 0] == pytest.approx(scale[1, 1])
            assert max(scale[0, 0], 1 / scale[0, 0]) == pytest.approx(factor)
            assert np.abs(shift[:, 2]) == pytest.approx([round(60 * offset), round(40 * offset)])
            assert (crop[0, 0], crop[1, 1], crop[0, 1]) == pytest.approx((1 / kept, 1 / kept, 0))
            window = -crop[:, 2] * kept  # where the window's left upper corner was
            assert (window >= -1e-9).all() and (window <= np.array([60, 40]) * (1 - kept) + 1e-9).all()
            kinds.add((off[0] != 0, sum(off) > 0, scale[0, 0] > 1, *(shift[:, 2] > 0)))
        assert {len({kind[i] for kind in kinds}) for i in range(5)} == {2}  # each side and axis is drawn


@given(cases, sizes, seeds)
def test_the_same_generator_gives_the_same_movement_whatever_the_resolution(
    case: tuple[str, int], size: tuple[int, int], seed: int
) -> None:
    one, again = drawn(*case, size, seed), drawn(*case, size, seed)
    assert one == again
    if case[0] != "translate":  # whole pixels of this size
        larger = drawn(*case, (size[0] * 3, size[1] * 3), seed)
        np.testing.assert_allclose(larger.matrix, one.matrix, atol=1e-12)


@given(sizes, seeds)
def test_identity_flip_and_whole_pixels_are_exact(size: tuple[int, int], seed: int) -> None:
    width, height = size
    pixels = picture(width, height, seed)
    labels = pixels[..., 0].astype(np.uint16) * 200
    assert (apply_affine(pixels, IDENTITY) == pixels).all()
    assert (apply_affine(pixels, FLIP) == pixels[:, ::-1]).all()
    assert (warp_labels(labels, IDENTITY, 9) == labels).all()
    assert (warp_labels(labels, FLIP, 9) == labels[:, ::-1]).all()
    right, down = 1 + seed % (width - 1), seed % (height - 1) - height // 2
    shift = Affine((1, 0, right / width, 0, 1, down / height))
    for image, fill in ((pixels, OUTSIDE), (labels, 9)):
        wanted = np.full_like(image, fill)
        rows, columns = np.mgrid[max(0, down) : height + min(0, down), right:width]
        wanted[rows, columns] = image[rows - down, columns - right]
        found = apply_affine(image, shift) if image is pixels else warp_labels(image, shift, 9)
        assert (found == wanted).all()


def test_exact_on_large_images_too() -> None:
    pixels = picture(2003, 11)
    assert (apply_affine(pixels, FLIP) == pixels[:, ::-1]).all()
    shifted = apply_affine(pixels, Affine((1, 0, 1501 / 2003, 0, 1, 0)))
    assert (shifted[:, 1501:] == pixels[:, : 2003 - 1501]).all() and (shifted[:, :1501] == OUTSIDE).all()


def test_a_case_by_hand() -> None:
    labels = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], dtype=np.uint8)
    half = Affine((2, 0, 0, 0, 2, 0))  # the left upper quarter fills the canvas
    assert warp_labels(labels, half, 0).tolist() == [[1, 1, 2, 2], [1, 1, 2, 2]]
    small = Affine((0.5, 0, 0.25, 0, 0.5, 0.25))  # around the centre: each centre comes from a corner of 4 pixels
    assert warp_labels(labels, small, 0).shape == (2, 4)
    turned = Affine((0, -0.5, 1 - 0.25, 2, 0, -0.5))  # a quarter to the right, in pixels, around the centre
    assert warp_labels(labels, turned, 0).tolist() == [[0, 6, 2, 0], [0, 7, 3, 0]]
    grey = np.repeat(np.array([[[0], [100], [200], [0]]], dtype=np.uint8), 3, axis=2).repeat(2, axis=0)
    moved = apply_affine(grey, Affine((1, 0, 0.5 / 4, 0, 1, 0)))  # half a pixel to the right
    assert moved[0, :, 0].tolist() == [64, 50, 150, 100]


@settings(max_examples=60, deadline=None)
@given(cases, sizes, seeds)
def test_pixels_go_where_points_go(case: tuple[str, int], size: tuple[int, int], seed: int) -> None:
    """Against OpenCV's own warp, whose matrix maps pixel centres: on smooth pictures both agree but for rounding."""
    width, height = size
    affine = drawn(*case, size, seed)
    y, x = np.mgrid[:height, :width]
    smooth = np.stack([x * 255 / width, y * 255 / height, (x + y) * 255 / (width + height)], -1).astype(np.uint8)
    matrix = in_px(affine, width, height)
    centre = matrix[:, 2] + matrix[:, :2] @ [0.5, 0.5] - 0.5
    wanted = cv2.warpAffine(
        smooth, np.column_stack([matrix[:, :2], centre]), size, flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT, borderValue=(OUTSIDE,) * 3,
    )  # fmt: skip
    moved = apply_affine(smooth, affine)
    difference = np.abs(moved.astype(int) - wanted)
    assert difference.max() <= 3 and difference.mean() < 0.5
    assert moved.dtype == np.uint8 and moved.shape == smooth.shape


@settings(max_examples=80, deadline=None)
@given(cases, st.tuples(st.integers(100, 180), st.integers(100, 180)), seeds)
def test_a_polygon_its_mask_and_its_picture_move_together(
    case: tuple[str, int], size: tuple[int, int], seed: int
) -> None:
    width, height = size
    affine = drawn(*case, size, seed)
    unit = np.array([[0.2, 0.25], [0.75, 0.15], [0.85, 0.8], [0.3, 0.85]])
    mask = filled(unit * [width, height], width, height)
    picture = np.where(mask[..., None] == 1, np.uint8(255), np.uint8(0)).repeat(3, axis=2)
    moved_mask = warp_labels(mask, affine, 0) == 1
    moved_picture = apply_affine(picture, affine)[..., 0] > OUTSIDE
    moved_polygon = filled(move_points_px(unit, affine, 1, 1) * [width, height], width, height) == 1
    seen = warp_labels(np.ones_like(mask), affine, 0) == 1
    assert iou(moved_mask, moved_picture) > 0.95
    assert iou(moved_mask, moved_polygon & seen) > 0.95


def filled(polygon: npt.NDArray[np.float64], width: int, height: int) -> Pixels:
    """Which pixel centres lie in a convex polygon."""
    y, x = np.mgrid[:height, :width] + 0.5
    sides = []
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        sides.append((x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) >= 0)
    return (np.all(sides, axis=0) | ~np.any(sides, axis=0)).astype(np.uint8)


def iou(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))


@settings(deadline=None)
@given(cases, sizes, seeds)
def test_labels_keep_their_type_and_come_from_the_map_or_are_fill(
    case: tuple[str, int], size: tuple[int, int], seed: int
) -> None:
    affine = drawn(*case, size, seed)
    labels = np.random.default_rng(seed).integers(1, 2**24, (size[1], size[0]), dtype=np.int32)
    moved = warp_labels(labels, affine, 0)
    assert moved.dtype == labels.dtype and moved.shape == labels.shape
    assert set(np.unique(moved)) <= {0, *np.unique(labels).tolist()}
    origins = label_origins(affine, *size)
    assert (take_labels(labels, origins, 0) == moved).all()
    y, x = np.mgrid[: size[1], : size[0]]
    inside = origins.ravel() >= 0
    before = np.column_stack([origins.ravel() % size[0], origins.ravel() // size[0]])[inside] + 0.5
    after = move_points_px(before, affine, *size) - np.column_stack([x.ravel(), y.ravel()])[inside] - 0.5
    reach = np.abs(in_px(affine, *size)[:, :2]).sum(axis=1) / 2  # half a pixel before, as far as that goes
    assert (np.abs(after) <= reach + 1e-3).all()


@pytest.mark.parametrize(("severity", "factor"), [(2, Fraction(4, 5)), (3, Fraction(2, 3)), (5, Fraction(1, 2))])
def test_the_last_bit_of_a_sum_does_not_choose_between_two_pixels(severity: int, factor: Fraction) -> None:
    """Made smaller around the centre, many centres come from the very border of two pixels: the right one is taken."""
    seed = next(seed for seed in range(9) if drawn("scale", severity, (9, 9), seed).matrix[0] < 1)
    for side in range(8, 70):
        found = label_origins(drawn("scale", severity, (side, 8), seed), side, 8)[4]
        half = Fraction(side, 2)
        wanted = [math.floor((i + Fraction(1, 2) - half) / factor + half) for i in range(side)]
        row = math.floor((Fraction(9, 2) - 4) / factor + 4)
        assert found.tolist() == [row * side + x if 0 <= x < side else -1 for x in wanted], side


def test_flipping_twice_is_identity() -> None:
    pixels = picture(31, 9)
    assert (apply_affine(apply_affine(pixels, FLIP), FLIP) == pixels).all()
    points = np.random.default_rng(0).random((5, 2))
    np.testing.assert_allclose(move_points_px(move_points_px(points, FLIP, 1, 1), FLIP, 1, 1), points, atol=1e-15)


def test_the_input_is_not_written_to_and_may_be_read_only() -> None:
    pixels = picture(20, 12)
    pixels.setflags(write=False)
    before = pixels.copy()
    for name, severity in CASES:
        moved = apply_affine(pixels, drawn(name, severity, (20, 12)))
        assert moved is not pixels and moved.flags.writeable
    assert (pixels == before).all()


@pytest.mark.parametrize("matrix", [(0, 0, 0.5, 0, 1, 0), (1, 1, 0, 1, 1, 0), (float("nan"), 0, 0, 0, 1, 0)])
def test_a_movement_that_leaves_nothing_is_refused(matrix: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="can be undone"):
        apply_affine(picture(8, 8), Affine(matrix))  # type: ignore[arg-type]


def test_labels_of_any_integer_type() -> None:
    for kind, fill in ((np.uint8, 255), (np.uint16, 65535), (np.int32, 0), (np.int64, -7)):
        moved = warp_labels(np.ones((9, 8), kind), Affine((1, 0, 0.5, 0, 1, 0)), fill)
        assert moved.dtype == kind and (moved[:, :4] == fill).all() and (moved[:, 4:] == 1).all()
