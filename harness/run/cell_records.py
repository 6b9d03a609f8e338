"""What is written of a cell: its record, done, failed or skipped, and the notes of how it came about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.cell import Cell, options_content
from harness.plan.run_plan import Absent, Plan
from harness.record import Efficiency, Estimate, RunRecord, now
from harness.sample import Note, Predicted
from harness.storage.portable import by_content, scrubbed, without_places


def record_of(
    cell: Cell,
    *,
    status: str,
    error: str | None = None,
    metrics: Mapping[str, Estimate | None] | None = None,
    signature: str | None = None,
    efficiency: Efficiency | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> RunRecord:
    """Describe what a cell has left, without places of this machine."""
    job = cell.training
    measured = efficiency or Efficiency()
    content = by_content(cell.told)
    content["training"]["data"] |= {"root": job.data.root.name, "cache": None}
    content["training"]["options"] = options_content(job.options)
    content["answers"] = cell.answers
    return RunRecord(
        fingerprint=cell.fingerprint,
        task=job.task,
        data=job.data.name,
        data_digest=job.data.digest,
        split=cell.split,
        model=cell.model,
        control=job.control,
        seed=job.seed,
        status=status,
        error=None if error is None else scrubbed(error),
        metrics=metrics or {},
        signature=signature,
        efficiency=measured,
        device=measured.notes.get("machine_label", job.device),
        provenance=without_places(provenance or {}),
        cell=without_places(content),
        created=now(),
    )


def absent_record(plan: Plan, absent: Absent) -> RunRecord:
    """Say of a planned cell why it did not run."""
    return RunRecord(
        fingerprint=absent.fingerprint,
        task=plan.task.name,
        data=plan.data.name,
        data_digest=plan.data.digest,
        split=plan.split,
        model=absent.model,
        control=absent.control,
        seed=absent.seed,
        status="skipped",
        error=scrubbed(absent.reason),
        metrics={},
        signature=None,
        efficiency=Efficiency(),
        device=plan.devices.kind,
        provenance={},
        cell={},
        created=now(),
    )


def training_notes(cell: Cell, training: Mapping[str, Any]) -> Sequence[Note]:
    """Say where memory ran out, so that the training went on in smaller parts: dropout then draws otherwise."""
    asked, taken = cell.training.train.accumulation, training["accumulation"]
    if taken <= asked:
        return ()
    how = f"{taken} micro-batches a step instead of {asked}"
    if training.get("restarted_in_parts"):
        return (Note(f"the training was killed, most often for lack of memory, and begun anew in parts: {how}"),)
    return (Note(f"memory ran out while training: {how}"),)


def smaller_batch(cell: Cell, predicted: Predicted) -> int | None:
    """Give the batch that memory was enough for in evaluation, None where that is the one that was asked for."""
    size, total = predicted.batch_size, len(predicted.outcomes) + len(predicted.failed)
    return None if size is None or size >= min(cell.evaluate.batch_size, total) else size


def batch_note(cell: Cell, predicted: Predicted) -> list[Note]:
    """Say where memory ran out in evaluation: other batches may move the last digits of an answer."""
    size = smaller_batch(cell, predicted)
    if size is None:
        return []
    return [Note(f"memory ran out in evaluation: batches of {size} instead of {cell.evaluate.batch_size}")]


def skipped_note(skipped: Mapping[str, str], split: str, kept: int) -> list[Note]:
    """Say how many images could not be read, where the run goes on without them."""
    if not skipped:
        return []
    name, reason = next(iter(skipped.items()))
    text = f"{len(skipped)} of {len(skipped) + kept} images cannot be read and are left out (first: {name}: {reason})"
    return [Note(text, split, len(skipped), len(skipped) + kept)]
