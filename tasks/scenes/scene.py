"""A scene: everything that its pixels, annotations and text follow from."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.scenes.factors import NIGHT_SKY, Kind


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One object; positions and lengths in pixels, y grows downwards."""

    kind: Kind
    colour: str
    size: str
    pose: str
    diameter_px: int
    centre_x_px: int
    centre_y_px: int
    turn: int
    """Rotation in 64ths of a full turn, clockwise positive."""

    @property
    def base_y_px(self) -> int:
        """Where the object meets the ground; the lower it is, the nearer the object."""
        return self.centre_y_px + self.diameter_px // 2


@dataclass(frozen=True, slots=True)
class Scene:
    """One image before it is drawn; `target` indexes the object of the largest diameter, -1 if none."""

    objects: tuple[SceneObject, ...]
    target: int
    ground: str
    ground_colour: str
    sky: str
    light: str
    tint: str
    style: str
    badge: str
    horizon_px: int
    noise_key: int

    @property
    def visible_sky(self) -> str:
        """The sky as it can be seen: night hides which one it is."""
        return NIGHT_SKY if self.light == "night" else self.sky

    @property
    def depth_order(self) -> tuple[int, ...]:
        """Indices of the objects from the farthest to the nearest: the order of painting."""
        return tuple(sorted(range(len(self.objects)), key=lambda i: (self.objects[i].base_y_px, i)))
