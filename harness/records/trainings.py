"""Where a training lies, what it leaves in its folder, and whether that is whole. No torch here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.cell import TrainingJob
from harness.errors import CheckpointError
from harness.files import replace_atomically
from harness.records.store import Store
from harness.storage.content import file_digest

SUMMARY, CHECKPOINT, LOG = "training.json", "checkpoint.safetensors", "log.jsonl"
TRAINING_FILES = (CHECKPOINT, LOG, SUMMARY)
"""What a training leaves; the last one is written last and vouches for the others."""
_KEYS = ("checkpoint_sha256", "skipped", "seconds")


def training_folder(job: TrainingJob, store: Store, cache: Path) -> tuple[Path, bool]:
    """Say where a training lies, and whether it is finished; fetches it from a URL's store."""
    name = f"{job.task}/training/{job.fingerprint}"
    if store.local is not None:
        folder = store.local / name
        return folder.resolve(), (folder / "training.json").is_file()
    folder = cache / "training" / job.fingerprint
    if not (folder / "training.json").is_file() and store.exists(f"{name}/training.json"):
        folder.mkdir(parents=True, exist_ok=True)
        for file in TRAINING_FILES:
            with replace_atomically(folder / file) as temporary:
                temporary.write_bytes(store.read_bytes(f"{name}/{file}"))
    return folder, (folder / "training.json").is_file()


def upload_training(job: TrainingJob, folder: Path, store: Store) -> None:
    """Copy a finished training into the store of a URL; in a folder it lies there already."""
    if store.local is None:
        for file in TRAINING_FILES:
            store.write_bytes(f"{job.task}/training/{job.fingerprint}/{file}", (folder / file).read_bytes())


def prerequisite_folder(job: TrainingJob, cache: Path) -> Path | None:
    """Say where the training lies that a job builds on, None where it builds on none."""
    return None if job.prerequisite is None else cache / "prerequisites" / job.prerequisite


def read_training(folder: Path) -> dict[str, Any]:
    """Read what a training said of itself; raises CheckpointError naming the file when it is broken."""
    try:
        return _summary(folder)
    except ValueError as error:
        raise CheckpointError(f"{error}. Delete {folder} and run again to train it anew.") from None


def why_unusable(folder: Path) -> str | None:
    """Say why nothing can be built on a training; None where its checkpoint is the one that its summary names."""
    try:
        wanted = _summary(folder)["checkpoint_sha256"]
        seen = file_digest(folder / CHECKPOINT)
    except ValueError as error:
        return str(error)
    except OSError as error:
        return f"{folder / CHECKPOINT} cannot be read ({error.strerror})"
    if seen != wanted:
        return f"{folder / CHECKPOINT} has sha256 {seen[:16]}…, its training wrote {str(wanted)[:16]}…"
    return None


def _summary(folder: Path) -> dict[str, Any]:
    """Read the summary; raises ValueError naming the file for one that is none."""
    path = folder / SUMMARY
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
        for key in _KEYS:
            content[key]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is not a training's summary ({type(error).__name__}: {error})") from None
    return content
