"""Scores answers: a task's own scorer, and beside it the metrics that are installed for this kind of answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from harness.answers import is_of_kind
from harness.entry_points import as_plugin_error
from harness.errors import PluginError
from harness.metrics.answered import Answered
from harness.metrics.metric import Metric, check_metrics
from harness.plan.installed_metrics import metric_named, metrics_of
from harness.protocols import HasNotes, ScoresAlike, Statistics, SupportsQuickScore, SupportsTimeout, Task
from harness.records.matching import require_matching
from harness.sample import Classes, Dataset, Note, Outcome, Prediction, Sample
from harness.text.spelling import normal_form

if TYPE_CHECKING:
    from harness.protocols import Statistics as ResampledStatistics

_LEAST_IN_A_SLICE = 2


class Scoring(AbstractContextManager["Scoring"]):
    """The scorer of a task on some data, as `harness.protocols.Scorer`, with all metrics of its kind of answers."""

    matches = True

    def __init__(self, task: Task, data: Dataset, cache: Path) -> None:
        self._ranking = task.metrics
        if any(metric_named(name).direction < 0 for name in task.metrics[:1]):
            raise PluginError(
                f"The task '{task.name}' ranks by {task.metrics[0]}, of which less is better. Name a metric first of "
                "which more is better, such as 1 - error: seeds, gates and verdicts read it so."
            )
        answers: str | None = getattr(task, "answers", None)
        self._form = (answers or "").partition(":")[0]
        self._scorer = task.scorer(data, cache)
        self._installed = [metric for metric in metrics_of(answers) if metric.name not in task.metrics]

    def __enter__(self) -> Self:
        self._scorer.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._scorer.__exit__(kind, error, trace)

    def wait_at_most(self, seconds: float | None) -> None:
        """Let a scorer that starts programs wait so long for them; None: for ever."""
        if isinstance(self._scorer, SupportsTimeout):
            self._scorer.wait_at_most(seconds)

    def prepare(self, samples: Sequence[Sample]) -> str:
        """Take in the whole split and check golden vectors; returns the signature, raises MetricDrift, DataError.

        The signature is the task's: what else is installed does not keep two records from being compared.
        """
        signature = self._scorer.prepare(samples)
        with as_plugin_error("A metric failed on its golden inputs"):
            check_metrics(self._installed)
        return signature

    def score(self, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> dict[str, Statistics | None]:
        """Score by all metrics, installed ones on slices too.

        Raises DataError for answers that do not fit the samples, PluginError for a metric that fails on them.
        """
        require_matching(self._scorer, samples, outcomes)
        found = dict(self._scorer.score(samples, outcomes))
        own = self._score_installed(samples, outcomes, found)
        return found | own | _on_slices(own, samples)

    def score_condition(self, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> dict[str, Statistics | None]:
        """Score by what is kept under each condition: the first metric, calibration, and installed metrics."""
        if isinstance(self._scorer, SupportsQuickScore):
            found: dict[str, Statistics | None] = {self._ranking[0]: self._scorer.score_first(samples, outcomes)}
        else:
            every = self._scorer.score(samples, outcomes)
            first = next((name for name in self._ranking if every.get(name) is not None), None)
            found = {n: s for n, s in every.items() if n == first or (metric_named(n).each_condition and _is_whole(n))}
        return found | self._score_installed(samples, outcomes, found)

    def score_alike(
        self, samples: Sequence[Sample], a: Sequence[Outcome], b: Sequence[Outcome]
    ) -> tuple[Mapping[str, Statistics | None], Mapping[str, Statistics | None]]:
        """Score two models by what only answers that are made alike can be compared by; nothing for most tasks."""
        return self._scorer.score_alike(samples, a, b) if isinstance(self._scorer, ScoresAlike) else ({}, {})

    def notes(self, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> Sequence[Note]:
        """Say what a reader of the scores must know of these answers."""
        own = self._scorer.notes(samples, outcomes) if isinstance(self._scorer, HasNotes) else ()
        if not self._installed or self._answered(samples, outcomes) is not None:
            return own
        names = ", ".join(metric.name for metric in self._installed)
        return (*own, Note(f"{names}: absent, since some answers are files or are not there"))

    def _score_installed(
        self, samples: Sequence[Sample], outcomes: Sequence[Outcome], beside: Mapping[str, Statistics | None]
    ) -> dict[str, Statistics | None]:
        """The metrics that the harness computes; samples of one image stay together as in the task's own."""
        if not self._installed:
            return {}
        answered = self._answered(samples, outcomes)
        if answered is None:
            return dict.fromkeys(metric.name for metric in self._installed)
        grouped = (g for s in beside.values() if (g := getattr(s, "groups", None)) and len(g) == len(samples))
        groups = next(grouped, None)
        scores: dict[Any, Mapping[str, Any]] = {}  # of a function that computes several metrics at once
        for metric in self._installed:
            if metric.compute not in scores:
                with as_plugin_error(f"The metric '{metric.name}' failed"):
                    scores[metric.compute] = metric.compute(answered)
        return {m.name: _grouped(m, scores[m.compute].get(m.name), len(samples), groups) for m in self._installed}

    def _answered(self, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> Answered | None:
        """Answers in the order of the samples; None where one is missing or not as models answer."""
        given = {outcome.sample_id: outcome.prediction for outcome in outcomes}
        composed = {normal_form(outcome.sample_id): outcome.prediction for outcome in outcomes}
        ids = [sample.sample_id for sample in samples]
        predictions: list[Prediction] = [given.get(i, composed.get(normal_form(i))) for i in ids]
        if not all(is_of_kind(self._form, prediction) for prediction in predictions):
            return None
        classes: Classes = getattr(self._scorer, "classes", Classes())
        return Answered([sample.target for sample in samples], predictions, classes)


def _grouped(metric: Metric, found: Any, count: int, groups: Sequence[str] | None) -> Statistics | None:
    """A metric's statistics, the samples of an image together; raises PluginError for what are none."""
    from harness.stats.grouped import GroupedStatistics

    if found is None:
        return None
    if not hasattr(found, "resample") or len(found.per_sample) != count:
        raise PluginError(
            f"The metric '{metric.name}' returned {type(found).__name__} for {count} samples; wanted "
            "harness.protocols.Statistics with one number a sample in per_sample. Mend its package."
        )
    statistics: ResampledStatistics = found
    return statistics if groups is None else GroupedStatistics(statistics, groups)


def _on_slices(found: Mapping[str, Statistics | None], samples: Sequence[Sample]) -> dict[str, Statistics | None]:
    """Metrics on the slices that targets name; a slice of a single sample says nothing and is left out."""
    if not found:
        return {}
    import numpy as np

    from harness.stats.slices import slice_part

    of_samples = [getattr(sample.target, "slices", ()) for sample in samples]
    places = {name: np.flatnonzero([name in own for own in of_samples]) for name in sorted({*sum(of_samples, ())})}
    return {
        f"{metric}[{name}]": slice_part(statistics, chosen)
        for metric, statistics in found.items()
        if statistics is not None
        for name, chosen in places.items()
        if len(chosen) >= _LEAST_IN_A_SLICE
    }


def _is_whole(name: str) -> bool:
    """Whether a metric is about all samples and classes."""
    return "[" not in name and ":" not in name
