"""An exported model loaded again: what a request brings -> what the learner sees -> its answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from harness.cell import Places, TrainingJob
from harness.errors import BadSample, CheckpointError
from harness.inputs.images import fit_image, to_channels_first
from harness.inputs.visual_tokens import sees_images, takes_pictures
from harness.jobs.built_learner import restored
from harness.jobs.jobs import preprocessing_hash
from harness.measure.device import autocast, begin_job
from harness.metrics.plain_answers import answers_of
from harness.protocols import Learner, SupportsForget
from harness.sample import Batch, Dataset, OnDemand, Prediction, Sample, TaskSpec
from harness.serve.bundle import PREREQUISITE, Bundle, read_bundle
from harness.serve.exported_variant import change_into_variant
from harness.serve.golden import require_golden_answers
from harness.serve.request_image import request_image

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

MOST_PIXELS = 50_000_000
"""Pixels of an image in a request, unless another limit is given."""


@dataclass(frozen=True)
class Question:
    """What a request brings: the image as bytes of a file, and what stands beside it."""

    image: bytes | None = None
    text: str | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReadQuestion:
    """A question with its image decoded: `pixels` uint8 `[3, S, S]` as the tower takes them, `picture` `[H, W, 3]`."""

    text: str | None
    choices: tuple[str, ...]
    pixels: npt.NDArray[np.uint8] | None
    size: tuple[int, int] | None
    picture: npt.NDArray[np.uint8] | None


@dataclass(frozen=True)
class ServedModel:
    """A learner in evaluation mode with the contract that it was exported with."""

    bundle: Bundle
    learner: Learner
    device: str
    most_pixels: int = MOST_PIXELS

    def read(self, question: Question) -> ReadQuestion:
        """Check and decode a question; raises BadSample saying what is missing or broken."""
        for name, given in (("image", question.image), ("text", question.text), ("choices", question.choices)):
            if name in self.bundle.needs and not given:
                raise BadSample(f"This model needs {', '.join(self.bundle.needs)}; the request has no {name}.")
        image = None
        if question.image is not None and sees_images(self.learner):
            image = request_image(question.image, self.most_pixels)
        return ReadQuestion(
            question.text,
            question.choices,
            None if image is None or self.learner.vision is None else self._fitted(image),
            None if image is None else image.size,
            np.asarray(image) if image is not None and takes_pictures(self.learner) else None,
        )

    def answer(self, questions: Sequence[ReadQuestion]) -> list[Prediction]:
        """Answer as one batch; one plain JSON value a question."""
        return self._answered(questions)[1]

    def look(self, questions: Sequence[ReadQuestion]) -> tuple[npt.NDArray[np.float64] | None, list[Prediction]]:
        """Answer as one batch, and give the mean visual token of each image `[B, width]`, None without a tower."""
        visual, answers = self._answered(questions)
        return None if visual is None else visual.float().mean(dim=1).double().cpu().numpy(), answers

    def _answered(self, questions: Sequence[ReadQuestion]) -> tuple[Tensor | None, list[Prediction]]:
        import torch

        with torch.inference_mode(), autocast(self.device, self.bundle.precision):
            visual = None
            if self.learner.vision is not None:
                pixels = np.stack([question.pixels for question in questions if question.pixels is not None])
                visual = self.learner.vision(torch.from_numpy(pixels).to(self.device))
            batch = Batch(
                sample_ids=tuple(map(str, range(len(questions)))),
                visual=visual,
                texts=tuple(question.text for question in questions),
                sizes=tuple(q.size for q in questions if q.size is not None) if visual is not None else (),
                choices=tuple(question.choices for question in questions),
                pictures=tuple(q.picture for q in questions if q.picture is not None),
            )
            answers = answers_of(self.learner, batch)
        if isinstance(self.learner, SupportsForget):
            self.learner.forget()  # texts of requests never end: remembered, they would fill the memory
        return visual, answers

    def _fitted(self, image: Image) -> npt.NDArray[np.uint8]:
        assert self.learner.vision is not None
        return to_channels_first(fit_image(image, self.learner.vision.preprocessing))


@dataclass(frozen=True)
class _ExportedSpec:
    """The task of an export: its specification as it was then."""

    exported: TaskSpec

    def spec(self, data: Dataset, training: Sequence[Sample]) -> TaskSpec:
        """Give what was exported."""
        return self.exported


def load_served(
    folder: Path, cache: Path, device: str = "cpu", *, threads: int = 1, most_pixels: int = MOST_PIXELS
) -> ServedModel:
    """Build an exported model and ask it its golden inputs.

    Raises CheckpointError where its files were changed, where it would not see what it saw, or answers otherwise.
    """
    bundle = read_bundle(folder)
    begin_job(threads, deterministic=bundle.train.deterministic)
    served = ServedModel(bundle, _learner(bundle, folder, cache, device), device, most_pixels)
    seen = preprocessing_hash(served.learner)
    if seen != bundle.preprocessing_sha256:
        raise CheckpointError(
            f"{folder} is refused: this installation turns images into other pixels (preprocessing {seen}, exported "
            f"{bundle.preprocessing_sha256}). Install the packages of {folder / 'card.md'}, or export it here."
        )
    questions = golden_questions(bundle, folder)
    if bundle.variant is not None:
        change_into_variant(bundle.variant, served.learner, folder, answering(served, questions))
    require_golden_answers(bundle, served.answer([served.read(question) for question in questions]), folder)
    return served


def answering(served: ServedModel, questions: Sequence[Question]) -> Callable[[Learner, int], None]:
    """Give what has a learner answer the first of some questions in the place of a served one."""
    read = [served.read(question) for question in questions]

    def answer(learner: Learner, count: int) -> None:
        replace(served, learner=learner).answer(read[:count])

    return answer


def golden_questions(bundle: Bundle, folder: Path) -> list[Question]:
    """Read the golden inputs of an export."""
    return [
        Question((folder / sample.image).read_bytes() if sample.image else None, sample.text, sample.choices)
        for sample in bundle.golden
    ]


def _learner(bundle: Bundle, folder: Path, cache: Path, device: str) -> Learner:
    spec = bundle.spec
    unread: Any = OnDemand(_no_training_split)
    data = Dataset(bundle.data, folder, bundle.data_digest, "export", (), None, None, "")
    job = TrainingJob(
        task=bundle.task, data=data, model=bundle.model, control=bundle.control, seed=bundle.seed, device=device,
        options=bundle.options, train=bundle.train, decode=bundle.decode, on_bad_sample="fail", recipe=bundle.recipe,
        versions=bundle.packages, prerequisite=bundle.prerequisite,
    )  # fmt: skip
    below = folder / PREREQUISITE if bundle.prerequisite is not None else None
    known = TaskSpec(spec.task, unread, spec.answers, spec.classes, unread)
    return restored(job, _ExportedSpec(known), unread, Places(cache, folder, below))


def _no_training_split() -> Sequence[Any]:
    raise CheckpointError(
        "This model reads its training samples to be built, and an export has none of them. It cannot be served."
    )
