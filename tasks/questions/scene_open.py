"""Questions about Scenes with more than two answers: options, numbers, a word; and those that a prior answers wrongly.

Of each question the answers are equally common in a split, so that whoever guesses from the question alone is right
once in as many times as there are answers. Two families are not balanced, on purpose: in training grass is green and a
star has a halo, always or nearly so; where something is evaluated, such questions are asked of images alone in which
the answer that training would suggest is wrong (Vo et al. 2025, arXiv 2505.23941, ask so of photographs).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from tasks.questions.scene_views import SceneView
from tasks.questions.scene_words import wording_of
from tasks.questions.target import CHOICE, NUMBER, SHORT
from tasks.scenes.counter_rng import Stream
from tasks.scenes.factors import BASE_KINDS, COLOURS, NATURAL_GROUND_COLOUR, PATTERNS, SHAPES, SKIES
from tasks.scenes.splits import SEED, SPLITS

PARTS = {"plain": "nothing", "horned": "horns", "holed": "a hole", "haloed": "a halo"}
_KINDS = {
    "colour": SHORT, "shape": CHOICE, "pattern": CHOICE, "ground": SHORT, "sky": CHOICE, "number": NUMBER,
    "ground colour": SHORT, "part": CHOICE,
}  # fmt: skip
_VALUES: Mapping[str, Sequence[str]] = {
    "shape": SHAPES, "pattern": PATTERNS, "sky": SKIES, "part": tuple(PARTS.values()),
}  # fmt: skip
"""What options are drawn from; colours and grounds are asked without options."""
_OPTIONS = 4
_LEAST, _MOST = 2, 60
"""Of a question an answer that is rarer is not asked for, and none is asked for more often."""


@dataclass(frozen=True)
class OpenQuestion:
    """A question about an image; `answers` says how many answers are equally likely for whoever guesses.

    `prior` is what training suggests, None where all answers are equally common there.
    """

    view: SceneView
    family: str
    kind: str
    subject: str
    text: str
    answer: str
    options: tuple[str, ...]
    answers: int
    prior: str | None = None

    @property
    def form(self) -> str:
        """What is asked, whatever its words."""
        return f"{self.family} of {self.subject}" if self.subject else self.family


@dataclass(frozen=True)
class _Asked:
    view: SceneView
    family: str
    subject: str
    answer: str


def open_questions(views: Sequence[SceneView], split: str, *, training: bool) -> Iterator[OpenQuestion]:
    """At most one question of each family about each image, with balanced answers."""
    key = SPLITS[split].key
    by_question: dict[tuple[str, str], list[_Asked]] = defaultdict(list)
    for place in Stream(SEED, key, "open questions").shuffled(range(len(views))):
        for asked in _possible(views[place], Stream(SEED, key, views[place].image_id, "open")):
            by_question[asked.family, asked.subject].append(asked)
    for every in by_question.values():
        chosen = _balanced(every)
        number = len({asked.answer for asked in chosen})
        for asked in chosen:
            yield _question(asked, split, number)
    yield from prior_questions(views, split, training=training)


def prior_questions(views: Sequence[SceneView], split: str, *, training: bool) -> Iterator[OpenQuestion]:
    """Questions that training answers mostly alike; beside training only where that answer is wrong."""
    asked_often: Counter[tuple[str, str]] = Counter()
    for view in views:
        for asked, prior in _of_prior(view, Stream(SEED, SPLITS[split].key, view.image_id, "prior")):
            asked_often[asked.family, asked.subject] += 1
            if asked_often[asked.family, asked.subject] <= _MOST and (training or asked.answer != prior):
                yield _question(asked, split, len(COLOURS) if asked.family == "ground colour" else _OPTIONS, prior)


def _possible(view: SceneView, draw: Stream) -> Iterator[_Asked]:
    if view.by_colour:
        colour = draw.choice(sorted(view.by_colour))
        for factor in ("shape", "pattern"):
            yield _Asked(view, factor, colour, view.by_colour[colour][factor])
    if not view.night:
        if view.by_shape:
            shape = draw.choice(sorted(view.by_shape))
            yield _Asked(view, "colour", shape, view.by_shape[shape]["colour"])
        yield _Asked(view, "ground", "", view.facts["ground"])
        yield _Asked(view, "sky", "", view.facts["sky"])
    said = draw.choice(sorted(view.counts)) if draw.chance(600) else ()
    yield _Asked(view, "number", said[0][1] if said else "", str(view.counts[said]))


def _of_prior(view: SceneView, draw: Stream) -> Iterator[tuple[_Asked, str]]:
    if not view.night:
        ground = view.facts["ground"]
        yield _Asked(view, "ground colour", ground, view.facts["ground_colour"]), NATURAL_GROUND_COLOUR[ground]
    usual = usual_parts()
    shapes = [shape for shape in sorted(view.by_shape) if shape in usual]
    if shapes:
        shape = draw.choice(shapes)
        yield _Asked(view, "part", shape, PARTS[view.by_shape[shape]["part"]]), usual[shape]


@cache
def usual_parts() -> Mapping[str, str]:
    """What a shape has in training, for shapes that have one thing alone, but for a few rare kinds."""
    found: dict[str, set[str]] = defaultdict(set)
    for kind in BASE_KINDS:
        found[kind.shape].add(PARTS[kind.part])
    return {shape: next(iter(parts)) for shape, parts in found.items() if len(parts) == 1}


def _balanced(asked: Sequence[_Asked]) -> list[_Asked]:
    """As many of each answer, the first that there are; none where fewer than two answers are common enough."""
    counts = Counter(each.answer for each in asked)
    kept = {answer: count for answer, count in counts.items() if count >= _LEAST}
    if len(kept) < 2:
        return []
    quota, taken, found = min(_MOST, *kept.values()), Counter[str](), []
    for each in asked:
        if each.answer in kept and taken[each.answer] < quota:
            taken[each.answer] += 1
            found.append(each)
    return found


def _question(asked: _Asked, split: str, answers: int, prior: str | None = None) -> OpenQuestion:
    draw = Stream(SEED, SPLITS[split].key, asked.view.image_id, asked.family, "words")
    kind, options = _KINDS[asked.family], tuple[str, ...]()
    if kind == CHOICE:
        others = [value for value in _VALUES[asked.family] if value != asked.answer]
        options = tuple(draw.shuffled([asked.answer, *draw.shuffled(others)[: _OPTIONS - 1]]))
        answers = len(options)
    text = wording_of(split, draw).open_question(asked.family, asked.subject)
    return OpenQuestion(asked.view, asked.family, kind, asked.subject, text, asked.answer, options, answers, prior)
