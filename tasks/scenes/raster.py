"""Draws a scene in integers: its pixels and which object each pixel shows.

Each object is sampled at 3 x 3 points a pixel by looking its stencil up; the points that fall on it are
averaged with the background, and a pixel belongs to the object when at least 5 of its 9 points do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from tasks.scenes.appearance import finish, object_palette
from tasks.scenes.backdrop import paint_backdrop
from tasks.scenes.factors import IMAGE_SIZE_PX
from tasks.scenes.scene import Scene, SceneObject
from tasks.scenes.stencils import INSIDE, STENCIL_HALF, stencil

Codes = npt.NDArray[np.uint8]
Number = TypeVar("Number", np.uint8, np.int64)

_SAMPLES: Final = 3
# round(4096 cos) and round(4096 sin) of 0 .. 5 64ths of a turn, frozen here: no libm can change a pixel
_COSINE: Final = (4096, 4076, 4017, 3920, 3784, 3612)
_SINE: Final = (0, 401, 799, 1189, 1567, 1931)


@dataclass(frozen=True, slots=True)
class Layer:
    """One drawn object before it is coloured: the patch of the image it may touch and its codes there."""

    rows: slice
    columns: slice
    codes: Codes
    """[3 * rows, 3 * columns] stencil codes at the sample points."""
    cover: npt.NDArray[np.uint8]
    """[rows, columns] how many of a pixel's 9 points lie on the object."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the objects of a scene are, with occlusion."""

    layers: tuple[Layer, ...]
    """In the order of `scene.objects`."""
    owner: npt.NDArray[np.uint8]
    """[128, 128] 0 where no object is seen, else 1 + the index of the nearest object."""
    whole_areas: tuple[int, ...]
    """Pixels of each object if nothing hid it."""
    seen_areas: tuple[int, ...]
    """Pixels of each object that are seen."""


def lay_out(scene: Scene) -> Layout:
    """Cut every object of a scene out of its stencil and resolve who hides whom."""
    layers = tuple(_cut(item) for item in scene.objects)
    owner = np.zeros((IMAGE_SIZE_PX, IMAGE_SIZE_PX), dtype=np.uint8)
    masks = [layer.cover >= 5 for layer in layers]
    for index in scene.depth_order:
        layer = layers[index]
        owner[layer.rows, layer.columns][masks[index]] = index + 1
    seen = np.bincount(owner.ravel(), minlength=len(layers) + 1)
    whole = tuple(int(np.count_nonzero(mask)) for mask in masks)
    return Layout(layers, owner, whole, tuple(int(area) for area in seen[1:]))


def _cut(item: SceneObject) -> Layer:
    up, aside, down_by = (172, 142, 112) if item.kind.part in ("horned", "haloed") else (112, 112, 112)
    rows = _clipped(item.centre_y_px, item.diameter_px * up // 200, item.diameter_px * down_by // 200)
    columns = _clipped(item.centre_x_px, item.diameter_px * aside // 200, item.diameter_px * aside // 200)
    # Sample points in sixths of a pixel from the centre, turned, then scaled to hundredths of the radius.
    x = (np.arange(columns.start * 3, columns.stop * 3, dtype=np.int32) * 2 + 1) - item.centre_x_px * 6 - 3
    y = (np.arange(rows.start * 3, rows.stop * 3, dtype=np.int32) * 2 + 1) - item.centre_y_px * 6 - 3
    turn = abs(item.turn)
    cosine, sine = _COSINE[turn], _SINE[turn] * (1 if item.turn >= 0 else -1)
    scale = 12 * 4096 * item.diameter_px // 4  # six points a pixel, half a diameter, 4,096 for the direction
    across = (x[None, :] * cosine + y[:, None] * sine) * 100 // scale + STENCIL_HALF
    down = (y[:, None] * cosine - x[None, :] * sine) * 100 // scale + STENCIL_HALF
    table = stencil(item.kind.shape, item.kind.pattern, item.kind.part)
    last = 2 * STENCIL_HALF - 1
    codes = table.ravel().take(np.clip(down, 0, last) * (2 * STENCIL_HALF) + np.clip(across, 0, last))
    return Layer(rows, columns, codes, _pooled(codes & INSIDE))


def _clipped(centre: int, before: int, after: int) -> slice:
    return slice(max(centre - before - 1, 0), min(centre + after + 2, IMAGE_SIZE_PX))


def _pooled(points: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """Sum the 3 x 3 points of each pixel."""
    rows = points[0::3] + points[1::3] + points[2::3]
    return np.asarray(rows[:, 0::3] + rows[:, 1::3] + rows[:, 2::3])


def draw_scene(scene: Scene, layout: Layout) -> npt.NDArray[np.uint8]:
    """The image of a scene: uint8 [128, 128, 3] RGB."""
    pixels = paint_backdrop(scene)
    if scene.light == "night":
        _darken_backdrop(pixels, scene.horizon_px)
    np.clip(pixels, 0, 255, out=pixels)
    for index in scene.depth_order:
        layer = layout.layers[index]
        palette = object_palette(scene.objects[index], scene.style, scene.light)
        patch = pixels[layer.rows, layer.columns]
        # Red, green and blue ride in 16-bit lanes of one integer: nine of them add without a carry.
        colour = np.ascontiguousarray(_pooled(palette.take(layer.codes))).view(np.int16)
        colour = colour.reshape(*layer.cover.shape, 4)[:, :, :3]
        patch[...] = (colour + patch * (9 - layer.cover.astype(np.int16))[:, :, None]) // 9
    return finish(pixels, scene)


def _darken_backdrop(pixels: npt.NDArray[np.int16], horizon_px: int) -> None:
    """Night leaves one sky and one ground, whatever they are by day."""
    pixels[:horizon_px] = (40, 46, 84)
    pixels[horizon_px:] = (26, 30, 48)
