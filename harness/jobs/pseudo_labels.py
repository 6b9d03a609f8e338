"""Training on images without their labels beside those with (`train.unlabelled`); apart, it moves no other training.

FixMatch (Sohn et al. 2020, arXiv 2001.07685): the model's own answer to the plain image is the target of the strongly
changed one (flip and RandAugment, or what `train.augment` names with RandAugment), where its probability reaches the
threshold; a step takes as many samples without label as with one, and those below the threshold add nothing to the
mean. Where a frozen tower's features are kept no changed image runs through it: then the target is for the same
features (Lee 2013, Pseudo-Label, ICML workshop). Samples lose their targets here before anything else sees them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Generator, Tensor

from harness.cell import TrainOptions
from harness.errors import UsageError
from harness.inputs.augment import Augmenter, augmenter_for
from harness.inputs.modes import for_evaluation, for_training
from harness.inputs.read_batch import Changed, ReadIndices, begin_changed
from harness.inputs.visual_tokens import VisualTokens
from harness.protocols import NOTICE, Learner, Progress, SupportsFit, Task
from harness.read_ahead import reading_threads
from harness.sample import Batch, Sample

_STRONG = "randaugment"
_DRAWS = 2**31


@dataclass(frozen=True)
class PseudoTarget:
    """A class that a model has answered itself, in the form of the target of a sample of one class."""

    label: int
    labels: tuple[int, ...] = ()


@dataclass(frozen=True)
class Unlabelled:
    """Samples without targets as a learner sees them, and the least probability that makes a target.

    `augmenter` changes the images that targets are for; without it these are as they are.
    """

    tokens: VisualTokens
    threshold: float
    augmenter: Augmenter | None

    def seen_by(self, learner: Learner) -> Unlabelled:
        """The same for another learner of the same kind."""
        return replace(self, tokens=replace(self.tokens, learner=learner))


@dataclass(frozen=True)
class PseudoLabelledLoss:
    """The loss of samples with labels, and that of as many without, by the learner's own answers."""

    labelled: Callable[[Sequence[int], Generator], Tensor]
    learner: Learner
    unlabelled: Unlabelled

    def __call__(self, indices: Sequence[int], generator: Generator) -> Tensor:
        """Draw as many samples without label as there are `indices`, and add their loss; raises UsageError."""
        loss = self.labelled(indices, generator)
        tokens = self.unlabelled.tokens
        drawn = torch.randint(len(tokens), (len(indices),), generator=generator).tolist()
        visit = int(torch.randint(_DRAWS, (), generator=generator))
        answered = self._answered(drawn)
        if not answered:
            return loss
        batch = self._changed(answered, visit)
        return loss + len(answered) / len(drawn) * self.learner.loss(batch, generator)

    def _answered(self, drawn: Sequence[int]) -> list[tuple[int, PseudoTarget]]:
        """Which samples have an answer that is sure enough, and what it is, in evaluation mode and without gradient."""
        for_evaluation(self.learner)
        with torch.no_grad():
            answers = self.learner.predict(self.unlabelled.tokens.batch(drawn, with_targets=False))
        for_training(self.learner)
        found = []
        for index, answer in zip(drawn, answers, strict=True):
            probabilities = np.asarray(answer, dtype=np.float64)
            if probabilities.ndim != 1:
                raise UsageError(
                    f"train.unlabelled wants probabilities, and {type(self.learner).__name__} answers without. "
                    "Leave it out for this model."
                )
            label = int(probabilities.argmax())
            if probabilities[label] >= self.unlabelled.threshold:
                found.append((index, PseudoTarget(label)))
        return found

    def _changed(self, answered: Sequence[tuple[int, PseudoTarget]], visit: int) -> Batch:
        """The samples with their targets, strongly changed where images are."""
        tokens, augmenter = self.unlabelled.tokens, self.unlabelled.augmenter
        indices, images = [index for index, _ in answered], tokens.images
        if augmenter is None or images is None:
            plain = tokens.batch(indices, with_targets=False)
            return replace(plain, targets=tuple(target for _, target in answered))
        changed = []
        for index, target in answered:
            sample, row = replace(tokens.samples[index], target=target), images.rows[index]
            drawn = augmenter.draw(sample, visit, images.sizes[row], images.preprocessing)
            changed.append(Changed(sample, row, drawn))
        with ThreadPoolExecutor(reading_threads()) as pool:
            pixels, samples = begin_changed(images, tokens.device, augmenter, changed, pool)()
        return tokens.batch(ReadIndices(indices, pixels, samples), with_targets=True)


def unlabelled_data(
    split: tuple[Sequence[Sample], Sequence[Sample]],
    train: TrainOptions,
    seed: int,
    task: Task,
    learner: Learner,
    read: Callable[[Sequence[Sample]], VisualTokens],
    progress: Progress,
) -> Unlabelled | None:
    """Open what is left of a whole split beside its labelled part, without targets; None for what trains in no steps.

    Raises UsageError where labels are not limited, and for samples that do not have one class each.
    """
    whole, labelled = split
    if isinstance(learner, SupportsFit):
        progress("is not trained in steps: samples without labels teach it nothing", 0, NOTICE)
        return None
    _require_classes(labelled)
    hidden = without_labels(whole, labelled)
    if not hidden:
        raise UsageError(
            f"train.unlabelled={train.unlabelled:g} trains on samples without labels, and all {len(whole)} have one. "
            "Limit the labels by train.shots=k or train.limit=n."
        )
    if train.processes > 1:
        raise UsageError("train.unlabelled trains in one process. Leave train.processes out.")
    tokens = read(hidden)
    augmenter = None
    how = "for the same features, since no changed image runs through its frozen tower (train.augment=flip lets them)"
    if learner.vision is None:
        how = "for the same samples: it sees no images"
    elif tokens.features is None:
        kinds = {*(train.augment or "flip").split("+"), _STRONG}
        augmenter = augmenter_for("+".join(sorted(kinds)), seed, task)
        how = "for strongly changed images"
    what = f"{len(tokens)} samples without labels: its own answers of at least {train.unlabelled:g} are targets"
    progress(f"{what} {how}", 0, NOTICE)
    return Unlabelled(tokens, train.unlabelled, augmenter)


def without_labels(whole: Sequence[Sample], labelled: Sequence[Sample]) -> tuple[Sample, ...]:
    """The samples that are not among the labelled ones, without their targets."""
    known = {sample.sample_id for sample in labelled}
    return tuple(replace(sample, target=None) for sample in whole if sample.sample_id not in known)


def _require_classes(labelled: Sequence[Sample]) -> None:
    for sample in labelled:
        several: Sequence[int] = getattr(sample.target, "labels", ())
        if not isinstance(getattr(sample.target, "label", None), int) or several:
            raise UsageError(
                "train.unlabelled takes the class that a model answers for its target, and a sample such as "
                f"{sample.sample_id} does not have one class. Leave it out for this task."
            )
