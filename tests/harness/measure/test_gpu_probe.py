"""Whether torch can use a GPU is found by a child, whatever becomes of the child."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cli import doctor
from harness.errors import UsageError
from harness.measure import choose_devices, gpu_probe
from harness.measure.choose_devices import Devices, DeviceWish
from harness.measure.gpu_probe import GpuProbe, probe_gpu

FACTS = """
import json, os, signal, sys, time
def say(**what):
    print(json.dumps(what), flush=True)
def compute(device, precision):
    say(torch="2.15.0+cu132", cuda="13.2", built_for="sm_75 sm_80", driver="535.104", card="Tesla V100 (sm_70)")
    say(doing="convolving in float32")
"""


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put another child in the place of the one that computes: facts first, then the given lines."""

    def planted(body: str) -> None:
        (tmp_path / "planted_child.py").write_text(FACTS + "".join(f"    {line}\n" for line in body.splitlines()))

    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(gpu_probe, "_CHILD", "planted_child")
    return planted


@pytest.mark.parametrize(
    ("body", "failure"),
    [
        ("say(done=device)", None),
        ("os.kill(os.getpid(), signal.SIGSEGV)", r"was ended by SIGSEGV \(convolving in float32\)\."),
        ("os._exit(3)", r"ended with exit code 3 \(convolving in float32\)\."),
        ("raise OSError('libcuda.so.1: no such file')", r"exit code 1 .*: OSError: libcuda.so.1: no such file\."),
        ("return", r"ended with exit code 0 \(convolving in float32\)\."),
        ("say(error='RuntimeError: no kernel image')\nsys.exit(1)", r"RuntimeError: no kernel image \(convolving"),
        ('os.write(1, b\'{"done": "cu\')', "exit code 0"),
    ],
)
def test_a_device_is_usable_only_where_the_child_says_so(
    body: str, failure: str | None, plant: Callable[[str], None]
) -> None:
    plant(body)
    found = probe_gpu("cuda:0")
    assert (found.failure is None) == (failure is None)
    assert failure is None or re.search(failure, str(found.failure))


def test_the_reason_names_card_driver_cuda_and_what_to_do(plant: Callable[[str], None]) -> None:
    plant("say(error='RuntimeError: The NVIDIA driver on your system is too old')\nsys.exit(1)")
    reason = probe_gpu("cuda:0").reason
    for part in ("cuda:0", "driver on your system is too old", "Tesla V100 (sm_70)", "535.104", "2.15.0+cu132",
                 "CUDA 13.2", "sm_75 sm_80", "--torch-backend=auto"):  # fmt: skip
        assert part in reason
    assert "\n" not in reason


def test_a_child_that_hangs_is_killed_with_what_it_has_started(
    tmp_path: Path, plant: Callable[[str], None], processes: Any
) -> None:
    plant(
        f"open({str(tmp_path / 'pids')!r}, 'w').write(f'{{os.getpid()}} {{os.fork() or time.sleep(60)}}')\n"
        "time.sleep(60)"
    )
    started = time.monotonic()
    found = probe_gpu("cuda:0", seconds=1.0)
    assert 1 <= time.monotonic() - started < 5
    assert found.failure == "a child process that tried gave no answer within 1 s (convolving in float32)."
    child, started_by_it = map(int, (tmp_path / "pids").read_text().split())
    processes.wait_until(lambda: not processes.is_alive(child) and not processes.is_alive(started_by_it), 5)


def test_where_torch_cannot_use_a_gpu_that_is_counted_auto_and_doctor_say_why_and_cuda_is_one_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The real child, which fails for real: no driver is here, or its devices are hidden."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    found = probe_gpu("cuda:0", "bf16")
    assert re.match(
        r"RuntimeError: .*(NVIDIA driver|No CUDA GPUs).* \(allocating memory in float32\)\.", str(found.failure)
    )
    assert found.facts["torch"] in found.reason and found.facts["cuda"] in found.reason

    told: list[str] = []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(choose_devices, "cuda_device_count", lambda: 1)
    monkeypatch.setattr(choose_devices, "_probed", lambda name, visible, precision: found)
    assert choose_devices.choose_devices(DeviceWish(), told.append) == Devices("cpu")
    assert told == [f"{found.reason} The CPU is taken."]
    with pytest.raises(UsageError, match=r"torch cannot compute on cuda:0.*Or use `--device cpu`"):
        choose_devices.choose_devices(DeviceWish("cuda"), told.append)
    assert [(finding.state, finding.detail) for finding in doctor._device()][1:] == [("warning", told[0])]


def test_doctor_names_a_device_that_cannot_be_described(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU that was lost between the child's computation and ours; on the CPU here torch refuses it for real."""
    monkeypatch.setattr(choose_devices, "cuda_device_count", lambda: 1)
    monkeypatch.setattr(choose_devices, "_probed", lambda name, *_: GpuProbe(name, None, {"precision": "bf16"}))
    (finding,) = doctor._device()
    assert (finding.state, finding.trace) == ("broken", "")
    assert "1 GPU, unknown card cannot be asked what it is" in finding.detail
