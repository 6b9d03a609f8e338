"""Draws a scene of a split: which objects, where, on what ground and in which light."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from tasks.scenes import factors
from tasks.scenes.counter_rng import Stream, key_of
from tasks.scenes.factors import (
    BASE_KINDS,
    CONFLICT_GROUND_COLOURS,
    GROUNDS,
    HOME_GROUND,
    IMAGE_SIZE_PX,
    NATURAL_GROUND_COLOUR,
    NOVEL_KINDS,
    RARE_KINDS,
    SIZE_RANGE_PX,
    SWAPPED_GROUND,
    Kind,
)
from tasks.scenes.scene import Scene, SceneObject
from tasks.scenes.splits import SEED, SPLITS, SplitSpec

_TILT_TURNS = (-4, -3, 3, 4)
_PLACE_TRIES = 60


def sample_scene(spec: SplitSpec, index: int, attempt: int = 0) -> Scene:
    """The scene of image `index` of a split.

    `attempt` redraws sizes and places when the drawn scene hides too much; the number of objects, their
    kinds and the surroundings do not depend on it, so rejection cannot bias them.
    """
    if spec.plan == "twins":
        first = _sample_one(spec, index // 2, attempt)
        return first if index % 2 == 0 else _night_twin(first, spec, index)
    return _sample_one(spec, index, attempt)


def _sample_one(spec: SplitSpec, index: int, attempt: int) -> Scene:
    what = Stream(SEED, spec.key, index, "what")
    light = what.weighted(spec.lights)
    count = _count(spec, index, light, what)
    kinds = _kinds(spec, index, count)
    ground, ground_colour = _ground(spec, kinds, what)
    scene = Scene(
        objects=(),
        target=-1,
        ground=ground,
        ground_colour=ground_colour,
        sky=what.choice(factors.SKIES),
        light=light,
        tint=what.choice(spec.tints),
        style=what.choice(spec.styles),
        badge=_badge(spec, index, kinds, what),
        horizon_px=what.between(30, 44),
        noise_key=key_of(SEED, spec.key, index, "noise"),
    )
    return _with_objects(scene, spec, kinds, index, attempt)


def _count(spec: SplitSpec, index: int, light: str, what: Stream) -> int:
    count = what.weighted(spec.counts)
    if spec.key == "train" and index in rare_training_images():
        return max(count, 1)
    return max(count, 1) if light == "night" else count  # an empty night would be the same picture every time


@cache
def rare_training_images() -> dict[int, Kind]:
    """Which training image holds which rare kind: all within `tiny`, so that both have 1, 2, 4 and 8."""
    places = Stream(SEED, "train", "rare images").shuffled(range(SPLITS["tiny"].size))
    wanted = [kind for kind, images in factors.RARE_TRAINING_IMAGES for _ in range(images)]
    return dict(zip(places, wanted, strict=False))


def _kinds(spec: SplitSpec, index: int, count: int) -> list[Kind]:
    """The kinds of the objects, the target's first."""
    draw = Stream(SEED, spec.key, index, "kinds")
    if count == 0:
        return []
    if spec.plan == "refer":
        shapes = draw.shuffled(factors.SHAPES)[:count]
        return [draw.choice([kind for kind in BASE_KINDS if kind.shape == shape]) for shape in shapes]
    target = _target_kind(spec, index, draw)
    if spec.plan == "novel-hard":
        return [target, *draw.shuffled(_look_alikes(target))[: count - 1]]
    if spec.plan == "groups":  # the other objects show neither of the two patterns that make the label
        neutral = [kind for kind in BASE_KINDS if kind.pattern not in factors.GROUP_PATTERNS]
        return [target, *(draw.choice(neutral) for _ in range(count - 1))]
    return [target, *(draw.choice(BASE_KINDS) for _ in range(count - 1))]


def _target_kind(spec: SplitSpec, index: int, draw: Stream) -> Kind:
    if spec.key == "train" and index in rare_training_images():
        return rare_training_images()[index]
    if spec.plan == "groups":
        pattern, _ = group_of(spec, index)
        return draw.choice([kind for kind in BASE_KINDS if kind.pattern == pattern])
    pool = {"rare": RARE_KINDS, "novel": NOVEL_KINDS, "novel-hard": NOVEL_KINDS}.get(spec.plan, BASE_KINDS)
    return draw.choice(pool)


