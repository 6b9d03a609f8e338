"""What plugin authors write against: Task, Model, Learner, VisionTower, Scorer, Statistics.

Plugins are found by entry point (`bench.tasks`, `bench.models`). A plugin module must be cheap to
import: torch and its kin belong inside the functions that need them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from harness.protocols.compression import Compression, CompressionWork
from harness.protocols.derived import Derived
from harness.protocols.model import (
    BuildContext,
    HasNormalizedPixels,
    Learner,
    Model,
    ParameterGroups,
    Prerequisite,
    VisionTower,
)
from harness.protocols.optional import (
    AnswersInStream,
    AsksService,
    EmbeddedText,
    HasCheckpointSettings,
    HasEvidence,
    HasLossParts,
    HasMeanLoss,
    HasNotes,
    HasPrompts,
    HasSampleLosses,
    HasShifts,
    HasTextEmbeddings,
    LossPart,
    MatchesAnswers,
    MovesTargets,
    MovesTexts,
    ReadsText,
    SettlesOptions,
    SpreadsOverGpus,
    SupportsFit,
    SupportsForget,
    SupportsTimeout,
    TakesPictures,
)
from harness.sample import Dataset, Outcome, Prediction, Sample, Target, TaskSpec

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from harness.condition import Part

__all__ = [
    "NOTICE",
    "AnswersInStream",
    "AsksService",
    "BeginsPredictions",
    "BuildContext",
    "Compression",
    "CompressionWork",
    "DataContext",
    "Derived",
    "EmbeddedText",
    "HasChanceLevel",
    "HasCheckpointSettings",
    "HasCorruptedCopies",
    "HasEvidence",
    "HasLossParts",
    "HasMeanLoss",
    "HasNormalizedPixels",
    "HasNotes",
    "HasPrompts",
    "HasSampleLosses",
    "HasShifts",
    "HasSlices",
    "HasTextEmbeddings",
    "Learner",
    "ListsModels",
    "LossPart",
    "MatchesAnswers",
    "Model",
    "MovesTargets",
    "MovesTexts",
    "NamesTasks",
    "ParameterGroups",
    "Prerequisite",
    "Progress",
    "ReadsText",
    "Scorer",
    "ScoresAlike",
    "SettlesOptions",
    "SpreadsOverGpus",
    "Statistics",
    "SupportsFit",
    "SupportsForget",
    "SupportsQuickScore",
    "SupportsTimeout",
    "TakesPictures",
    "Task",
    "VisionTower",
    "controls_on",
    "serves",
]  # fmt: skip

Progress = Callable[[str, int, int], None]
"""Called with (what is being done, how many are done, how many there are); a total of NOTICE marks a message
that must stay in sight instead."""
NOTICE = -1


@dataclass(frozen=True)
class DataContext:
    """Where data may be looked for: the user's wish, `$BENCH_DATA`, the cache; and whom to tell.

    `split` is the one to be evaluated, None for the data set's default one. `settings` are the task's own
    options (`--scenes-track`, `--set task.KEY=VALUE` and the like), only those that it names in `Task.settings`.
    `evaluate_only` says that nothing will be trained on it: then nothing need be set aside for training. `trained_on`
    is the data set of the models where they are trained on another: what they have seen is what that one says.
    """

    wish: str | None
    split: str | None
    environment: str | None
    working_directory: Path
    cache: Path
    progress: Progress
    settings: Mapping[str, Any] = field(default_factory=dict)
    evaluate_only: bool = False
    trained_on: Dataset | None = None


class Statistics(Protocol):
    """One metric's per-sample statistics, enough to recompute it for any resample.

    A metric that is a proportion of samples also offers `successes` (bool `[N]`), which gives it a
    Wilson interval.
    """

    @property
    def value(self) -> float:
        """The metric over all samples."""
        ...

    @property
    def per_sample(self) -> npt.NDArray[np.float64]:
        """What each sample scores by itself `[N]`."""
        ...

    def resample(self, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Recompute for resamples given as multiplicities `[R, N]`; returns `[R]`."""
        ...


