"""Finds out whether torch can use a GPU, in a child process that computes something on it.

NVML counts GPUs that this torch cannot use: with a driver that is too old, or a card that its kernels were not built
for. Only a computation tells, and it may hang or crash: so a child makes it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from harness.measure.device import VISIBLE
from harness.text.outside_text import visible

_PROGRAM = "import sys; sys.path[:] = {path!r}; from {module} import compute; compute({device!r}, {precision!r})"
_CHILD = "harness.measure.gpu_computation"
_SECONDS = 180.0
"""Importing torch from a slow disk and the first context of a machine with many GPUs take tens of seconds."""
_KILL_SECONDS = 5.0
_REMEDY = (
    "`uv pip install --reinstall torch torchvision --torch-backend=auto`, then `uv run --no-sync bench` (docs/gpu.md)"
)


@dataclass(frozen=True)
class GpuProbe:
    """What a child found of a device; `failure` is None where it could compute there.

    `facts` are what it could say, whether or not it could compute: torch, cuda, built_for, driver, card, and once it
    has computed the precision that the card is best at.
    """

    device: str
    failure: str | None
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """Say in one line why the device cannot be used, what was seen and what to do."""
        known = self.facts.get
        torch = f"torch {known('torch', 'of an unknown version')} for CUDA {known('cuda', 'unknown')}"
        built = f" (kernels for {self.facts['built_for']})" if "built_for" in self.facts else ""
        return (
            f"torch cannot compute on {self.device}: {self.failure} Card: {known('card', 'unknown')}; driver: "
            f"{known('driver', 'unknown')}; {torch}{built}. Update the driver, or install a torch for it: {_REMEDY}."
        )


def probe_gpu(device: str, precision: str = "fp32", seconds: float = _SECONDS, visible: str | None = None) -> GpuProbe:
    """Compute on `cuda:INDEX` in a child: allocate, multiply, convolve; in bf16 too where `precision` says so.

    With `visible` the child sees the GPU of that name alone, and `device` is only what messages call it. The child is
    killed after `seconds`. Nothing of CUDA is started in this process.
    """
    path = [entry for entry in sys.path if entry]
    program = _PROGRAM.format(
        path=path, module=_CHILD, device=device if visible is None else "cuda:0", precision=precision
    )
    with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as complaints:
        # Files and not pipes: a child that hangs in the driver outlives SIGKILL, and would hold a pipe open.
        child = subprocess.Popen(
            [sys.executable, "-P", "-c", program],
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=complaints,
            env={**os.environ, **({} if visible is None else {VISIBLE: visible}), "PYTHONSAFEPATH": "1"},
            start_new_session=True,
        )
        code = _end(child, seconds)
        told.seek(0)
        complaints.seek(0)
        facts = _facts(told.read())
        return GpuProbe(device, _failure(code, facts, complaints.read(), seconds), facts)


def _end(child: subprocess.Popen[bytes], seconds: float) -> int | None:
    """Wait for a child, and kill it where it does not end; its exit code, None where it was killed."""
    try:
        return child.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if child.returncode is None:
            with suppress(OSError):
                os.killpg(child.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                child.wait(_KILL_SECONDS)


def _facts(told: bytes) -> dict[str, str]:
    facts: dict[str, str] = {}
    for line in told.decode(errors="replace").splitlines():
        with suppress(ValueError):  # half a line of a child that was killed
            content: Any = json.loads(line)
            facts |= {str(name): visible(str(value)) for name, value in content.items()}
    return facts


def _failure(code: int | None, facts: Mapping[str, str], complaints: bytes, seconds: float) -> str | None:
    """Say in a sentence what went wrong."""
    doing = facts.get("doing", "importing torch")
    if code is None:
        return f"a child process that tried gave no answer within {seconds:g} s ({doing})."
    if code < 0:
        return f"a child process that tried was ended by {signal.Signals(-code).name} ({doing})."
    if "error" in facts:
        return f"{facts['error']} ({doing})."
    if code or "done" not in facts:
        last = visible(complaints.decode(errors="replace").strip().rpartition("\n")[2])
        return f"a child process that tried ended with exit code {code} ({doing}){f': {last}' if last else ''}."
    return None
