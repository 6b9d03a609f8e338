"""What learners, tasks and scorers may offer beside what they must: each protocol says what it is, or can.

All are imported from `harness.protocols`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from harness.cell import ModelOptions
from harness.option_fields import Precision
from harness.sample import AnswerEvidence, Batch, Dataset, Note, Outcome, Prediction, Sample, Target

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from harness.affine import Affine


@runtime_checkable
class SupportsFit(Protocol):
    """A learner that is fitted in one pass instead of by gradient, such as nearest neighbours."""

    def fit(self, batches: Iterable[Batch]) -> None:
        """Take in the whole training split, in sample order."""
        ...


@runtime_checkable
class SettlesOptions(Protocol):
    """A model whose options leave open what the device decides, such as a number format: that is settled when planning.

    What it returns enters the fingerprint, so that two machines that do the same say the same.
    """

    def settled(self, options: ModelOptions, device: str, precision: Callable[[Precision], Precision]) -> ModelOptions:
        """Settle options for a device, `cpu` or `cuda`; `precision` says what `auto` means there. Raises UsageError."""
        ...


@runtime_checkable
class TakesPictures(Protocol):
    """A learner without a tower that wants the images themselves (`Batch.pictures`), where `takes_pictures` is true."""

    takes_pictures: bool


@runtime_checkable
class AnswersInStream(Protocol):
    """A learner that works on later samples while earlier ones are waited for, as one that asks a service."""

    def answering(self) -> AbstractContextManager[Callable[[Batch], Callable[[], list[Prediction]]]]:
        """Give a block in which batches are begun: what begins one returns at once, what that returns waits for it.

        A batch is answered as `predict` does, by the words that were the learner's when it was begun. Leaving the block
        by an exception gives up what is at work.
        """
        ...


@runtime_checkable
class AsksService(Protocol):
    """A learner whose answers come from elsewhere: what that costs is not this machine's.

    Where a sample cannot be answered, its `predict` gives `harness.sample.NoAnswer`.
    """

    def service_report(self) -> Mapping[str, Any]:
        """Say what is known of the service, its `host` at least, and of the requests so far, JSON-able."""
        ...


@runtime_checkable
class HasPrompts(Protocol):
    """A model that is asked in words: each of its prompts is a cell of its own, and their scores are averaged.

    A cell's prompt is its setting `prompt_name` (`--set model.prompt_name=NAME` asks by one alone).
    """

    def prompt_names(self, options: ModelOptions) -> Sequence[str]:
        """Name the prompts for a kind of answer with these options, one at least; raises UsageError."""
        ...


@runtime_checkable
class SpreadsOverGpus(Protocol):
    """A model that may be put on several GPUs at once: its jobs then see all that the run, or the cell, has."""

    def spreads_over_gpus(self, options: ModelOptions) -> bool:
        """Whether it is, with these options."""
        ...


@runtime_checkable
class HasMeanLoss(Protocol):
    """A learner that says whether its training loss is a mean over the samples of a batch, without a part in common.

    Only then smaller batches, added up, are the same training, and are taken where memory runs out. A loss over pairs
    of samples, over all tokens or boxes of a batch, or behind batch norm is none, and a learner that does not say
    counts as having none: its training then fails for lack of memory instead of becoming another one.
    """

    loss_is_mean_over_samples: bool


class LossPart(NamedTuple):
    """What a loss sums up, a scalar, and over how many: its mean is the total by the count, by 1 where that is 0."""

    total: Tensor
    count: float  # type: ignore[assignment]  # a tuple's own `count` is of no use here


@runtime_checkable
class HasLossParts(Protocol):
    """A learner whose loss is a sum of means over what samples have more or less of: words, boxes, pixels.

    Its batches can be cut when the counts of all parts are added up before the totals are divided: `train.processes`
    does so. `loss_has_parts` is False where this learner's loss has none, of another head for instance.
    """

    loss_has_parts: bool

    def loss_parts(self, batch: Batch, generator: Generator) -> Sequence[LossPart]:
        """Give the parts of `loss(batch, generator)`, always equally many, of at most 8."""
        ...


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


class EmbeddedText(NamedTuple):
    """The tokens of a text as vectors `[L, d]`, and the same `reference` `[L, d]` without its words.

    `words` has the number of the word that each token is of, split by white space; -1 of none.
    """

    vectors: Tensor
    reference: Tensor
    words: tuple[int, ...]


@runtime_checkable
class HasTextEmbeddings(Protocol):
    """A learner whose answers can be differentiated in the tokens of the text beside an image."""

    def embed_text(self, text: str) -> EmbeddedText | None:
        """Embed the tokens of a text; None where what reads texts here has no tokens."""
        ...

    def reading(self, vectors: Tensor) -> AbstractContextManager[None]:
        """Within it, read these tokens `[n, L, d]` in place of n texts, recording a graph."""
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
class HasEvidence(Protocol):
    """A task that knows of a data set what decides its answers: explanations are held against that."""

    def evidence(self, data: Dataset, split: str, samples: Sequence[Sample]) -> Sequence[AnswerEvidence | None]:
        """Say of each sample where in the image and in which words the answer lies; None where that is not known."""
        ...


@runtime_checkable
class HasShifts(Protocol):
    """A task that knows splits of a data set on which something natural has changed."""

    def shifts(self, data: Dataset) -> Mapping[str, str]:
        """Return the split of each shift by its name; empty where there are none."""
        ...


@runtime_checkable
class HasNotes(Protocol):
    """A scorer with something to say beside its numbers: of answers that it left out, or that look misread."""

    def notes(self, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> Sequence[Note]:
        """Say what a reader of the scores must know of these answers."""
        ...


@runtime_checkable
class HasCheckpointSettings(Protocol):
    """A learner whose checkpoint brings settings that move its answers and that the recipe does not name."""

    def checkpoint_settings(self) -> Mapping[str, Any]:
        """Say which, JSON-able; they stand in the provenance of records."""
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
