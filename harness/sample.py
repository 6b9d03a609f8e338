"""What a test item becomes on its way: Sample -> Batch -> Prediction -> Outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, overload

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

Target: TypeAlias = Any
"""What is right for a sample; its type is the task's own (for captions: `CaptionTarget`)."""

Prediction: TypeAlias = Any
"""What a model answers; JSON-able, its type is the task's own (for captions: `str`)."""
GivenImage: TypeAlias = "Path | npt.NDArray[np.uint8]"
"""An image file as it lies on disk, or the upright RGB pixels `[H, W, 3]`, 0..255, that a condition makes of it."""
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Note:
    """What a reader of a score must know beside it: something left out, assumed or suspect.

    `text` is one line without the split's name; `split` is None where it concerns all of them. `count` says how many
    things it is about, of `total`, where they are counted.
    """

    text: str
    split: str | None = None
    count: int | None = None
    total: int | None = None

    def __str__(self) -> str:
        return self.text if self.split is None else f"split {self.split}: {self.text}"


@dataclass(frozen=True)
class Dataset:
    """A data set that has been found on disk, and which of its splits plays which role.

    `digest` is the sha256 of everything that defines its samples; records carry it, and
    rows with different digests are never ranked together. `options` are the task's own settings (such as
    a track or prompt templates) that decide what its samples are; the digest covers them. `cache` is where
    files made of it may lie. `training_split` and `selection_split` are None where there is nothing to train on: then
    only models that need no training can be evaluated. `notes` are shown on each run and stand on its records.
    `embedded` data are made by the tool itself; of those alone profiles may take a part without being asked. `scoring`
    are settings that only a scorer reads (see `HasScoringSettings`): other scores of the same predictions. `opened` is
    whatever the task read when it opened the data, for itself alone: large folders need not be looked through again in
    the same process. It is not sent to others, and a task must do without.
    """

    name: str
    root: Path
    digest: str
    layout: str
    splits: tuple[str, ...]
    training_split: str | None
    selection_split: str | None
    default_split: str
    options: Mapping[str, Any] = field(default_factory=dict)
    cache: Path | None = None
    notes: tuple[Note, ...] = ()
    embedded: bool = False
    scoring: Mapping[str, Any] = field(default_factory=dict)
    opened: Any = field(default=None, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "opened": None}


@dataclass(frozen=True)
class Sample:
    """One item of a split: where its pixels are, the text beside them, and its target."""

    sample_id: str
    image: Path
    target: Target
    text: str | None = None
    choices: tuple[str, ...] = ()
    """The candidate texts among which this sample asks, where the task's answers are `choices`."""


@dataclass(frozen=True)
class AnswerEvidence:
    """What decides the answer to a sample, as the data itself knows: where in the image, and which words of its text.

    `mask` is bool `[H, W]` in the image's own pixels, None where no place is known; `words` are lower-case, without
    punctuation. Samples of one `cluster`, such as questions about one image, are not independent.
    """

    mask: npt.NDArray[np.bool_] | None = None
    words: tuple[str, ...] = ()
    cluster: str = ""


@dataclass(frozen=True)
class Batch:
    """What a learner sees at once.

    `visual` is float `[B, N, d]`: the visual tokens of the learner's own tower (cached when the
    tower is frozen), or None for a learner without one. `targets` is None outside training, so
    that no model can see a target at test time. `sizes` are width and height of the images on disk in
    pixels; empty for a learner without a tower.
    """

    sample_ids: tuple[str, ...]
    visual: Tensor | None
    texts: tuple[str | None, ...]
    targets: tuple[Target, ...] | None = None
    sizes: tuple[tuple[int, int], ...] = ()
    choices: tuple[tuple[str, ...], ...] = ()
    pictures: tuple[GivenImage, ...] = ()
    """The images themselves, for a learner that `TakesPictures`; empty for all others."""

    def __len__(self) -> int:
        return len(self.sample_ids)


@dataclass(frozen=True)
class NoAnswer:
    """What a learner gives for a sample that it was not able to answer, with the reason; it is never scored."""

    reason: str


@dataclass(frozen=True)
class Outcome:
    """A prediction beside its sample, as it is stored and scored."""

    sample_id: str
    prediction: Prediction


class FileOutcomes(list[Outcome]):
    """Predictions as a file gives them, with what must be said of how it was read."""

    def __init__(self, outcomes: Iterable[Outcome], notes: Iterable[Note] = ()) -> None:
        super().__init__(outcomes)
        self.notes = tuple(notes)


