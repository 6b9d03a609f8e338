"""Where a training lies, what it leaves in its folder, and whether that is whole. No torch here."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from harness.cell import TrainingJob
from harness.errors import CheckpointError, StoreError
from harness.files import replace_atomically
from harness.records.store import Store
from harness.storage.content import file_digest

SUMMARY, CHECKPOINT, LOG = "training.json", "checkpoint.safetensors", "log.jsonl"
DERIVED = "derived.json"
"""What the learner derived from the training split (`harness.protocols.Derived`); earlier versions left none."""
RESUME = "resume.safetensors"
"""The state of a training that has not ended (`harness.jobs.resume_file`)."""
TRIALS, BEST_TRIAL = "trials.json", "best-trial.safetensors"
"""The trials that have ended while others have not (`harness.jobs.trials`), and the weights of the best."""
TRAINING_FILES = (CHECKPOINT, DERIVED, LOG, SUMMARY)
"""What a training leaves; the last one is written last and vouches for the others."""
_KEYS = ("checkpoint_sha256", "skipped", "seconds")


def training_folder(job: TrainingJob, store: Store, cache: Path) -> tuple[Path, bool]:
    """Say where a training lies, and whether it is finished; fetches it from a URL's store."""
    name = f"{job.task}/training/{job.fingerprint}"
    if store.local is not None:
        folder = store.local / name
        return folder.resolve(), (folder / "training.json").is_file()
    folder = cache / "training" / job.fingerprint
    if not (folder / SUMMARY).is_file():
        _download(name, store, folder)
    return folder, (folder / SUMMARY).is_file()


def state_url(job: TrainingJob, store: Store) -> str:
    """Name the folder on a URL where the state of a running training is kept; "" where results lie in a folder."""
    return "" if store.local is not None else f"{store.url.rstrip('/')}/{job.task}/training/{job.fingerprint}"


def _download(name: str, store: Store, folder: Path) -> None:
    """Fetch a training, nothing where there is none; all files are of the run whose summary is there."""
    summary = store.read_if_there(f"{name}/{SUMMARY}")
    if summary is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    files = _files_of(name, store, summary)
    for file in TRAINING_FILES:
        content = summary if file == SUMMARY else store.read_if_there(f"{files}/{file}")
        if content is None and file != DERIVED:
            raise StoreError(f"{store.url}/{files}/{file} is not there. Delete {store.url}/{name} and run again.")
        if content is not None:
            with replace_atomically(folder / file) as temporary:
                temporary.write_bytes(content)


def upload_training(job: TrainingJob, folder: Path, store: Store) -> None:
    """Copy a finished training into the store of a URL; in a folder it lies there already.

    Its files go to <training>/<sha256 of its summary>/, and then the summary to <training>/training.json, unless
    another run has put its own there meanwhile: that one stands, and these files are taken away. So nobody ever sees
    files of two runs as one training. The state of the running training is removed there.
    """
    if store.local is not None:
        return
    name, summary = f"{job.task}/training/{job.fingerprint}", (folder / SUMMARY).read_bytes()
    own = [file for file in TRAINING_FILES if file != SUMMARY and (folder / file).is_file()]
    for file in own:
        store.create_only(f"{name}/{_part(summary)}/{file}", (folder / file).read_bytes())
    if not store.create_only(f"{name}/{SUMMARY}", summary) and store.read_bytes(f"{name}/{SUMMARY}") != summary:
        for file in own:
            store.remove(f"{name}/{_part(summary)}/{file}")
    store.remove(f"{name}/{RESUME}")


def read_log(task: str, fingerprint: str, store: Store) -> tuple[str, bytes | None]:
    """Name the log of a training in a folder or below a URL, and read it; None where there is none."""
    name = f"{task}/training/{fingerprint}"
    summary = None if store.local is not None else store.read_if_there(f"{name}/{SUMMARY}")
    log = f"{name if summary is None else _files_of(name, store, summary)}/{LOG}"
    return log, store.read_if_there(log)


def _files_of(name: str, store: Store, summary: bytes) -> str:
    """Where the files that belong to a summary lie: those of earlier versions beside it."""
    own = f"{name}/{_part(summary)}"
    return own if store.exists(f"{own}/{CHECKPOINT}") else name


def _part(summary: bytes) -> str:
    return hashlib.sha256(summary).hexdigest()[:16]


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
