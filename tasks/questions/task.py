"""The task `visual-question-answering`: a short answer to a question about an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.answers import SHORT_ANSWERS
from harness.errors import UsageError
from harness.protocols import DataContext
from harness.sample import (
    AnswerEvidence,
    Classes,
    Dataset,
    Outcome,
    Prediction,
    Sample,
    Target,
    TaskSpec,
    targets_of,
    texts_of,
)

if TYPE_CHECKING:
    from harness.affine import Affine
    from harness.protocols import Scorer

MOST_ANSWERS = 3000
"""So many of the commonest training answers are what models choose among that do not write (Teney et al. 2018)."""


@dataclass(frozen=True)
class QuestionTask:
    """Yes or no, one of several options, a number, a word or two.

    About the built-in Scenes, or as VQA v2, POPE, GQA, simple JSON and CSV files ask. `images` names the folder of the
    images where they are not beside the questions.
    """

    name: str = "visual-question-answering"
    summary: str = "answer a question about an image in a word or two (VQA v2, POPE, GQA, tables, Scenes)"
    version: int = 1
    metrics: tuple[str, ...] = (
        "accuracy", "VQA-accuracy", "unparsed", "group-accuracy", "question-accuracy", "image-accuracy", "yes-F1",
        "yes-AUC", "yes-share", "prior-share",
    )  # fmt: skip
    settings: tuple[str, ...] = ("images",)
    learnable_score: float = 0.9
    answers: str = SHORT_ANSWERS

    def open_data(self, context: DataContext) -> Dataset:
        """Take the folder that is meant, else Scenes; raises DataError."""
        from tasks.datasets.locations import locate_data, refuse_settings

        folder = locate_data(context)
        if folder is not None:
            from tasks.questions.files import open_questions_on_disk

            return open_questions_on_disk(folder, context)
        from tasks.questions.scenes import open_scene_questions

        refuse_settings(context, ("images",), "is for folders: Scenes has its own")
        return open_scene_questions(context)

    def samples(self, data: Dataset, split: str) -> Sequence[Sample]:
        """Read a split; the target is a `QuestionTarget`, the text the question."""
        if data.layout == "scenes":
            from tasks.questions.scenes import scene_question_samples

            return scene_question_samples(data, split)
        from tasks.questions.files import questions_of_split

        return questions_of_split(data, split)

    def spec(self, data: Dataset, training: Sequence[Sample]) -> TaskSpec:
        """Hand over the questions and the commonest answers of training, as classes."""
        names = _known_answers(data)
        classes = Classes(names, tuple((name,) for name in names), (True,) * len(names))
        return TaskSpec(self.name, targets_of(training), SHORT_ANSWERS, classes, texts_of(training))

    def ceilings(self, data: Dataset, split: str, samples: Sequence[Sample]) -> Mapping[str, Mapping[str, float]]:
        """Known on Scenes, where every answer follows from the facts."""
        from tasks.questions.scenes import scene_question_ceilings

        return scene_question_ceilings(samples) if data.layout == "scenes" else {}

    def validation_score(self, predictions: Sequence[Prediction], targets: Sequence[Target]) -> float:
        """Accuracy."""
        from tasks.questions.judging import judge_question

        pairs = zip(predictions, targets, strict=True)
        return sum(judge_question(p, target).right for p, target in pairs) / len(targets)

    def chance(self, data: Dataset, samples: Sequence[Sample]) -> float:
        """A guess among the answers that a question may have; 0 where nobody knows these."""
        return float(sum(sample.target.chance for sample in samples) / max(1, len(samples)))

    def slices(self, samples: Sequence[Sample]) -> Mapping[str, Mapping[str, Sequence[int]]]:
        """By kind of question, and by the parts that the data names."""
        found: dict[str, dict[str, list[int]]] = {"kind of question": {}, "question": {}}
        for place, sample in enumerate(samples):
            found["kind of question"].setdefault(sample.target.kind, []).append(place)
            for name in sample.target.slices:
                found["question"].setdefault(name, []).append(place)
        return found

    def evidence(self, data: Dataset, split: str, samples: Sequence[Sample]) -> Sequence[AnswerEvidence | None]:
        """Known on Scenes: the objects that a question's words are true of, and these words."""
        if data.layout != "scenes":
            return [None] * len(samples)
        from tasks.questions.evidence import scene_question_evidence

        return scene_question_evidence(data, split, samples)

    def moved(self, target: Target, affine: Affine) -> Target:
        """What is right stays so where the question goes with the image (`moved_text`)."""
        return target

    def moved_text(self, text: str, affine: Affine) -> str:
        """Left and right change places in questions about a mirrored image."""
        from tasks.targets.mirrored_words import moved_words

        return moved_words(text, affine)

    def shifts(self, data: Dataset) -> Mapping[str, str]:
        """Those of Scenes."""
        from tasks.scenes_data.open import scene_shifts

        return scene_shifts(data, reads_text=True)

    def scorer(self, data: Dataset, cache: Path) -> Scorer:
        """Answers against those that count, and against what training would suggest."""
        from tasks.questions.scoring import QuestionScorer

        if data.layout != "questions":
            return QuestionScorer()
        from tasks.questions.files import training_answers

        return QuestionScorer(training_answers(data, MOST_ANSWERS).priors)

    def read_predictions(self, path: Path, data: Dataset) -> Sequence[Outcome]:
        """Read VQA's results, JSON lines, CSV or Parquet of question_id and answer, or of scores."""
        from tasks.formats.question_answers import read_question_answers

        return read_question_answers(path)

    def read_references(self, path: Path) -> tuple[Dataset, Sequence[Sample]]:
        """There is no file of questions without images."""
        raise UsageError(f"{self.name} takes its answers from --data, not from --references.")


def _known_answers(data: Dataset) -> tuple[str, ...]:
    if data.layout == "scenes":
        from tasks.questions.scenes import SCENE_ANSWERS

        return SCENE_ANSWERS
    from tasks.questions.files import training_answers

    return training_answers(data, MOST_ANSWERS).answers


visual_question_answering = QuestionTask()