@dataclass(frozen=True)
class Predicted:
    """The outcomes of a split; which samples were skipped as unreadable, and why; what the model saw.

    `additive` are the answers on some of the samples if image and text could not interact (`harness.jobs.emap`);
    `checkpoint_settings` are what the checkpoint itself brings that moves answers. `failed` says of samples without an
    answer why there is none: these are in no outcome. `service` is what a learner tells that asks a service;
    `batch_size` is what memory was enough for, None where that is not known. `variant` says of a compressed variant how
    it was made and how near its answers are to its parent's.
    """

    outcomes: tuple[Outcome, ...]
    skipped: Mapping[str, str]
    preprocessing_hash: str | None
    additive: tuple[Outcome, ...] = ()
    checkpoint_settings: Mapping[str, Any] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    service: Mapping[str, Any] = field(default_factory=dict)
    batch_size: int | None = None
    variant: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Preprocessing:
    """How a decoded RGB image becomes the uint8 pixels `[3, size, size]` that a tower takes.

    `fit` is crop (the shorter side is resized to `size / crop_fraction`, then the centre is cropped),
    squash (the whole image is resized to the square) or pad (the image keeps its aspect, is resized so
    that its longer side is `size` and its shorter one at most `shortest`, and stands at the top left of a
    black square). Models of boxes and label maps must see the whole image: squash or pad. `mean` and
    `std` (of values in 0..1) are applied inside the tower, so perturbations always act on plain pixels.
    """

    size: int
    crop_fraction: float = 1.0
    interpolation: str = "bilinear"
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    fit: str = "crop"
    shortest: int | None = None

    def extent(self, width_px: int, height_px: int) -> tuple[int, int]:
        """Width and height in pixels that an image of this size takes of the square; all of it but for pad."""
        if self.fit != "pad":
            return self.size, self.size
        scale = self.size / max(width_px, height_px)
        if self.shortest is not None:
            scale = min(scale, self.shortest / min(width_px, height_px))
        return max(1, round(width_px * scale)), max(1, round(height_px * scale))


@dataclass(frozen=True)
class Classes:
    """The classes of a task, by index.

    `texts` are what a language model reads for each class (one prompt or several); `seen` says which classes
    have training samples; `attributes` (`[C][A]`, 0..1) describe classes without language, or are empty.
    A sample has one class, or with `multilabel` any number of them. `test_texts` are read in place of `texts` once a
    learner is trained, where classes are called otherwise then; no model is built with them.
    """

    names: tuple[str, ...] = ()
    texts: tuple[tuple[str, ...], ...] = ()
    seen: tuple[bool, ...] = ()
    attributes: tuple[tuple[float, ...], ...] = ()
    multilabel: bool = False
    test_texts: tuple[tuple[str, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    @property
    def texts_at_test(self) -> tuple[tuple[str, ...], ...]:
        """What is read for each class once a learner is trained."""
        return self.test_texts or self.texts


@dataclass(frozen=True)
class TaskSpec:
    """What a model must know of a task before it is built.

    `answers` is the kind of answer that is wanted (see `harness.answers`). `training_targets` are those of
    the training split in sample order: vocabularies come from them. Nothing of any other split is here,
    but for the names of classes that must be recognised without training samples.
    """

    task: str
    training_targets: Sequence[Target]
    answers: str = "captions"
    classes: Classes = field(default_factory=lambda: Classes())
    training_texts: Sequence[str] = ()
    """The texts beside the training images, where each image has one; empty where the task has none."""


class OnDemand(Sequence[_Item]):
    """A sequence that is read when something of it is first asked for."""

    def __init__(self, read: Callable[[], Sequence[_Item]]) -> None:
        self._read = read

    @cached_property
    def _items(self) -> Sequence[_Item]:
        return self._read()

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> _Item: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[_Item]: ...
    def __getitem__(self, index: int | slice) -> _Item | Sequence[_Item]:
        return self._items[index]

    def __iter__(self) -> Iterator[_Item]:
        return iter(self._items)


def targets_of(samples: Sequence[Sample]) -> Sequence[Target]:
    """Take the targets of samples; of samples on demand they are so too."""
    if isinstance(samples, OnDemand):
        return OnDemand(lambda: tuple(sample.target for sample in samples))
    return tuple(sample.target for sample in samples)


def texts_of(samples: Sequence[Sample]) -> Sequence[str]:
    """Take the texts beside the images that have one; of samples on demand they are so too."""
    if isinstance(samples, OnDemand):
        return OnDemand(lambda: tuple(sample.text for sample in samples if sample.text is not None))
    return tuple(sample.text for sample in samples if sample.text is not None)


def limited(samples: Sequence[Sample], limit: int | None) -> Sequence[Sample]:
    """Take the first `limit` samples, or all."""
    return samples if limit is None else samples[:limit]


def evaluated(samples: Sequence[Sample], limit: int | None, skipped: Mapping[str, str]) -> list[Sample]:
    """Take the samples of a split that a cell answers for: the first `limit`, without those skipped as unreadable."""
    return [sample for sample in limited(samples, limit) if sample.sample_id not in skipped]
