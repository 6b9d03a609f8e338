"""`bench monitor`: whether what a model is asked now is what it was evaluated on, and how right it may still be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.acquire.sources import folder_of
from harness.answers import LABELS, answered_class, is_label
from harness.errors import BadSample, DataError, UsageError, nearest
from harness.plan.plugins import load_task
from harness.protocols import DataContext, Progress, Task, open_data
from harness.record import Estimate, RunRecord
from harness.records.rescore import DataPlace, open_record_data, record_settings
from harness.records.store import Store
from harness.sample import Dataset, Prediction, Sample, evaluated
from harness.serve.answer_columns import answer_columns, confidence_of
from harness.serve.bundle import Bundle
from harness.serve.load_targets import image_files
from harness.serve.served_model import Question, ReadQuestion, ServedModel, load_served
from harness.stats.drift_report import DriftReport
from harness.stats.intervals import wilson
from harness.stats.shift_tests import FloatRows, kernel_shift, marginal_shift, together
from harness.stats.unlabelled_accuracy import estimate_accuracy

_BATCH, _RESAMPLES, _PERMUTATIONS = 32, 1000, 999
_FEWEST = 20


@dataclass(frozen=True)
class MonitorRequest:
    """What is compared: an export with the samples of a reference record, `new` with them.

    `new` is a folder of images, or data as `bench run` takes it, of which `split` is read. `limit` samples of each at
    most; `alpha` is the rate of false alarms; `least_accuracy` what must be kept, if anything.
    """

    folder: Path
    new: str | None
    split: str | None
    reference: str | None
    results: str
    reference_data: str | None
    limit: int = 500
    alpha: float = 0.05
    least_accuracy: float | None = None
    seed: int = 0
    threads: int = 1
    device: str = "cpu"


@dataclass(frozen=True)
class Looked:
    """What a model saw and said of samples: features `[n, d]` (None without a tower), answers, targets where known."""

    features: FloatRows | None
    answers: list[Prediction]
    targets: list[Any]
    unreadable: int


def find_drift(request: MonitorRequest, place: DataPlace) -> DriftReport:
    """Compare; raises UsageError, DataError, StoreError or CheckpointError for what is not there or does not fit."""
    cache, progress = place.environment.cache, place.progress
    served = load_served(request.folder, cache, request.device, threads=request.threads)
    bundle, task = served.bundle, load_task(served.bundle.task)
    record = _reference(request, bundle)
    random = np.random.default_rng(request.seed)
    data = open_record_data(task, record, DataPlace(place.environment, request.reference_data, progress=progress))
    known = _drawn(_evaluated_samples(task, record, data), request.limit, random)
    name, found = _new_samples(request, task, record, data, place)
    new = _drawn(found, request.limit, random)
    one = look_at(served, known, "reading the reference", progress)
    other = look_at(served, new, "reading what is new", progress)
    if min(len(one.answers), len(other.answers)) < _FEWEST:
        raise DataError(
            f"{len(one.answers)} reference samples and {len(other.answers)} new ones can be read: too few for a "
            f"test. Give {_FEWEST} of each at least."
        )
    tests = shift_tests_of(bundle, one, other, random)
    right = which_are_right(bundle, one)
    estimates: dict[str, Estimate] = {}
    if right is not None:
        confidences = [np.array(list(map(confidence_of, each.answers))) for each in (one, other)]
        estimates = estimate_accuracy(confidences[0], right, confidences[1], _RESAMPLES, random)
    return DriftReport(
        model=bundle.name,
        task=bundle.task,
        reference=f"{record.data} split {record.split} ({record.fingerprint})",
        new=name,
        samples=(len(one.answers), len(other.answers)),
        alpha=request.alpha,
        tests=together(tests),
        known=_share(right),
        accuracy=estimates,
        true=_share(which_are_right(bundle, other)),
        least_accuracy=request.least_accuracy,
        notes=tuple(_notes(one, other, right is None)),
    )


def shift_tests_of(
    bundle: Bundle, one: Looked, other: Looked, random: np.random.Generator
) -> dict[str, tuple[float, float, int]]:
    """Test answers, and features where there are some; the statistic, p and the number of columns of each test."""
    columns = [answer_columns(bundle.spec, each.answers) for each in (one, other)]
    found = {"answers (KS)": (*marginal_shift(*columns), columns[0].shape[1])}
    if one.features is not None and other.features is not None:
        mean, spread = one.features.mean(axis=0), one.features.std(axis=0) + 1e-9
        old, new = ((each - mean) / spread for each in (one.features, other.features))
        found["features (MMD)"] = (*kernel_shift(old, new, _PERMUTATIONS, random), old.shape[1])
    return found


def _reference(request: MonitorRequest, bundle: Bundle) -> RunRecord:
    wanted = request.reference or bundle.record
    found = Store(request.results).find_record(bundle.task, wanted)
    if found is None:
        known = [record.fingerprint for record in Store(request.results).read_records(bundle.task)]
        raise UsageError(
            f"{request.results} has no record {wanted} of {bundle.task}. Give --results, or another --reference. "
            f"{nearest(wanted, known)}"
        )
    return found


def _evaluated_samples(task: Task, record: RunRecord, data: Dataset) -> list[Sample]:
    skipped = record.provenance.get("skipped_samples", {}).get("evaluation", {})
    return evaluated(task.samples(data, record.split), record.cell.get("evaluate", {}).get("limit"), skipped)


def _new_samples(
    request: MonitorRequest, task: Task, record: RunRecord, known: Dataset, place: DataPlace
) -> tuple[str, Sequence[Sample]]:
    """Read what is new: images right in a folder, without labels; or a split of data that the task reads."""
    folder = Path(request.new) if request.new else None
    if folder is not None and (images := image_files(folder)):
        return f"images in {folder.name}", [Sample(path.name, path, None) for path in images]
    data = known
    if request.new is not None:
        here = place.environment
        wish = folder_of(request.new, here.cache, place.progress)
        settings = record_settings(task, record, place)
        context = DataContext(
            wish, request.split, here.bench_data, here.working_directory, here.cache, place.progress, settings, True
        )
        data = open_data(task, context)
    split = request.split or data.default_split
    if split not in data.splits:
        raise UsageError(f"{data.name} has no split '{split}'. {nearest(split, data.splits)}")
    if (
        data.embedded and request.new is None and split != record.split
    ):  # data that is made on first use has only what was asked for
        data = open_record_data(task, replace(record, split=split), replace(place, data=request.reference_data))
    return f"{data.name} split {split}", task.samples(data, split)


def _drawn(samples: Sequence[Sample], limit: int, random: np.random.Generator) -> list[Sample]:
    """Draw samples at random, one an image: several questions about one image are not independent."""
    one_each = list({sample.image: sample for sample in samples}.values())
    chosen = random.permutation(len(one_each))[:limit]
    return [one_each[place] for place in sorted(chosen)]


def look_at(served: ServedModel, samples: Sequence[Sample], what: str, progress: Progress) -> Looked:
    """Have the model answer samples; those that cannot be read are counted and left out."""
    features: list[FloatRows] = []
    answers: list[Prediction] = []
    targets: list[Any] = []
    unreadable = 0
    for start in range(0, len(samples), _BATCH):
        read: list[ReadQuestion] = []
        for sample in samples[start : start + _BATCH]:
            try:
                read.append(served.read(Question(sample.image.read_bytes(), sample.text, sample.choices)))
                targets.append(sample.target)
            except (BadSample, OSError):
                unreadable += 1
        if read:
            seen, said = served.look(read)
            answers += said
            features += [] if seen is None else [seen]
        progress(what, start + len(read), len(samples))
    return Looked(np.concatenate(features) if features else None, answers, targets, unreadable)


def which_are_right(bundle: Bundle, looked: Looked) -> Any:
    """Whether each label answer is right, bool `[n]`; None where answers or targets are of another kind."""
    single = bundle.spec.answers == LABELS and not bundle.spec.classes.multilabel
    if not single or any(is_label(answer) for answer in looked.answers):
        return None
    if any(getattr(target, "label", None) is None for target in looked.targets):
        return None
    pairs = zip(looked.answers, looked.targets, strict=True)
    return np.array([answered_class(answer) == target.label for answer, target in pairs])


def _share(right: Any) -> Estimate | None:
    if right is None:
        return None
    low, high = wilson(int(right.sum()), len(right))
    return Estimate(float(right.mean()), low, high, len(right))


def _notes(one: Looked, other: Looked, without_accuracy: bool) -> list[str]:
    found = []
    if one.unreadable or other.unreadable:
        found.append(
            f"left out, as they cannot be read: {one.unreadable} reference samples, {other.unreadable} new ones"
        )
    if one.features is None:
        found.append("the model has no vision tower: its answers alone are tested")
    if without_accuracy:
        found.append("accuracy is not estimated: that needs probabilities of classes, and labels of the reference")
    return found
