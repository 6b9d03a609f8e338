"""What a training leaves of a learner: its tensors, and what it derived from the training split while it was built."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from harness.errors import CheckpointError
from harness.files import replace_atomically
from harness.jobs.train import trained_state
from harness.protocols import Derived, Learner
from harness.records.trainings import DERIVED
from harness.storage.content import file_digest

_DERIVED_SHA256 = "derived_sha256"


def write_checkpoint(state: Mapping[str, torch.Tensor], path: Path) -> str:
    """Write tensors as safetensors, atomically; returns the file's sha256."""
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
    with replace_atomically(path) as temporary:
        save_file(tensors, temporary)
    return file_digest(path)


def read_checkpoint(learner: Learner, path: Path, digest: str) -> None:
    """Load a checkpoint into a freshly built learner; raises CheckpointError naming what does not fit."""
    remedy = f"Delete {path.parent} and run again to train it anew."
    if not path.is_file():
        raise CheckpointError(f"{path} is not there. {remedy}")
    seen = file_digest(path)
    if seen != digest:
        raise CheckpointError(f"{path} has sha256 {seen[:16]}…, its training wrote {digest[:16]}…. {remedy}")
    try:
        state = load_file(path)
    except SafetensorError as error:
        raise CheckpointError(f"{path} is not a safetensors file: {error}. {remedy}") from None
    wanted = trained_state(learner)
    wrong = sorted(name for name in state.keys() ^ wanted.keys())
    wrong += [name for name in state.keys() & wanted.keys() if state[name].shape != wanted[name].shape]
    if wrong:
        raise CheckpointError(f"{path} does not fit the model: {len(wrong)} tensors, first '{wrong[0]}'. {remedy}")
    module: Any = learner
    module.load_state_dict(state, strict=False)


def write_derived(derived: Derived, folder: Path) -> dict[str, str]:
    """Write what a learner has derived into a training's folder; returns what the training says of it."""
    with replace_atomically(folder / DERIVED) as temporary:
        temporary.write_text(json.dumps(derived.to_json(), allow_nan=False), encoding="utf-8")
    return {_DERIVED_SHA256: file_digest(folder / DERIVED)}


def read_derived(folder: Path, summary: Mapping[str, Any]) -> Derived:
    """Read what a learner has derived; nothing of a training that kept nothing, as those of earlier versions did.

    Raises CheckpointError where it is not what the training wrote.
    """
    wanted = summary.get(_DERIVED_SHA256)
    if wanted is None:
        return Derived()
    path = folder / DERIVED
    if not path.is_file() or file_digest(path) != wanted:
        raise CheckpointError(
            f"{path} is not what its training wrote, sha256 {wanted[:16]}…. Delete {folder} and run again to train it "
            "anew."
        )
    return Derived(json.loads(path.read_bytes()))
