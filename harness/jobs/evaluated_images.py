"""The images that a cell is evaluated on, as its learner sees them."""

from __future__ import annotations

from collections.abc import Sequence

from harness.cell import Cell, Places, TrainingJob
from harness.inputs.images import ImageSplit, open_images
from harness.inputs.visual_tokens import VisualTokens
from harness.protocols import Learner, Progress, Task
from harness.sample import Preprocessing, Sample, limited


def evaluation_images(cell: Cell, task: Task, learner: Learner, places: Places, progress: Progress) -> ImageSplit:
    """Open the split that a cell is evaluated on."""
    samples = limited(task.samples(cell.training.data, cell.split), cell.evaluate.limit)
    return images_for(learner, samples, cell.training, places, progress)


def images_for(
    learner: Learner, samples: Sequence[Sample], job: TrainingJob, places: Places, progress: Progress
) -> ImageSplit:
    """Open the images of some samples as a learner's tower takes them; none are opened for one that sees none."""
    if learner.vision is None and job.on_bad_sample == "fail":
        return ImageSplit(tuple(samples), {}, Preprocessing(1), None)
    preprocessing = learner.vision.preprocessing if learner.vision else Preprocessing(64)
    return open_images(samples, preprocessing, places.cache, job.on_bad_sample, progress)


def computed_tokens(device: str, learner: Learner, images: ImageSplit) -> VisualTokens:
    """A split whose tower computes at each use, in the precision of whoever asks."""
    return VisualTokens(learner, images if learner.vision else None, images.samples, None, device)
