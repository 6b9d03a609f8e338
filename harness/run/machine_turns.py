"""Lets processes of several runs share a machine: whoever measures has it, or an accelerator, to itself.

Turns are locks on files, so that they end with their process, however it ends, and count between runs, users' shells
and workers of a cluster alike; those of another container or user are not seen.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from harness.files import open_lock
from harness.run.executor import CPU

_MACHINE = "machine"


def _shared_folder() -> Path:
    return Path(tempfile.gettempdir()) / f"fusemark-turns-{os.getuid()}"


@dataclass(frozen=True)
class MachineTurns:
    """Takes turns on this machine, by locks in a folder that all of a user's processes here find."""

    folder: Path = field(default_factory=_shared_folder)

    @contextmanager
    def turn(self, device: str, *, alone: bool) -> Iterator[None]:
        """Compute on a device meanwhile; `alone` on it, and where that is the CPU, alone on the machine.

        Who waits to be alone comes before all that ask later, so that it waits for those at work and for no other.
        """
        with ExitStack() as held:
            held.enter_context(self._room(_MACHINE, alone=alone and device == CPU))
            if device != CPU:
                held.enter_context(self._room(f"gpu-{_visible_gpu()}", alone=alone))
            yield

    @contextmanager
    def _room(self, name: str, *, alone: bool) -> Iterator[None]:
        with ExitStack() as held:
            gate, room = (open_lock(self.folder / f"{name}.{kind}") for kind in ("gate", "room"))
            if gate is None or room is None:  # nothing can be written there: then nobody waits for anybody
                yield
                return
            held.enter_context(room)
            with gate:
                fcntl.flock(gate, fcntl.LOCK_EX)
                fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            yield


def _visible_gpu() -> str:
    """Name the accelerator that this process counts as its first."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").partition(",")[0].strip()
    return "".join(part for part in visible or "0" if part.isalnum() or part == "-")
