"""Scores answers to questions: over the whole split and in each kind of question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.metrics.questions.judged import JudgedQuestion, JudgedQuestions
from harness.protocols import Statistics
from harness.sample import Note, Outcome, Sample
from tasks.questions.judging import judge_question
from tasks.targets.matching import in_sample_order
from tasks.targets.plain_scorer import PlainScorer, require_samples

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_LEAST_IN_A_SLICE = 2


@dataclass(frozen=True)
class QuestionScorer(PlainScorer):
    """The scorer of `visual-question-answering`; what cannot be read as an answer is wrong, and counted.

    `priors` are the commonest training answers by form of question.
    """

    priors: Mapping[str, str] = field(default_factory=dict)

    def prepare(self, samples: Sequence[Sample]) -> str:
        """Check the golden case; raises DataError for an empty split."""
        from harness.metrics.metric import check_metrics
        from harness.metrics.questions.catalog import METRICS

        require_samples(samples)
        check_metrics(METRICS)
        return "questions:1"

    def score(self, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> Mapping[str, Statistics | None]:
        """Score one answer a sample; raises DataError for answers that are missing, too many or of another form."""
        from harness.metrics.questions.scores import question_scores
        from harness.stats.proportions import ProportionStatistics

        judged = self._judged(samples, outcomes)
        found = question_scores(judged)
        right = judged.marks("right")
        for name, rows in _rows_of_slices(samples).items():
            found[f"accuracy[{name}]"] = ProportionStatistics(right, rows)
        return _together(found, [sample.target.cluster for sample in samples])

    def score_first(self, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> Statistics | None:
        """Accuracy alone."""
        return self.score(samples, outcomes)["accuracy"]

    def notes(self, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> Sequence[Note]:
        """Say how many answers could not be read, and how many samples stand in no whole group."""
        from harness.metrics.questions.scores import whole_groups

        judged = self._judged(samples, outcomes)
        total, found = len(judged), []
        if silent := total - int(judged.marks("answered").sum()):
            text = f"{silent} of {total} answers are none that could be read: they count as wrong"
            found.append(Note(text, None, silent, total))
        whole = whole_groups(judged)
        cut = sum(bool(row.group) and row.group not in whole for row in judged.rows)
        if cut:
            text = f"{cut} of {total} samples are of groups that are not whole here: group accuracy leaves them out"
            found.append(Note(text, None, cut, total))
        return found

    def _judged(self, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> JudgedQuestions:
        answers = in_sample_order(samples, outcomes, "answer")
        return JudgedQuestions([self._judge(a, sample) for a, sample in zip(answers, samples, strict=True)])

    def _judge(self, answer: object, sample: Sample) -> JudgedQuestion:
        target = sample.target
        return judge_question(answer, target, sample.sample_id, self.priors.get(target.form))


def _rows_of_slices(samples: Sequence[Sample]) -> dict[str, npt.NDArray[np.bool_]]:
    """[N] which samples each slice has: kinds of question where there are several, and slices of their own."""
    import numpy as np

    names = [{sample.target.kind, *sample.target.slices} for sample in samples]
    rows = {name: np.array([name in own for own in names]) for name in sorted(set().union(*names))}
    return {name: r for name, r in rows.items() if _LEAST_IN_A_SLICE <= r.sum() < len(samples)}


def _together(found: Mapping[str, Statistics | None], clusters: Sequence[str]) -> dict[str, Statistics | None]:
    """Let intervals draw samples of one cluster together, where clusters have several."""
    from harness.stats.grouped import GroupedStatistics

    if len(set(clusters)) == len(clusters):
        return dict(found)
    return {name: s if s is None else GroupedStatistics(s, clusters) for name, s in found.items()}