def _look_alikes(target: Kind) -> list[Kind]:
    """The base kinds most like a novel one: sharing two of its three factors, then its shape alone."""

    def shared(kind: Kind) -> int:
        return (kind.shape == target.shape) * 3 + (kind.pattern == target.pattern) * 2 + (kind.part == target.part) * 2

    return sorted(BASE_KINDS, key=lambda kind: (-shared(kind), kind.category_id))[:4]


@cache
def _group_rows(spec: SplitSpec) -> tuple[tuple[str, str], ...]:
    """(pattern, badge) of every image of a groups split: exact shares, in a random order."""
    agreeing = spec.size * spec.badge_agreement_permille // 2000
    rows: list[tuple[str, str]] = []
    for label, pattern in enumerate(factors.GROUP_PATTERNS):
        rows += [(pattern, factors.GROUP_BADGES[label])] * agreeing
        rows += [(pattern, factors.GROUP_BADGES[1 - label])] * (spec.size // 2 - agreeing)
    return tuple(Stream(SEED, spec.key, "groups").shuffled(rows))


def group_of(spec: SplitSpec, index: int) -> tuple[str, str]:
    """(pattern of the target, badge) of an image of a groups split."""
    return _group_rows(spec)[index]


def _badge(spec: SplitSpec, index: int, kinds: list[Kind], what: Stream) -> str:
    badge = what.weighted((("none", 2), ("disc", 1), ("bar", 1)))
    return group_of(spec, index)[1] if spec.plan == "groups" else badge


def _ground(spec: SplitSpec, kinds: list[Kind], what: Stream) -> tuple[str, str]:
    anywhere = what.choice(GROUNDS)
    at_home = what.chance(500)
    conflict = what.shuffled(CONFLICT_GROUND_COLOURS)
    home = HOME_GROUND[kinds[0].shape] if kinds else anywhere
    if spec.ground_rule == "swapped":
        return SWAPPED_GROUND[home], NATURAL_GROUND_COLOUR[SWAPPED_GROUND[home]]
    if spec.ground_rule == "conflict":
        return anywhere, next(colour for colour in conflict if colour != NATURAL_GROUND_COLOUR[anywhere])
    ground = home if at_home and spec.ground_rule == "home" else anywhere
    return ground, NATURAL_GROUND_COLOUR[ground]


def _with_objects(scene: Scene, spec: SplitSpec, kinds: list[Kind], index: int, attempt: int) -> Scene:
    """Give every kind a size, a place and a colour; the target is the one of the largest diameter."""
    for more in range(1000):
        draw = Stream(SEED, spec.key, index, "places", attempt, more)
        objects = _place_all(spec, kinds, scene.horizon_px, draw)
        if objects is not None:
            order = draw.shuffled(range(len(objects)))  # the order of annotations must not give the target away
            target = order.index(0) if objects else -1
            return replace(scene, objects=tuple(objects[i] for i in order), target=target)
    raise AssertionError(f"image {index} of {spec.name} could not be laid out")


def _place_all(spec: SplitSpec, kinds: list[Kind], horizon_px: int, draw: Stream) -> list[SceneObject] | None:
    sizes = _sizes(spec, len(kinds), draw)
    colours = _colours(spec, kinds, draw)
    overlap = draw.chance(350) and not spec.all_visible
    placed: list[SceneObject] = []
    for kind, (size, diameter), colour in zip(kinds, sizes, colours, strict=True):
        tilted = kind.shape != "circle" and draw.chance(250)
        turn = draw.choice(_TILT_TURNS) if tilted else draw.between(-1, 1)
        item = _place(kind, (size, diameter), (colour, tilted, turn), horizon_px, placed, overlap, draw)
        if item is None:
            return None
        placed.append(item)
    return placed


def _place(
    kind: Kind, size: tuple[str, int], looks: tuple[str, bool, int], horizon_px: int,
    placed: list[SceneObject], overlap: bool, draw: Stream,
) -> SceneObject | None:  # fmt: skip
    """Find room for one object: wholly in the image, standing below the horizon, not upon another."""
    radius = size[1] // 2
    colour, tilted, turn = looks
    crown = radius * (160 if kind.part in ("horned", "haloed") else 105) // 100
    low = max(crown + 2, horizon_px + 6 - radius)
    across, down = (radius + 4, IMAGE_SIZE_PX - radius - 5), (low, IMAGE_SIZE_PX - radius - 4)
    beside = draw.choice(placed) if placed and overlap and draw.chance(600) else None
    for _ in range(_PLACE_TRIES):
        x, y = draw.between(*across), draw.between(*down)
        if beside is not None:
            x, y = (_near(*pair, draw) for pair in ((x, beside.centre_x_px, across), (y, beside.centre_y_px, down)))
        item = SceneObject(
            kind, colour, size[0], "tilted" if tilted else "upright", size[1],
            x, y, turn,
        )  # fmt: skip
        if all(_apart(item, other, overlap) for other in placed):
            return item
    return None


def _near(value: int, other: int, limits: tuple[int, int], draw: Stream) -> int:
    """Pull a coordinate to within 18 pixels of another's, but not beyond the limits."""
    pulled = other + draw.between(-18, 18)
    return pulled if limits[0] <= pulled <= limits[1] else value


def _apart(one: SceneObject, other: SceneObject, overlap: bool) -> bool:
    reach = (one.diameter_px + other.diameter_px) * (15 if overlap else 52) // 100
    across = one.centre_x_px - other.centre_x_px
    down = one.centre_y_px - other.centre_y_px
    return across * across + down * down >= reach * reach


def _sizes(spec: SplitSpec, count: int, draw: Stream) -> list[tuple[str, int]]:
    """(size word, diameter) of each object; the target comes first and is a size larger than the others."""
    if count == 0:
        return []
    if spec.scale == "unusual":
        return _unusual_sizes(count, draw)
    if count == 1:
        words = [draw.weighted((("large", 50), ("medium", 40), ("small", 10)))]
    else:
        first = draw.weighted((("large", 65), ("medium", 35)))
        smaller = ("small", "medium") if first == "large" else ("small",)
        words = [first, *(draw.choice(smaller) for _ in range(count - 1))]
    return [(word, draw.between(*SIZE_RANGE_PX[word])) for word in words]


def _unusual_sizes(count: int, draw: Stream) -> list[tuple[str, int]]:
    """Diameters that training never shows: all below its smallest, or a target above its largest."""
    if draw.chance(500):
        return [("small", draw.between(18, 20)), *(("small", draw.between(13, 15)) for _ in range(count - 1))]
    return [("large", draw.between(64, 74)), *(("medium", draw.between(32, 38)) for _ in range(count - 1))]


def _colours(spec: SplitSpec, kinds: list[Kind], draw: Stream) -> list[str]:
    if spec.plan == "novel-hard":  # colour must not help to tell the target from its look-alikes
        return [draw.choice(factors.COLOURS)] * len(kinds)
    if spec.plan == "refer":  # few colours, so that one word is rarely enough
        few = draw.shuffled(factors.COLOURS)[:2]
        return [draw.choice(few) for _ in kinds]
    if spec.plan == "foils":  # no two alike, so that exchanged attributes are always false
        return draw.shuffled(factors.COLOURS)[: len(kinds)]
    return [draw.choice(factors.COLOURS) for _ in kinds]


def _night_twin(scene: Scene, spec: SplitSpec, index: int) -> Scene:
    """The same silhouettes with everything changed that night hides: pattern, colour, ground and sky."""
    draw = Stream(SEED, spec.key, index, "twin")
    objects = tuple(
        replace(
            item,
            kind=factors.night_twin(item.kind),
            colour=draw.choice([colour for colour in factors.COLOURS if colour != item.colour]),
        )
        for item in scene.objects
    )
    ground = draw.choice([ground for ground in GROUNDS if ground != scene.ground])
    return replace(scene, objects=objects, ground=ground, ground_colour=NATURAL_GROUND_COLOUR[ground])
