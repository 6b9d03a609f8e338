"""Scenes as a data set of questions: samples in blocks that belong together, and what anybody could reach on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from harness.protocols import DataContext
from harness.sample import Dataset, Sample
from tasks.questions.kept_samples import kept_samples
from tasks.questions.scene_groups import QuestionGroup, scene_groups
from tasks.questions.scene_open import PARTS, OpenQuestion, open_questions, prior_questions
from tasks.questions.scene_views import read_views
from tasks.questions.target import NO, YES, YES_NO, QuestionTarget
from tasks.scenes.counter_rng import Stream
from tasks.scenes.factors import COLOURS, GROUNDS, PATTERNS, SHAPES, SKIES
from tasks.scenes.splits import SEED

SCENE_ANSWERS = (
    YES, NO, *map(str, range(7)), *SHAPES, *COLOURS, "grey", *PATTERNS, *GROUNDS, *SKIES, *PARTS.values(),
)  # fmt: skip
"""Whatever can be an answer."""
VERSION = 1
"""Of the questions: raised whenever what is asked of an image changes."""
ASKED = "questions"
"""The split that is evaluated: test, and of two others the questions whose usual answer is wrong there."""
_CONFLICTS = ("prior-conflict", "novel")
PRIOR_CONFLICT = "prior conflict"
"""The slice of questions whose commonest answer in training is wrong."""


def open_scene_questions(context: DataContext) -> Dataset:
    """Open Scenes with its questions."""
    from tasks.scenes_data.open import Variant, open_scenes

    variant = Variant("scenes:questions", {"questions": VERSION}, ASKED, {ASKED: ("test", *_CONFLICTS)})
    return open_scenes(context, variant)


def scene_question_samples(data: Dataset, split: str) -> Sequence[Sample]:
    """Samples of a split, whole groups among single questions in a random order, so that a limit takes of each kind."""
    parts = question_parts(split)
    return kept_samples(data, split, parts, lambda: _made(data, split, parts))


def question_parts(split: str) -> tuple[str, ...]:
    """The generated splits that a split of questions is about."""
    return ("test", *_CONFLICTS) if split == ASKED else (split,)


def _made(data: Dataset, split: str, parts: Sequence[str]) -> list[Sample]:
    blocks = list(_blocks(data, parts[0]))
    for other in parts[1:]:
        views = read_views(data.root, other)
        blocks += [[_open_sample(each, "")] for each in prior_questions(views, other, training=False)]
    return [sample for block in Stream(SEED, split, "order of questions").shuffled(blocks) for sample in block]


def scene_question_ceilings(samples: Sequence[Sample]) -> Mapping[str, Mapping[str, float]]:
    """What the best guess from the question, the image or both reaches; the image alone is known for yes and no.

    Who knows training and sees the question alone answers all questions wrongly whose usual answer is wrong.
    """
    texts = [0.0 if PRIOR_CONFLICT in s.target.slices else s.target.chance for s in samples]
    found: dict[str, dict[str, float]] = {"accuracy": {"text": sum(texts) / len(texts), "both": 1.0}}
    of_pairs = {"vision": 0.5, "text": 0.5, "both": 1.0}
    kinds = {sample.target.kind for sample in samples}
    if kinds == {YES_NO}:
        return {"accuracy": of_pairs}
    return {**found, f"accuracy[{YES_NO}]": of_pairs} if YES_NO in kinds else found


def _blocks(data: Dataset, part: str) -> Iterator[list[Sample]]:
    views, clusters = read_views(data.root, part), dict[str, str]()
    for group in scene_groups(views, part):
        clusters |= {view.image_id: group.name for view in group.images}
        yield list(_group_samples(group))
    for question in open_questions(views, part, training=part == data.training_split):
        yield [_open_sample(question, clusters.get(question.view.image_id, ""))]


def _group_samples(group: QuestionGroup) -> Iterator[Sample]:
    for place, view in enumerate(group.images):
        for number, text in enumerate(group.texts):
            target = QuestionTarget(
                accepted=(YES if place == number else NO,),
                kind=YES_NO,
                form=text.casefold(),
                image_id=view.image_id,
                cluster=group.name,
                options=(YES, NO),
                group=group.name,
                question=str(number),
                slices=(group.family, *(("one word differs",) if group.foil else ())),
                chance=0.5,
            )
            yield Sample(f"{view.image_id}-{number}", view.path, target, text, target.options)


def _open_sample(question: OpenQuestion, cluster: str) -> Sample:
    view, conflict = question.view, question.prior not in (None, question.answer)
    target = QuestionTarget(
        accepted=(question.answer,),
        kind=question.kind,
        form=question.form,
        image_id=view.image_id,
        cluster=cluster or view.image_id,
        options=question.options,
        slices=(question.family, *((PRIOR_CONFLICT,) if conflict else ())),
        chance=1 / question.answers,
        prior=question.prior,
    )
    name = f"{view.image_id}-{question.family.replace(' ', '-')}"
    return Sample(name, view.path, target, question.text, target.options)
