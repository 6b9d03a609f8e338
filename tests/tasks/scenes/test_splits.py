"""What each split promises: who is in it, what is held out of training, and that no shortcut solves it."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tasks.scenes import factors
from tasks.scenes.drawing import draw_image
from tasks.scenes.factors import NOVEL_KINDS, RARE_KINDS, RARE_TRAINING_IMAGES, night_twin
from tasks.scenes.raster import draw_scene, lay_out
from tasks.scenes.remarks import CUES
from tasks.scenes.scene import Scene
from tasks.scenes.splits import SPLITS
from tasks.scenes.world import group_of, sample_scene
from tests.tasks.scenes.conftest import Sampled, read


@pytest.fixture(scope="session")
def train_scenes() -> list[Scene]:
    return [sample_scene(SPLITS["train"], index) for index in range(SPLITS["train"].size)]


def test_sizes_are_as_published() -> None:
    sizes = {name: spec.size for name, spec in SPLITS.items()}
    assert sizes == {
        "train": 4000, "tiny": 1500, "val": 600, "test": 1000, "groups": 1600, "groups-train": 1600,
        **dict.fromkeys(
            ("novel", "novel-hard", "rare", "style", "ground-swap", "light", "scale", "count", "lexical",
             "prior-conflict", "twins", "refer", "foils"), 600,
        ),
    }  # fmt: skip


def test_kinds_in_training(train_scenes: list[Scene]) -> None:
    for size in (SPLITS["tiny"].size, SPLITS["train"].size):
        images: Counter[str] = Counter()
        for scene in train_scenes[:size]:
            images.update({item.kind.name for item in scene.objects})
        assert not any(images[kind.name] for kind in NOVEL_KINDS)
        assert {kind: images[kind.name] for kind in RARE_KINDS} == dict(RARE_TRAINING_IMAGES)
    assert sorted(images[kind.name] for kind in RARE_KINDS) == [1, 1, 2, 2, 4, 4, 8, 8]


def test_what_is_held_out_of_training(train_scenes: list[Scene]) -> None:
    assert {scene.style for scene in train_scenes} == set(factors.TRAINING_STYLES)
    assert {scene.light for scene in train_scenes} == set(factors.TRAINING_LIGHTS)
    assert {scene.tint for scene in train_scenes} == set(factors.TRAINING_TINTS)
    assert {len(scene.objects) for scene in train_scenes} == {0, 1, 2, 3, 4}
    diameters = {item.diameter_px for scene in train_scenes for item in scene.objects}
    assert (min(diameters), max(diameters)) == (22, 54)
    assert all(scene.ground_colour == factors.NATURAL_GROUND_COLOUR[scene.ground] for scene in train_scenes)
    home = [scene for scene in train_scenes if scene.objects and scene.ground == _home(scene)]
    assert 0.5 < len(home) / len(train_scenes) < 0.66


def _home(scene: Scene) -> str:
    return factors.HOME_GROUND[scene.objects[scene.target].kind.shape]


def test_each_shift_is_what_it_says() -> None:
    def scenes(split: str) -> list[Scene]:
        return [sample_scene(SPLITS[split], index) for index in range(150)]

    assert {scene.style for scene in scenes("style")} == set(factors.HELD_OUT_STYLES)
    assert {scene.light for scene in scenes("light")} == set(factors.HELD_OUT_LIGHTS)
    assert {len(scene.objects) for scene in scenes("count")} == {5, 6}
    assert all(scene.ground == factors.SWAPPED_GROUND[_home(scene)] for scene in scenes("ground-swap"))
    assert all(s.ground_colour != factors.NATURAL_GROUND_COLOUR[s.ground] for s in scenes("prior-conflict"))
    assert all(scene.objects[scene.target].kind in NOVEL_KINDS for scene in scenes("novel"))
    assert all(scene.objects[scene.target].kind in NOVEL_KINDS for scene in scenes("novel-hard"))
    assert all(scene.objects[scene.target].kind in RARE_KINDS for scene in scenes("rare"))
    usual = range(22, 55)
    assert all(scene.objects[scene.target].diameter_px not in usual for scene in scenes("scale"))


def test_the_target_is_the_largest() -> None:
    for split in SPLITS:
        for index in range(60):
            scene = sample_scene(SPLITS[split], index)
            others = [item.diameter_px for i, item in enumerate(scene.objects) if i != scene.target]
            assert not others or max(others) < scene.objects[scene.target].diameter_px


def test_groups_are_balanced_and_their_training_twin_is_not() -> None:
    for split, agreeing in (("groups", 400), ("groups-train", 760)):
        groups = Counter(group_of(SPLITS[split], index) for index in range(1600))
        assert groups["striped", "disc"] == groups["dotted", "bar"] == agreeing
        assert groups["striped", "bar"] == groups["dotted", "disc"] == 800 - agreeing
    for index in range(50):
        scene = sample_scene(SPLITS["groups"], index)
        assert (scene.objects[scene.target].kind.pattern, scene.badge) == group_of(SPLITS["groups"], index)
        others = [item for i, item in enumerate(scene.objects) if i != scene.target]
        assert not any(item.kind.pattern in factors.GROUP_PATTERNS for item in others)


def test_night_twins_are_the_same_pixels() -> None:
    for index in range(0, 40, 2):
        one, other = (draw_image(SPLITS["twins"], index + step) for step in (0, 1))
        assert (one.pixels == other.pixels).all()
        for a, b in zip(one.scene.objects, other.scene.objects, strict=True):
            assert b.kind == night_twin(a.kind) and a.kind.pattern != b.kind.pattern and a.colour != b.colour
        assert one.scene.ground != other.scene.ground


def test_by_day_a_twin_looks_different() -> None:
    scene = replace(sample_scene(SPLITS["twins"], 0), light="day")
    item = scene.objects[scene.target]
    twin = replace(scene, objects=tuple(replace(o, kind=night_twin(o.kind)) if o is item else o for o in scene.objects))
    assert (draw_scene(scene, lay_out(scene)) != draw_scene(twin, lay_out(twin))).sum() > 200


def test_no_scene_occurs_twice_over_splits(train_scenes: list[Scene]) -> None:
    seen: dict[tuple[object, ...], str] = {}
    named = [("train", scene) for scene in train_scenes]
    for split in ("val", "test", "style", "novel", "groups", "groups-train", "refer", "foils"):
        named += [(split, sample_scene(SPLITS[split], index)) for index in range(300)]
    for split, scene in named:
        if not scene.objects:
            continue
        places = [(o.kind.shape, o.centre_x_px // 3, o.centre_y_px // 3, o.diameter_px // 3) for o in scene.objects]
        key = tuple(sorted(places)) if len(places) > 1 else (*places, scene.ground, scene.horizon_px)
        assert seen.setdefault(key, split) == split


def test_no_near_duplicates_across_splits(train_sample: list[Sampled], test_sample: list[Sampled]) -> None:
    train = np.stack([item.small.ravel() for item in train_sample])
    for item in test_sample:
        assert np.abs(train - item.small.ravel()).mean(axis=1).min() > 0.75


# --- shortcuts: what must not give the target's kind away (24 kinds: chance 4.2 %) ---


def _guess(train: list[Sampled], test: list[Sampled], key: str) -> float:
    """Accuracy of answering with the most frequent training kind of the same value of a shortcut."""
    values = {
        "objects": lambda s: len(s.drawing.scene.objects),
        "caption length": lambda s: sum(len(text.split()) for text, _ in s.captions) // 3,
        "place in the list": lambda s: s.drawing.scene.target,
        "badge": lambda s: s.drawing.scene.badge,
        "sky": lambda s: s.drawing.scene.sky,
        "style": lambda s: s.drawing.scene.style,
    }
    value = values[key]
    table: dict[object, Counter[str]] = defaultdict(Counter)
    for item in train:
        table[value(item)][item.kind] += 1
    hits = [bool(table[value(s)]) and table[value(s)].most_common(1)[0][0] == s.kind for s in test]
    return sum(hits) / len(hits)


@pytest.mark.parametrize("key", ["objects", "caption length", "place in the list", "badge", "sky", "style"])
def test_shortcuts_are_at_chance(train_sample: list[Sampled], test_sample: list[Sampled], key: str) -> None:
    train = [item for item in train_sample if item.drawing.scene.objects]
    test = [item for item in test_sample if item.drawing.scene.objects]
    assert _guess(train, test, key) < 1 / 24 + 3 * (1 / 24 * 23 / 24 / len(test)) ** 0.5 + 0.02


def test_nearest_thumbnail_knows_little(train_sample: list[Sampled], test_sample: list[Sampled]) -> None:
    """8 x 8 pixels show the ground, and half of the targets stand on their home ground: about 10 %, not 4.2 %."""
    train = [item for item in train_sample if item.drawing.scene.objects]
    test = [item for item in test_sample if item.drawing.scene.objects]
    known = np.stack([item.thumbnail for item in train])
    hits = [train[int(np.square(known - item.thumbnail).sum(axis=1).argmin())].kind == item.kind for item in test]
    assert sum(hits) / len(hits) < 0.16


def test_image_ids_and_order_tell_nothing(train_scenes: list[Scene]) -> None:
    targets = [scene.objects[scene.target].kind.category_id if scene.objects else 0 for scene in train_scenes]
    same = sum(a == b for a, b in pairwise(targets)) / len(targets)
    assert same < 0.06
    places = Counter(scene.target for scene in train_scenes if len(scene.objects) == 4)
    assert max(places.values()) < 0.32 * sum(places.values())


def test_misleading_remarks_are_those_of_the_twin(small_root: Path) -> None:
    by_name = {kind.name: kind for kind in factors.KINDS}
    conditions: Counter[str] = Counter()
    for split in SPLITS:
        for scene in read(small_root, "scenes", split)["images"]:
            conditions[scene["remark_condition"]] += scene["target"] is not None
            if scene["target"] is None:
                continue
            kind = by_name[scene["target"]["kind"]]
            assert any(cue in scene["remarks"]["honest"] for cue in CUES[kind.pattern])
            assert any(cue in scene["remarks"]["misleading"] for cue in CUES[night_twin(kind).pattern])
            assert scene["remarks"]["absent"] == ""
    total = sum(conditions.values())
    assert 0.64 < conditions["honest"] / total < 0.76
