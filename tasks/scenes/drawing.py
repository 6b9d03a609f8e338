"""Draws image `index` of a split: samples scenes until one shows what the split promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tasks.scenes.captions import Sight, caption_forms
from tasks.scenes.counter_rng import Stream
from tasks.scenes.facts import clear_relations, facts_of, visible_objects
from tasks.scenes.grammar import Voice, say
from tasks.scenes.meaning import LogicalForm
from tasks.scenes.raster import Layout, draw_scene, lay_out
from tasks.scenes.scene import Scene
from tasks.scenes.splits import SEED, SplitSpec
from tasks.scenes.world import sample_scene

_TARGET_VISIBLE_PERCENT: Final = 60
_SAY_TRIES: Final = 6


@dataclass(frozen=True, slots=True)
class Drawing:
    """One finished image with all that is known of it."""

    scene: Scene
    layout: Layout
    pixels: npt.NDArray[np.uint8]
    """[128, 128, 3] RGB."""
    visible: tuple[int, ...]
    """Indices into `scene.objects` of the objects in the facts, in their order."""
    sight: Sight


def draw_image(spec: SplitSpec, index: int) -> Drawing:
    """The image `index` of a split and what is true of it."""
    scene, layout = _acceptable_scene(spec, index)
    visible = visible_objects(layout)
    sight = Sight(
        facts=facts_of(scene, layout),
        target=visible.index(scene.target) if scene.target >= 0 else -1,
        relations=tuple(clear_relations(scene, layout)),
        ground_colour_permille=700 if spec.ground_rule == "conflict" else 150,
    )
    return Drawing(scene, layout, draw_scene(scene, layout), visible, sight)


def _acceptable_scene(spec: SplitSpec, index: int) -> tuple[Scene, Layout]:
    for attempt in range(1000):
        scene = sample_scene(spec, index, attempt)
        layout = lay_out(scene)
        must_show = range(len(scene.objects)) if spec.all_visible else [scene.target][: len(scene.objects)]
        if all(layout.seen_areas[i] * 100 >= layout.whole_areas[i] * _TARGET_VISIBLE_PERCENT for i in must_show):
            return scene, layout
    raise AssertionError(f"image {index} of {spec.name} shows too little in every attempt")


def caption_image(spec: SplitSpec, index: int, sight: Sight) -> list[tuple[str, LogicalForm]]:
    """The five captions of an image with their logical forms; no two the same if it can be helped."""
    forms = caption_forms(sight, Stream(SEED, spec.key, index, "caption forms"))
    voice = Voice(spec.lexicon, spec.templates)
    captions: list[tuple[str, LogicalForm]] = []
    for number, form in enumerate(forms):
        draw = Stream(SEED, spec.key, index, "caption words", number)
        text = say(form, draw, voice)
        for _ in range(_SAY_TRIES):
            if all(text != earlier for earlier, _ in captions):
                break
            text = say(form, draw, voice)
        captions.append((text, form))
    return captions
