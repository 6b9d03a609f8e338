"""What plugin authors write against: Task, Model, Learner, VisionTower, Scorer, Statistics.

Plugins are found by entry point (`bench.tasks`, `bench.models`). A plugin module must be cheap to
import: torch and its kin belong inside the functions that need them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from harness.cell import DecodeOptions, ModelOptions, TrainOptions
from harness.sample import Batch, Dataset, Note, Outcome, Prediction, Preprocessing, Sample, Target, TaskSpec

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Generator, Tensor, nn

    from harness.affine import Affine
    from harness.condition import Part

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


class VisionTower(Protocol):
    """An image encoder: an `nn.Module` from pixels to visual tokens.

    `key` is the digest of its name, weights, keywords and preprocessing: cached features carry it. One that also
    fits `HasNormalizedPixels` has its normalisation checked.
    """

    key: str
    preprocessing: Preprocessing
    width: int

    def __call__(self, pixels: Tensor) -> Tensor:
        """Encode uint8 pixels `[B, 3, size, size]` to float tokens `[B, N, width]`."""
        ...


@runtime_checkable
class HasNormalizedPixels(Protocol):
    """A vision tower that shows what its network is given, so that this can be checked before anything is scored."""

    preprocessing: Preprocessing

    def normalized(self, pixels: Tensor) -> Tensor:
        """Turn pixels 0..255 `[B, 3, S, S]`, RGB, into (pixels / 255 - mean) / std of `preprocessing`, same shape."""
        ...


@dataclass(frozen=True)
class ParameterGroups:
    """A learner's trainable parameters by origin: pretrained language, pretrained vision, new."""

    language: Sequence[tuple[str, nn.Parameter]]
    vision: Sequence[tuple[str, nn.Parameter]]
    new: Sequence[tuple[str, nn.Parameter]]


@runtime_checkable
class Learner(Protocol):
    """A torch module built for one task; also an `nn.Module`.

    `vision` is None for a learner that sees no image. When `vision_frozen`, the tower's tokens are
    computed once a data set and shared with every learner whose tower has the same key.
    """

    vision_frozen: bool

    @property
    def vision(self) -> VisionTower | None:
        """What turns pixels into tokens."""
        ...

    def loss(self, batch: Batch, generator: Generator) -> Tensor:
        """Return the scalar training loss; all randomness beside dropout comes from `generator`."""
        ...

    def predict(self, batch: Batch) -> list[Prediction]:
        """Answer for each sample, in finite JSON values, tensors or arrays; not depending on the rest of the batch."""
        ...

    def parameter_groups(self) -> ParameterGroups:
        """Name the trainable parameters; an empty set means that nothing is trained by gradient."""
        ...


@runtime_checkable
class SupportsFit(Protocol):
    """A learner that is fitted in one pass instead of by gradient, such as nearest neighbours."""

    def fit(self, batches: Iterable[Batch]) -> None:
        """Take in the whole training split, in sample order."""
        ...


@runtime_checkable
class HasMeanLoss(Protocol):
    """A learner that says whether its training loss is a mean over the samples of a batch, without a part in common.

    Only then smaller batches, added up, are the same training, and are taken where memory runs out. A loss over pairs
    of samples, over all tokens or boxes of a batch, or behind batch norm is none, and a learner that does not say
    counts as having none: its training then fails for lack of memory instead of becoming another one.
    """

    loss_is_mean_over_samples: bool


@runtime_checkable
class SupportsForget(Protocol):
    """A learner that remembers the texts it has read beside images, so that each is read once a job."""

    def forget(self) -> None:
        """Drop what is remembered of samples: a timed call must read its text itself."""
        ...


@runtime_checkable
class ReadsText(Protocol):
    """A learner that reads texts: without this a learner is taken to read none.

    `reads` holds "text" where it reads the text beside each image, "classes" where it reads the texts of the classes.
    """

    reads: tuple[str, ...]

    def reword(self, class_texts: Sequence[Sequence[str]]) -> None:
        """Read these texts for the classes from now on, prompts of class i at place i; the weights stay."""
        ...


@runtime_checkable
class HasSampleLosses(Protocol):
    """A learner that says how wrong it is about each sample, differentiably in `batch.visual`."""

    def losses(self, batch: Batch) -> Tensor:
        """Return the task's loss of each sample `[B]`, in eval mode, without what only training adds."""
        ...