class Scorer(AbstractContextManager["Scorer"], Protocol):
    """Computes a task's metrics; holds whatever processes they need for the length of a run."""

    def prepare(self, samples: Sequence[Sample]) -> str:
        """Take in the whole split, check golden vectors and return the signature; raises MetricDrift."""
        ...

    def score(self, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> Mapping[str, Statistics | None]:
        """Score outcomes against the targets of these samples of the split; None marks an absent metric.

        Names are the task's metrics and more: `NAME[SLICE]` is a metric on a part of the samples,
        `NAME:CLASS` one class's share of it.
        """
        ...


@runtime_checkable
class Task(Protocol):
    """A kind of problem: where its data is, what a sample is, and how answers are scored."""

    name: str
    summary: str
    version: int
    metrics: tuple[str, ...]
    """Names in the order of the table; the first one ranks, and higher is better."""
    settings: tuple[str, ...]
    """Names that it takes in `--set task.NAME=VALUE` or as flags; others are not handed to it."""
    answers: str
    """The kind of answer that it wants (`harness.answers`): models that give this kind serve it."""
    learnable_score: float
    """Of `validation_score`, on 32 training samples, times what a model of the same inputs can reach on them.

    A model that does not get there is not learnable here.
    """

    def open_data(self, context: DataContext) -> Dataset:
        """Find the data; raises DataError when what was asked for is not there."""
        ...

    def samples(self, data: Dataset, split: str) -> Sequence[Sample]:
        """Read a split; raises DataError naming the file and the key that is wrong."""
        ...

    def spec(self, data: Dataset, training: Sequence[Sample]) -> TaskSpec:
        """Say what models must know before they are built, from training samples only."""
        ...

    def ceilings(self, data: Dataset, split: str, samples: Sequence[Sample]) -> Mapping[str, Mapping[str, float]]:
        """The best score that anyone could reach, by metric and by what is seen (vision, text, both).

        Empty where it is not known, as on all real data.
        """
        ...

    def validation_score(self, predictions: Sequence[Prediction], targets: Sequence[Target]) -> float:
        """Score quickly during training, to select the best checkpoint; higher is better."""
        ...

    def scorer(self, data: Dataset, cache: Path) -> Scorer:
        """Make the scorer of a run."""
        ...

    def read_predictions(self, path: Path, data: Dataset) -> Sequence[Outcome]:
        """Read predictions made elsewhere for this data in the task's standard format.

        `FileOutcomes` also say how the file was read, where that could have been otherwise.
        """
        ...

    def read_references(self, path: Path) -> tuple[Dataset, Sequence[Sample]]:
        """Read targets from a file of their own, without images; for scoring only."""
        ...


@runtime_checkable
class HasCorruptedCopies(Protocol):
    """A task that reads data sets whose splits are one set of samples under corruptions, such as ImageNet-C."""

    def corruptions(self, data: Dataset) -> Mapping[str, Part]:
        """Return the corruption and severity of each split; empty where data are no such copies."""
        ...


@runtime_checkable
class HasScoringSettings(Protocol):
    """A task with settings that only its scorer reads: to ask for others trains nothing and predicts nothing anew."""

    def scoring_settings(self, context: DataContext) -> Mapping[str, Any]:
        """What `Dataset.scoring` shall hold: of files their digests too; raises BenchError for what is not there."""
        ...


@runtime_checkable
class HasChanceLevel(Protocol):
    """A task that knows what its first metric gives for guessing; for all others that is 0."""

    def chance(self, data: Dataset, samples: Sequence[Sample]) -> float:
        """Return what guessing scores on these samples."""
        ...


@runtime_checkable
class SupportsQuickScore(Protocol):
    """A scorer that can compute the task's first metric without the costly others."""

    def score_first(self, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> Statistics | None:
        """Score outcomes by the first metric alone."""
        ...


@runtime_checkable
class ScoresAlike(Protocol):
    """A scorer with metrics that two models can only be compared by once their answers are made alike, as in length."""

    def score_alike(
        self, samples: Sequence[Sample], a: Sequence[Outcome], b: Sequence[Outcome]
    ) -> tuple[Mapping[str, Statistics | None], Mapping[str, Statistics | None]]:
        """Make the answers of both alike, sample by sample, and score each by the same metrics."""
        ...


@runtime_checkable
class HasSlices(Protocol):
    """A task that knows parts of its samples, by their targets, in which models may differ."""

    def slices(self, samples: Sequence[Sample]) -> Mapping[str, Mapping[str, Sequence[int]]]:
        """Return the places of the samples in each slice, by kind of slice and name; slices may overlap."""
        ...


@runtime_checkable
class BeginsPredictions(Protocol):
    """A task that reads files of predictions before it knows the data, so that `bench score` reads both at once."""

    def begin_predictions(self, path: Path) -> Callable[[Dataset], Sequence[Outcome]]:
        """Read a file; returns what makes answers of it for some data. Both together raise as `read_predictions`."""
        ...


@runtime_checkable
class NamesTasks(Protocol):
    """A model that serves the tasks that it names in `tasks`, whatever they want; `controls_for` gets their name.

    So models did before tasks said which kind of answer they want, and one that names tasks needs no `answers`.
    """

    tasks: tuple[str, ...]


@runtime_checkable
class ListsModels(Protocol):
    """A model family (`bench.model_families`) some of whose models are listed and run in `all`, not by name alone."""

    def names(self) -> Sequence[str]:
        """Name these models, with the family's prefix."""
        ...


def open_data(task: Task, context: DataContext) -> Dataset:
    """Open a task's data with the settings of its scorer; raises DataError, or UsageError for a setting."""
    return with_scoring_settings(task, task.open_data(context), context)


def with_scoring_settings(task: Task, data: Dataset, context: DataContext) -> Dataset:
    """Let data hold the settings of a task's scorer; raises UsageError for one that it does not take."""
    if not isinstance(task, HasScoringSettings):
        return data
    return replace(data, scoring=task.scoring_settings(context))


def serves(model: Model, task: Task) -> bool:
    """Tell whether a model serves a task: it gives the kind of answer that the task wants, or names the task."""
    return task.answers in getattr(model, "answers", ()) or (isinstance(model, NamesTasks) and task.name in model.tasks)


def controls_on(model: Model, task: Task) -> tuple[str, ...]:
    """Name the controls of a model on a task that it serves."""
    return tuple(model.controls_for(task.answers if task.answers in getattr(model, "answers", ()) else task.name))


_FORMER_NAMES = {
    "Normalising": "HasNormalizedPixels",
    "Fitted": "SupportsFit",
    "MeanLoss": "HasMeanLoss",
    "Remembering": "SupportsForget",
    "Reading": "ReadsText",
    "Attackable": "HasSampleLosses",
    "MovingTargets": "MovesTargets",
    "MovingTexts": "MovesTexts",
    "Shifting": "HasShifts",
    "CorruptedCopies": "HasCorruptedCopies",
    "ChanceLevel": "HasChanceLevel",
    "QuickScorer": "SupportsQuickScore",
    "Noting": "HasNotes",
    "Patient": "SupportsTimeout",
    "Matching": "MatchesAnswers",
    "Slicing": "HasSlices",
}
"""Names of optional protocols before they said what they offer; plugins may use them for one release."""


def __getattr__(name: str) -> Any:
    """Find a protocol by its former name, with a DeprecationWarning."""
    if name not in _FORMER_NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(f"harness.protocols.{name} is called {_FORMER_NAMES[name]} now.", DeprecationWarning, stacklevel=2)
    return globals()[_FORMER_NAMES[name]]
