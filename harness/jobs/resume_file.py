"""What a running training keeps of itself on the disk, so that one that was killed goes on from there.

One safetensors file: the tensors, and in its header all else as JSON, with a digest of both. Reading it runs no code.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from harness.errors import StoreError
from harness.files import replace_atomically
from harness.protocols import NOTICE, Progress
from harness.records.folder import Folder
from harness.records.trainings import RESUME

_FETCHED = "fetched.safetensors"
_SHARE_OF_TIME = 0.05
"""Writing may take so much of a training's time, whatever interval was asked for."""


@dataclass
class ResumeFile:
    """The state of the training that `key` names, written at most every `every_s` seconds; 0: never.

    What is not whole, or of another training, is not read, which is said. A disk that takes no more ends the writing,
    not the training. With a `url`, that of a folder, a copy lies there, so that another machine can go on.
    """

    path: Path
    key: str
    every_s: float
    _written: float = field(default_factory=time.monotonic)
    _pause_s: float = 0.0
    url: str = ""

    @property
    def is_due(self) -> bool:
        """Whether a state should be written now."""
        return self.every_s > 0 and time.monotonic() - self._written >= max(self.every_s, self._pause_s)

    def read(self, progress: Progress) -> dict[str, Any] | None:
        """Read the state as it was written, tensors on the CPU; None where there is none to go on from."""
        try:
            return _read(self.path, self.key)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, SafetensorError) as error:
            self.ignore(str(error), progress)
            return None

    def fetch(self, progress: Progress) -> None:
        """Put the state that lies on the URL in the place of the one here, where it is further on."""
        if not self.url:
            return
        fetched = self.path.with_name(_FETCHED)
        try:
            if Folder(self.url).download(RESUME, fetched) and self._step(fetched) > self._step_here():
                fetched.replace(self.path)
        except (StoreError, ValueError, SafetensorError) as error:
            progress(f"{self.url}/{RESUME} is not used: {error}", 0, NOTICE)
        finally:
            fetched.unlink(missing_ok=True)

    def _step(self, path: Path) -> int:
        return int(_read(path, self.key)["step"])

    def _step_here(self) -> int:
        try:
            return self._step(self.path)
        except (OSError, ValueError, SafetensorError):  # reading it says so
            return -1

    def ignore(self, reason: str, progress: Progress) -> None:
        """Say why the training does not go on from what lies there."""
        progress(f"{self.path} is ignored, and the training begins anew: {reason}", 0, NOTICE)

    def write(self, state: Mapping[str, Any], progress: Progress) -> None:
        """Write a state of tensors, numbers, texts, None, and lists, tuples and mappings of these, atomically."""
        started = time.monotonic()
        try:
            _write(self.path, self.key, state)
        except OSError as error:
            self.every_s = 0.0
            progress(f"cannot be kept to go on from, and trains on without that: {error.strerror or error}", 0, NOTICE)
        else:
            self._copy(progress)
        self._written = time.monotonic()
        self._pause_s = (self._written - started) * (1 / _SHARE_OF_TIME - 1)

    def _copy(self, progress: Progress) -> None:
        if not self.url:
            return
        try:
            Folder(self.url).upload(RESUME, self.path)
        except StoreError as error:
            self.url = ""
            progress(f"is kept on this machine alone, and cannot go on elsewhere: {error}", 0, NOTICE)


def _write(path: Path, key: str, state: Mapping[str, Any]) -> None:
    tensors: dict[str, torch.Tensor] = {}
    content = json.dumps(_without_tensors(state, tensors))
    header = {"key": key, "state": content, "sha256": _digest(content, tensors)}
    with replace_atomically(path) as temporary:
        save_file(tensors, temporary, header)


def _read(path: Path, key: str) -> dict[str, Any]:
    """Read what was written for `key`; raises ValueError saying what is wrong with it, SafetensorError, OSError."""
    path.open("rb").close()  # safetensors tells no missing file from a broken one
    with safe_open(path, framework="pt") as file:
        header = file.metadata() or {}
        if header.keys() != {"key", "state", "sha256"}:
            raise ValueError("it is no state of a training")
        if header["key"] != key:
            raise ValueError(f"it is of the training {header['key']}, this one is {key}")
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    if _digest(header["state"], tensors) != header["sha256"]:
        raise ValueError("its content does not have the sha256 that it names")
    state: dict[str, Any] = _with_tensors(json.loads(header["state"]), tensors)
    return state


def _digest(content: str, tensors: Mapping[str, torch.Tensor]) -> str:
    digest = hashlib.sha256(content.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _without_tensors(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """Make JSON of a state, with the tensors put aside, as copies on the CPU: what shares memory does so no more."""
    if isinstance(value, torch.Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().to("cpu", copy=True).contiguous()
        return {"tensor": name}
    if isinstance(value, Mapping):
        return {"mapping": [[key, _without_tensors(part, tensors)] for key, part in value.items()]}
    if isinstance(value, list | tuple):
        return {type(value).__name__: [_without_tensors(part, tensors) for part in value]}
    return value


def _with_tensors(content: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    if not isinstance(content, dict):
        return content
    ((kind, value),) = content.items()
    if kind == "tensor":
        return tensors[value]
    if kind == "mapping":
        return {key: _with_tensors(part, tensors) for key, part in value}
    parts = [_with_tensors(part, tensors) for part in value]
    return tuple(parts) if kind == "tuple" else parts