@runtime_checkable
class MovesTargets(Protocol):
    """A task whose targets follow when the image is moved: without this, images are not moved."""

    def moved(self, target: Target, affine: Affine) -> Target:
        """Move boxes, masks, label maps, or words for left and right, with the pixels."""
        ...


@runtime_checkable
class MovesTexts(Protocol):
    """A task with a text beside each image that may speak of its sides."""

    def moved_text(self, text: str, affine: Affine) -> str:
        """Reword the text so that it is as true of the moved image."""
        ...


@runtime_checkable
class HasShifts(Protocol):
    """A task that knows splits of a data set on which something natural has changed."""

    def shifts(self, data: Dataset) -> Mapping[str, str]:
        """Return the split of each shift by its name; empty where there are none."""
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
class HasNotes(Protocol):
    """A scorer with something to say beside its numbers: of answers that it left out, or that look misread."""

    def notes(self, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> Sequence[Note]:
        """Say what a reader of the scores must know of these answers."""
        ...


@runtime_checkable
class SupportsTimeout(Protocol):
    """A scorer that waits for programs which may hang."""

    def wait_at_most(self, seconds: float | None) -> None:
        """End a program that gives no answer for so long (None: never) and raise a BenchError; before `prepare`."""
        ...


@runtime_checkable
class MatchesAnswers(Protocol):
    """A scorer that itself refuses answers that are missing, twice there or for no sample, where `matches` is true.

    For all others the harness does so before they score.
    """

    matches: bool


@runtime_checkable
class HasSlices(Protocol):
    """A task that knows parts of its samples, by their targets, in which models may differ."""

    def slices(self, samples: Sequence[Sample]) -> Mapping[str, Mapping[str, Sequence[int]]]:
        """Return the places of the samples in each slice, by kind of slice and name; slices may overlap."""
        ...


@runtime_checkable
class SupportsTwins(Protocol):
    """A task whose targets carry a name that must differ between samples that are scored together."""

    def twins(self, sample: Sample) -> tuple[Sample, Sample]:
        """Copy a sample twice under new names, so that all copies sort as the samples do."""
        ...


@dataclass(frozen=True)
class Prerequisite:
    """A network that must have been trained first: its task, model and budget, on embedded data."""

    task: str
    model: str
    train: TrainOptions


@dataclass(frozen=True)
class BuildContext:
    """What a model may use while it is built.

    `prerequisite` is the checkpoint folder of the model's prerequisite, if it has one.
    """

    options: ModelOptions
    train: TrainOptions
    decode: DecodeOptions
    seed: int
    cache: Path
    prerequisite: Path | None = None


@runtime_checkable
class Model(Protocol):
    """A named composition that builds learners."""

    name: str
    summary: str
    answers: tuple[str, ...]
    """The kinds of answer that it gives (`harness.answers`): it serves every task that wants one of them."""
    fused: bool
    settings: tuple[str, ...]
    """Names that it takes in `--set model.NAME=VALUE`; others are not handed to it."""

    def controls_for(self, answers: str) -> tuple[str, ...]:
        """Name the controls that the tool can make of this model for a kind of answer, of C0 to C6."""
        ...

    def with_control(self, control: str) -> Model:
        """Make the control's model of this one; raises UsageError for one that is not offered."""
        ...

    def recipe(self, options: ModelOptions) -> Mapping[str, Any]:
        """Say what is composed, JSON-able, digests of weights included: it enters the fingerprint.

        Raises WeightsUnavailable when weights are not there, UsageError for options that do not fit.
        Must not import torch.
        """
        ...

    def prerequisite(self, options: ModelOptions) -> Prerequisite | None:
        """Name the network that must be trained before this model can be built."""
        ...

    def build(self, spec: TaskSpec, context: BuildContext) -> Learner:
        """Build for a task; the same context always gives the same weights."""
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
    "Twinning": "SupportsTwins",
}
"""Names of optional protocols before they said what they offer; plugins may use them for one release."""


def __getattr__(name: str) -> Any:
    """Find a protocol by its former name, with a DeprecationWarning."""
    if name not in _FORMER_NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(f"harness.protocols.{name} is called {_FORMER_NAMES[name]} now.", DeprecationWarning, stacklevel=2)
    return globals()[_FORMER_NAMES[name]]
