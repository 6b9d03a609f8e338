"""Groups of two images and two yes/no questions with opposite answers, so that neither alone tells any of them.

Of a group each question is answered yes for one image and no for the other, and each image has one yes and one no: a
model that sees only the question, or only the image, is right in half of the cases, whatever it has learnt
(Winoground: Thrush et al. 2022, arXiv 2204.03162; NaturalBench: Li et al. 2024, arXiv 2410.14669). Each image is in one
group at most, so groups are independent of each other. What is asked follows from the annotated facts: existence,
attributes, relations, counts; the false question of a pair is a foil that differs from something true in one word,
where such a partner is found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.questions.scene_views import HIDDEN_AT_NIGHT, SceneView
from tasks.questions.scene_words import Wording, wording_of
from tasks.scenes.counter_rng import Stream
from tasks.scenes.splits import SEED, SPLITS

FAMILIES = ("existence", "attribute", "relation", "count")
_TRIES = 12
_HARD_PERMILLE = 700
"""How often existence asks for what another object nearly is."""
Index = Mapping[Any, Sequence[int]]


@dataclass(frozen=True)
class SceneClaim:
    """What a yes/no question asks: a logical form (`tasks.scenes.meaning`) and how its question is worded."""

    form: Mapping[str, Any]
    say: Callable[[Wording], str]


@dataclass(frozen=True)
class QuestionGroup:
    """Two images and two questions: question i is true of image i and false of the other one."""

    family: str
    images: tuple[SceneView, SceneView]
    forms: tuple[Mapping[str, Any], Mapping[str, Any]]
    texts: tuple[str, str]
    foil: bool
    """Whether the questions differ in one word, about the same thing."""

    @property
    def name(self) -> str:
        """The ids of both images."""
        return f"{self.images[0].image_id}+{self.images[1].image_id}"


def scene_groups(views: Sequence[SceneView], split: str) -> Iterator[QuestionGroup]:
    """Pair the images of a split; a few for which no partner is left are in no group."""
    key = SPLITS[split].key
    order = Stream(SEED, key, "questions").shuffled(range(len(views)))
    indexes, free = _indexes(views, order), set(order)
    for first in order:
        if first not in free:
            continue
        draw = Stream(SEED, key, views[first].image_id, "question group")
        for family in draw.shuffled(FAMILIES):
            found = _MAKERS[family](views, first, free, indexes, draw)
            if found is not None:
                second, claims, foil = found
                free -= {first, second}
                wording = wording_of(split, draw)
                texts = (claims[0].say(wording), claims[1].say(wording))
                yield QuestionGroup(
                    family, (views[first], views[second]), (claims[0].form, claims[1].form), texts, foil
                )
                break


PartnerFound = tuple[int, tuple[SceneClaim, SceneClaim], bool]
"""The partner, the claims about both images, and whether they differ in one word."""


def _indexes(views: Sequence[SceneView], order: Sequence[int]) -> dict[str, Index]:
    """Where to look for partners: which images show something, in a random order."""
    found: dict[str, dict[Any, list[int]]] = {name: defaultdict(list) for name in FAMILIES}
    found["all"] = {None: list(order)}
    for place in order:
        view = views[place]
        for said in view.descriptions:
            if len(said) == 2:
                found["existence"][said[0][0], said[1][1]].append(place)
        for shape in view.by_shape:
            found["attribute"][shape].append(place)
        for name, one, other in view.relations:
            found["relation"][name, one, other].append(place)
        for said, number in view.counts.items():
            if said and number:
                found["count"][said].append(place)
    return dict(found)


def _partners(candidates: Sequence[int], first: int, free: set[int], draw: Stream) -> Iterator[int]:
    """A few images that are in no group yet, from a random place of the list on."""
    start, given = draw.below(max(1, len(candidates))), 0
    for step in range(min(len(candidates), 8 * _TRIES)):
        place = candidates[(start + step) % len(candidates)]
        if place != first and place in free:
            yield place
            given += 1
            if given == _TRIES:
                return


def _existence(
    views: Sequence[SceneView], first: int, free: set[int], indexes: Mapping[str, Index], draw: Stream
) -> PartnerFound | None:
    own = views[first]
    if not own.descriptions:
        return None
    said = draw.choice(own.descriptions)
    hard = len(said) == 2 and draw.chance(_HARD_PERMILLE)
    near = indexes["existence"].get((said[0][0], said[-1][1]), ()) if hard else indexes["all"][None]
    for second in _partners(near, first, free, draw):
        other = views[second]
        if said in other.descriptions or not _seen(said, own, other):
            continue
        new = [d for d in other.descriptions if d not in own.descriptions and _seen(d, own, other)]
        pool = [d for d in new if not hard or _near(d, said)]
        if pool:
            return second, (_there(said), _there(draw.choice(pool))), hard
    return None


def _seen(said: Sequence[tuple[str, str]], *views: SceneView) -> bool:
    """Whether the factors of a description can be seen in all of these images."""
    return not any(view.night for view in views) or all(factor not in HIDDEN_AT_NIGHT for factor, _ in said)


def _near(one: Sequence[tuple[str, str]], other: Sequence[tuple[str, str]]) -> bool:
    """Whether two descriptions of a shape differ in the value of one factor alone."""
    return len(one) == 2 and (one[0][0], one[1]) == (other[0][0], other[1])


def _there(said: tuple[tuple[str, str], ...]) -> SceneClaim:
    return SceneClaim({"plan": "object", "objects": [dict(said)]}, lambda wording: wording.existence(said))


def _attribute(
    views: Sequence[SceneView], first: int, free: set[int], indexes: Mapping[str, Index], draw: Stream
) -> PartnerFound | None:
    own = views[first]
    if not own.by_shape:
        return None
    shape, factor = draw.choice(sorted(own.by_shape)), draw.choice(("colour", "colour", "pattern", "size"))
    if own.night and factor in HIDDEN_AT_NIGHT:
        factor = "size"
    for second in _partners(indexes["attribute"][shape], first, free, draw):
        values = [view.by_shape[shape][factor] for view in (own, views[second])]
        if values[0] != values[1] and not (views[second].night and factor in HIDDEN_AT_NIGHT):
            return second, (_has(shape, factor, values[0]), _has(shape, factor, values[1])), True
    return None


def _has(shape: str, factor: str, value: str) -> SceneClaim:
    form = {"plan": "object", "objects": [{factor: value, "shape": shape}]}
    return SceneClaim(form, lambda wording: wording.attribute(shape, factor, value))


def _relation(
    views: Sequence[SceneView], first: int, free: set[int], indexes: Mapping[str, Index], draw: Stream
) -> PartnerFound | None:
    own = views[first]
    if not own.relations:
        return None
    name, one, other = draw.choice(own.relations)
    turned = draw.chance(500)
    for second in _partners(indexes["relation"].get((name, other, one), ()), first, free, draw):
        return second, (_stands(name, one, other, turned), _stands(name, other, one, not turned)), True
    return None


def _stands(name: str, one: str, other: str, turned: bool) -> SceneClaim:
    """The first is left of, above or before the second; `turned` asks that of the second: is it right of the first?"""
    form = {"plan": "relation", "objects": [{"shape": one}, {"shape": other}], "relation": name}
    asked = (other, one) if turned else (one, other)
    return SceneClaim(form, lambda wording: wording.relation(name, asked, inverse=turned))


def _count(
    views: Sequence[SceneView], first: int, free: set[int], indexes: Mapping[str, Index], draw: Stream
) -> PartnerFound | None:
    own = views[first]
    said = draw.choice(sorted(own.counts)) if draw.chance(600) else ()
    number = own.counts[said]
    candidates = indexes["count"].get(said, ()) if said else indexes["all"][None]
    for second in _partners(candidates, first, free, draw):
        other = views[second].counts[said]
        if other != number and number and other:
            return second, (_many(said, number), _many(said, other)), True
    return None


def _many(said: tuple[tuple[str, str], ...], number: int) -> SceneClaim:
    form = {"plan": "count", "objects": [dict(said)], "count": number}
    return SceneClaim(form, lambda wording: wording.count(said, number))


_MAKERS = {"existence": _existence, "attribute": _attribute, "relation": _relation, "count": _count}
