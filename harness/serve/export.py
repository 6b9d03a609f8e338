"""`bench export`: a stored cell -> a folder that answers without the data, the results and the run that made it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.cell import DecodeOptions, ModelOptions, ModelVariant, Places, TrainingJob, TrainOptions
from harness.errors import CheckpointError, StoreError, UsageError, nearest
from harness.inputs.visual_tokens import sees_images
from harness.jobs.built_learner import restored, trained_samples
from harness.jobs.jobs import preprocessing_hash
from harness.jobs.variants import variant_files, variant_folder
from harness.plan.plugins import load_task
from harness.protocols import AsksService, Learner, Progress, ReadsText, Task
from harness.record import VARIANT, RunRecord, name_of, split_name
from harness.records.rescore import DataPlace, open_record_data, read_predictions
from harness.records.store import Store
from harness.records.trainings import CHECKPOINT, DERIVED, SUMMARY, prerequisite_folder, read_training
from harness.sample import OnDemand, Sample, evaluated
from harness.serve.bundle import (
    CARD,
    GOLDEN,
    MANIFEST,
    PREREQUISITE,
    Bundle,
    GoldenSample,
    digests_of,
    write_manifest,
)
from harness.serve.card import card_text
from harness.serve.exported_variant import VARIANT_FILES, change_into_variant, require_portable
from harness.serve.served_model import ServedModel, answering, golden_questions, load_served

GOLDEN_SAMPLES = 4
_KEPT = (CHECKPOINT, DERIVED, SUMMARY)


@dataclass(frozen=True)
class ExportRequest:
    """Which cell of which results: the newest of a model, unless a task or seed says otherwise."""

    model: str
    task: str | None
    seed: int | None
    results: str


def find_cell(request: ExportRequest) -> RunRecord:
    """Find the newest record of a model; raises UsageError where there is none, or more than one task has it."""
    store = Store(request.results)
    model, control = split_name(request.model)
    records = [record for record in store.read_records(request.task) if record.status == "ok"]
    if not records:
        of = f" of {request.task}" if request.task else ""
        raise UsageError(f"{request.results} has no finished cell{of}. Train one with `bench run`, or give --results.")
    own = [record for record in records if (record.model, record.control) == (model, control)]
    if not own:
        known = {name_of(record.model, record.control) for record in records}
        raise UsageError(
            f"{request.results} has no finished cell of '{request.model}'. {nearest(request.model, known)}"
        )
    tasks = sorted({record.task for record in own})
    if len(tasks) > 1:
        raise UsageError(f"{request.model} has cells of {', '.join(tasks)}. Choose one with --task.")
    chosen = [record for record in own if request.seed in (None, record.seed)]
    if not chosen:
        seeds = ", ".join(map(str, sorted({record.seed for record in own})))
        raise UsageError(f"{request.model} has no cell of seed {request.seed}; there are seeds {seeds}.")
    return chosen[-1]


def export_cell(record: RunRecord, results: str, out: Path, place: DataPlace, progress: Progress) -> Bundle:
    """Write a cell's model into a new folder, and load it from there as it will be served.

    The model must answer some samples of its split as its record says, before and after it was written. Raises
    UsageError for a folder that is in use or a variant that is compiled for this machine alone, CheckpointError where
    the answers differ.
    """
    if variant := record.cell.get(VARIANT):
        require_portable(variant["name"], record.cell["training"]["model"])
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is there already. Give --out a folder that is not there yet, or is empty.")
    task = load_task(record.task)
    progress("opening the data", 0, 0)
    data = open_record_data(task, record, place)
    cache = place.environment.cache
    job = _job_of(record, task, data)
    places = Places(cache, _training_of(record, Store(results)), prerequisite_folder(job, cache))
    progress("building the model", 0, 0)
    training = OnDemand(lambda: trained_samples(task, job, read_training(places.training)))
    learner = restored(job, task, training, places)
    if isinstance(learner, AsksService):
        raise UsageError(f"{record.model} asks a service for its answers: there is nothing to export.")
    samples = _golden_samples(record, task, data, Store(results))
    out.mkdir(parents=True, exist_ok=True)
    try:
        bundle = _write(record, job, places, learner, samples, out)
        del learner
        progress("loading the export and asking its golden inputs", 0, 0)
        load_served(out, cache)
    except BaseException:
        shutil.rmtree(out)  # a folder that cannot be served is none
        raise
    return bundle


def _job_of(record: RunRecord, task: Task, data: Any) -> TrainingJob:
    """Describe the training again, on this machine's CPU; raises UsageError where it was built on a file of a user."""
    stored = record.cell["training"]
    if by_file := sorted(_texts_by_content(stored["options"])):
        raise UsageError(
            f"{record.model} was built with a file that records name by its content only ({by_file[0]}), so it cannot "
            "be built again from the record. Give the model its weights by name (hf:NAME, timm:NAME) and train it so."
        )
    return TrainingJob(
        task=record.task,
        data=data,
        model=stored["model"],
        control=record.control,
        seed=record.seed,
        device="cpu",
        options=ModelOptions(**stored["options"], answers=task.answers),
        train=TrainOptions(**stored["train"]),
        decode=DecodeOptions(**stored["decode"]),
        on_bad_sample=stored["on_bad_sample"],
        recipe=stored["recipe"],
        versions=stored["versions"],
        prerequisite=stored["prerequisite"],
    )


