"""Opens the samples that a job trains on, and those that select its weights, as its learner sees them."""

from __future__ import annotations

from harness.cell import Places, TrainingJob
from harness.inputs.images import ImageSplit
from harness.inputs.visual_tokens import VisualTokens, open_visual_tokens
from harness.jobs.evaluated_images import images_for
from harness.jobs.hardened_loss import needs_pixels
from harness.measure.device import resolve_precision
from harness.protocols import NOTICE, Learner, Progress, SupportsFit, Task
from harness.read_ahead import reading_threads
from harness.sample import limited


def training_tokens(
    learner: Learner, images: ImageSplit, job: TrainingJob, places: Places, progress: Progress
) -> VisualTokens:
    """Prepare the training split; of images that change from epoch to epoch, features cannot be kept, which is said."""
    if needs_pixels(job.train) and learner.vision is not None and not isinstance(learner, SupportsFit):
        if learner.vision_frozen:
            progress("pixels are changed in training: its frozen tower runs at each step", 0, NOTICE)
        return VisualTokens(learner, images, images.samples, None, job.device)
    if job.train.augment is None:
        precision = resolve_precision(job.train.precision, job.device)
        return open_visual_tokens(learner, images, places.cache, job.device, progress, precision)
    if isinstance(learner, SupportsFit):
        progress(f"is not trained in steps: train.augment={job.train.augment} changes none of its images", 0, NOTICE)
    elif learner.vision is not None:
        costs = ", and its frozen tower runs at each step" if learner.vision_frozen else ""
        what = f"images are changed by {job.train.augment}: they are decoded anew in each epoch"
        progress(f"{what}, by {reading_threads()} threads ahead{costs}", 0, NOTICE)
    return VisualTokens(learner, images if learner.vision else None, images.samples, None, job.device)


def selection_tokens(
    task: Task, learner: Learner, job: TrainingJob, places: Places, progress: Progress
) -> VisualTokens:
    """Prepare the split that selects the weights; nothing where the data has none."""
    split = job.data.selection_split
    samples = () if split is None else limited(task.samples(job.data, split), job.train.validation_limit)
    images = images_for(learner, samples, job, places, progress)
    return open_visual_tokens(learner, images, places.cache, job.device, progress)
