"""Scores label answers, probabilities or labels alone: over the whole split, in each slice, and of each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.answers import NO_CLASS, answered_class, is_label
from harness.errors import DataError
from harness.metrics.labels.golden import check_label_metrics
from harness.protocols import Statistics
from harness.sample import Classes, Note, Outcome, Sample
from tasks.formats.label_outcomes import LabelOutcomes
from tasks.targets.matching import in_sample_order, places_of_samples
from tasks.targets.plain_scorer import PlainScorer, require_samples

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from harness.metrics.labels.row_facts import ProbabilityRows, RowFacts
    from harness.protocols import Statistics as ResampledStatistics

_LEAST_IN_A_SLICE = 2


@dataclass(frozen=True)
class LabelAnswers:
    """The answers to N samples: their classes int64 [N], NO_CLASS for none, None where samples have several.

    Where all answers are probabilities `facts` are what metrics of a single label take of them, and `probabilities`
    [N, C] they themselves where more is asked. `labels` says how many answers are labels alone.
    """

    classes: npt.NDArray[np.int64] | None
    facts: RowFacts | None = None
    probabilities: npt.NDArray[np.float64] | None = None
    labels: int = 0


@dataclass
class LatestAnswers:
    """The answers that a scorer was asked about last: after their scores it tells what must be said of them."""

    samples: Sequence[Sample] = ()
    outcomes: Sequence[Outcome] = ()
    answers: LabelAnswers | None = None


@dataclass(frozen=True)
class LabelScorer(PlainScorer):
    """The scorer of both classification tasks; with `zero_shot` seen and unseen classes are told apart."""

    classes: Classes
    zero_shot: bool = False
    latest: LatestAnswers = field(default_factory=LatestAnswers, repr=False, compare=False)

    def prepare(self, samples: Sequence[Sample]) -> str:
        """Check the golden vectors; raises DataError for an empty split."""
        require_samples(samples)
        return check_label_metrics()

    def score(self, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> Mapping[str, Statistics | None]:
        """Score one answer a sample; raises DataError for answers that are missing, too many or no probabilities.

        Where an answer is a label alone, what needs probabilities is absent, and the share that names no class is told.
        """
        answers = self._answers(samples, outcomes)
        if self.classes.multilabel:
            assert answers.probabilities is not None
            return self._multilabel(samples, answers.probabilities)
        return self._single(samples, answers)

    def notes(self, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> Sequence[Note]:
        """Say how many answers are labels alone, and how many name no class since several share the highest."""
        if self.classes.multilabel:
            return ()
        answers = self._answers(samples, outcomes)
        if answers.facts is None:
            return (_note_of_labels(answers, len(samples)),)
        return tuple(self._ties(samples, answers.facts, answers.probabilities))

    def _single(self, samples: Sequence[Sample], answers: LabelAnswers) -> dict[str, Statistics | None]:
        from harness.metrics.labels.classification import per_class_statistics

        assert answers.classes is not None
        labels = _labels_of(samples)
        found = self._of_labels(answers.classes, answers, labels)
        images = [sample.target.image_id for sample in samples]
        parts = {f"top-1[{name}]": rows for name, rows in _rows_of_slices(samples).items()}
        per_class = per_class_statistics(answers.classes, labels, self.classes.names)
        parts |= {name.replace("per-class:", "top-1:"): statistics.trial for name, statistics in per_class.items()}
        biased = _together(_amplified(answers.classes, labels, samples), images)
        return {**_together(found, images), **_shares(answers.classes == labels, parts, images), **biased}

    def _of_labels(
        self, predicted: npt.NDArray[np.int64], answers: LabelAnswers, labels: npt.NDArray[np.int64]
    ) -> dict[str, ResampledStatistics | None]:
        """The metrics of a single label, in the order of the table; None for those that need what was not given."""
        import numpy as np

        from harness.metrics.labels.classification import (
            OF_PROBABILITIES,
            TOP,
            label_statistics,
            statistics_of_facts,
        )
        from harness.metrics.labels.zero_shot import recall_statistics, zero_shot_statistics
        from harness.metrics.unparsed import unparsed_share

        seen, names = np.array(self.classes.seen), self.classes.names
        found: dict[str, ResampledStatistics | None] = {}
        if answers.probabilities is not None:
            found |= zero_shot_statistics(answers.probabilities, labels, seen)
        if answers.facts is not None:
            return {**found, **statistics_of_facts(answers.facts, labels, names)}
        if self.zero_shot:
            recalls = recall_statistics(predicted, labels, seen)
            found = {"unseen-top-1": None, **recalls, "AUSUC": None}
        absent = [name for name in OF_PROBABILITIES if name != f"top-{TOP}" or len(names) > TOP]
        found |= {**label_statistics(predicted, labels, names), **dict.fromkeys(absent)}
        return {**found, "unparsed": unparsed_share(predicted != NO_CLASS)}

    def _multilabel(
        self, samples: Sequence[Sample], probabilities: npt.NDArray[np.float64]
    ) -> dict[str, Statistics | None]:
        import numpy as np

        from harness.metrics.labels.multilabel import multilabel_statistics

        labels = np.array([sample.target.labels for sample in samples], dtype=np.int8)
        return dict(multilabel_statistics(probabilities, labels, self.classes.names))

    def _ties(
        self, samples: Sequence[Sample], facts: RowFacts, probabilities: npt.NDArray[np.float64] | None
    ) -> list[Note]:
        import numpy as np

        from harness.metrics.labels.classification import TOP
        from harness.metrics.labels.zero_shot import best_among

        labels = _labels_of(samples)
        cases = {
            "have several classes of the highest probability: no answer, so no hit": facts.top == NO_CLASS,
            f"have the right class on a place that others share, beyond the first {TOP}: not in the top {TOP}": (
                facts.above < TOP
            )
            & (facts.rank >= TOP),
        }
        seen = np.array(self.classes.seen)
        if probabilities is not None and not seen[labels].all():
            tied = (best_among(probabilities, ~seen) == NO_CLASS) & ~seen[labels]
            cases["of unseen classes have several unseen classes of the highest probability: no hit among these"] = tied
        total = len(samples)
        counts = {text: int(rows.sum()) for text, rows in cases.items()}
        return [Note(f"{n} of {total} samples {text}", count=n, total=total) for text, n in counts.items() if n]

    def _answers(self, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> LabelAnswers:
        """Put answers beside the samples; raises DataError for those that do not fit them."""
        latest = self.latest
        if latest.answers is None or latest.samples is not samples or latest.outcomes is not outcomes:
            latest.answers = self._taken(samples, outcomes)
            latest.samples, latest.outcomes = samples, outcomes
        return latest.answers

    def _taken(self, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> LabelAnswers:
        import numpy as np

        if isinstance(outcomes, LabelOutcomes):
            places = np.array(places_of_samples(samples, outcomes.sample_ids, "answer"))
            return self._of_probabilities(samples, outcomes.probabilities, places)
        answers = in_sample_order(samples, outcomes, "answer")
        for sample, answer in zip(samples, answers, strict=True):
            self._check(sample, answer)
        labels = sum(is_label(answer) for answer in answers)
        if labels:
            found = np.array([answered_class(answer) for answer in answers], dtype=np.int64)
            return LabelAnswers(found, labels=labels)
        try:
            probabilities = np.array(answers, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(
                f"The answers are not numbers ({error}); wanted {len(self.classes)} probabilities a sample."
            ) from None
        return self._of_probabilities(samples, probabilities, np.arange(len(samples)))

    def _of_probabilities(
        self, samples: Sequence[Sample], rows: ProbabilityRows, places: npt.NDArray[np.int64]
    ) -> LabelAnswers:
        """Take what is asked of probabilities, the row of each sample being in `places` [N]."""
        import numpy as np

        from harness.metrics.labels.row_facts import row_facts

        whole = rows[: rows.shape[0]][places] if self.classes.multilabel or self.zero_shot else None
        if self.classes.multilabel:
            return LabelAnswers(None, None, whole)
        labels = np.empty(len(samples), dtype=np.int64)
        labels[places] = _labels_of(samples)
        facts = row_facts(rows, labels).taken(places)
        return LabelAnswers(facts.top, facts, whole)

    def _check(self, sample: Sample, answer: object) -> None:
        count = len(self.classes)
        if isinstance(answer, list | tuple) and len(answer) == count:
            return
        if is_label(answer) and not self.classes.multilabel and NO_CLASS <= answer < count:  # type: ignore[operator]
            return
        alone = "" if self.classes.multilabel else f", or the index of one (0..{count - 1}; {NO_CLASS} for none)"
        raise DataError(
            f"Sample {sample.sample_id} has the answer {str(answer)[:80]}; wanted {count} probabilities, "
            f"one for each class{alone}."
        )


def _labels_of(samples: Sequence[Sample]) -> npt.NDArray[np.int64]:
    """[N] the class of each sample."""
    import numpy as np

    return np.array([sample.target.label for sample in samples], dtype=np.int64)


def _note_of_labels(answers: LabelAnswers, total: int) -> Note:
    count = answers.labels
    return Note(
        f"{count} of {total} answers are labels without probabilities: what needs these is absent", None, count, total
    )


def _rows_of_slices(samples: Sequence[Sample]) -> dict[str, npt.NDArray[np.bool_]]:
    """[N] which samples each slice has; a slice of a single sample says nothing and is left out."""
    import numpy as np

    names = sorted({name for sample in samples for name in sample.target.slices})
    rows = {name: np.array([name in sample.target.slices for sample in samples]) for name in names}
    return {name: chosen for name, chosen in rows.items() if chosen.sum() >= _LEAST_IN_A_SLICE}


def _amplified(
    predicted: npt.NDArray[np.int64], labels: npt.NDArray[np.int64], samples: Sequence[Sample]
) -> dict[str, ResampledStatistics | None]:
    """By how much more often an attribute's classes are answered than they are right, where samples have attributes.

    BiasAmp from attribute to label (Wang & Russakovsky 2021, arXiv 2102.12594) over the pairs that go together in the
    biased training set, attributes by their samples; above 0: answers follow the attribute. In [-1, 1].
    """
    import numpy as np

    from harness.stats.bias_amplification import OF_ATTRIBUTES
    from harness.stats.resampling import MeanStatistics

    if not all(sample.target.lured for sample in samples):
        return {}
    lured = [sample.target.lured for sample in samples]
    said = np.array([answer in own for answer, own in zip(predicted.tolist(), lured, strict=True)], dtype=np.float64)
    true = np.array([label in own for label, own in zip(labels.tolist(), lured, strict=True)], dtype=np.float64)
    return {OF_ATTRIBUTES: MeanStatistics(said - true, (-1.0, 1.0))}


def _shares(
    correct: npt.NDArray[np.bool_], parts: Mapping[str, npt.NDArray[np.bool_]], images: Sequence[str]
) -> dict[str, Statistics | None]:
    """The share of correct answers in each part."""
    from harness.stats.proportions import proportion

    found: dict[str, Statistics | None] = {}
    for name, rows in parts.items():
        own = [images[row] for row in rows.nonzero()[0].tolist()]
        found |= _together({name: proportion(correct[rows])}, own)
    return found


def _together(found: Mapping[str, ResampledStatistics | None], images: Sequence[str]) -> dict[str, Statistics | None]:
    """Let intervals draw samples of one image together, where images have several."""
    from harness.stats.grouped import GroupedStatistics

    if len(set(images)) == len(images):
        return dict(found)
    return {name: s if s is None else GroupedStatistics(s, images) for name, s in found.items()}