def _texts_by_content(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value] if " sha256:" in value or value.startswith("…/") else []
    if isinstance(value, dict):
        value = list(value.values())
    return [text for item in value for text in _texts_by_content(item)] if isinstance(value, list | tuple) else []


def _training_of(record: RunRecord, store: Store) -> Path:
    """Find the folder of a record's training, by what the record says of it; raises StoreError."""
    if store.local is None:
        raise StoreError(
            f"{store.url} is a URL, and trainings are exported from a folder. Copy {record.task}/training from there, "
            "and give that folder with --results."
        )
    known = {key: value for key, value in record.provenance.get("training", {}).items() if key != "skipped"}
    for summary in sorted((store.local / record.task / "training").glob(f"*/{SUMMARY}")):
        content = json.loads(summary.read_bytes())
        content.pop("skipped", None)
        if known and content == known:
            return summary.parent.resolve()
    raise StoreError(
        f"{store.url}/{record.task}/training has not the training of {record.model} seed {record.seed}: checkpoints "
        "stay on the machine that trained. Export it there, or run it again."
    )


def _golden_samples(record: RunRecord, task: Task, data: Any, store: Store) -> list[tuple[Sample, Any]]:
    """The first samples of the record's split that it has answered, each with that answer."""
    skipped = record.provenance.get("skipped_samples", {}).get("evaluation", {})
    limit = record.cell.get("evaluate", {}).get("limit")
    answers = {outcome.sample_id: outcome.prediction for outcome in read_predictions(store, record)}
    samples = evaluated(task.samples(data, record.split), limit, skipped)
    found = [(sample, answers[sample.sample_id]) for sample in samples if sample.sample_id in answers]
    if not found:
        raise CheckpointError(f"{record.model} has answered no sample of {record.split}: nothing can vouch for it.")
    return found[:GOLDEN_SAMPLES]


def _write(
    record: RunRecord,
    job: TrainingJob,
    places: Places,
    learner: Learner,
    samples: Sequence[tuple[Sample, Any]],
    out: Path,
) -> Bundle:
    _copy_training(places.training, out)
    if places.prerequisite is not None:
        _copy_training(places.prerequisite, out / PREREQUISITE)
    needs, spec = _needs(learner, [sample for sample, _ in samples]), load_task(job.task).spec(job.data, ())
    (out / GOLDEN).mkdir()
    golden = []
    for number, (sample, answer) in enumerate(samples):
        name = f"{GOLDEN}/{number}{sample.image.suffix}" if "image" in needs else ""
        if name:
            shutil.copyfile(sample.image, out / name)
        golden.append(GoldenSample(name, sample.text if "text" in needs else None, sample.choices, answer))
    bundle = Bundle(
        task=record.task,
        model=job.model,
        control=record.control,
        seed=record.seed,
        record=record.fingerprint,
        data=record.data,
        data_digest=record.data_digest,
        split=record.split,
        device=record.cell["training"]["device"],
        precision=record.cell["evaluate"].get("precision", "fp32"),
        needs=needs,
        spec=spec,
        preprocessing=None if learner.vision is None else learner.vision.preprocessing,
        preprocessing_sha256=preprocessing_hash(learner),
        golden=tuple(golden),
        options=job.options,
        train=job.train,
        decode=job.decode,
        recipe=job.recipe,
        metrics={name: None if e is None else e.to_json() for name, e in record.metrics.items()},
        packages=job.versions,
        prerequisite=job.prerequisite,
        files={},
        variant=record.cell[VARIANT]["name"] if record.cell.get(VARIANT) else None,
    )
    if bundle.variant is not None:
        _copy_variant(variant_folder(ModelVariant(**record.cell[VARIANT]), places), out / VARIANT_FILES)
        served = ServedModel(bundle, learner, "cpu")
        change_into_variant(bundle.variant, learner, out, answering(served, golden_questions(bundle, out)))
    (out / CARD).write_text(card_text(bundle), encoding="utf-8")
    vouching = Bundle(**{**vars(bundle), "files": digests_of(out)})
    write_manifest(vouching, out)
    assert (out / MANIFEST).is_file()
    return vouching


def _copy_training(source: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    for name in _KEPT:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)


def _copy_variant(source: Path, target: Path) -> None:
    """Copy what a variant was converted to; what is not there is converted again."""
    target.mkdir()
    for path in variant_files(source):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def _needs(learner: Learner, samples: Sequence[Sample]) -> tuple[str, ...]:
    """Say what a request must bring: what the learner looks at and all of these samples have."""
    reads_text = isinstance(learner, ReadsText) and "text" in learner.reads and all(s.text is not None for s in samples)
    given = {
        "image": sees_images(learner), "text": reads_text, "choices": all(sample.choices for sample in samples)
    }  # fmt: skip
    return tuple(name for name, is_needed in given.items() if is_needed)
