"""A preload that starts CUDA is named, and no job is forked in vain."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.run import cuda_guard
from harness.run import job_server as isolation
from harness.run.cuda_guard import cuda_started
from harness.run.job_server import SERVER, JobFailure, JobServer

FAKE_TORCH = """
import sys
from types import SimpleNamespace
sys.modules["torch"] = SimpleNamespace(cuda=SimpleNamespace(is_initialized=lambda: {initialized}))
"""
JOB = """
import os
def environment(progress):
    return os.environ.get("PYTORCH_NVML_BASED_CUDA_CHECK")
"""


@contextmanager
def serving(folder: Path, initialized: bool) -> Iterator[JobServer]:
    """A server that preloads a package from outside, which may start CUDA, and after it another one, which does not."""
    information = folder / "greedy_models-2.1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: greedy-models\nVersion: 2.1\n")
    (information / "entry_points.txt").write_text("[bench.preload]\ngreedy = greedy_preload\nmodest = modest_preload\n")
    (folder / "greedy_preload.py").write_text(FAKE_TORCH.format(initialized=initialized))
    (folder / "modest_preload.py").write_text(JOB)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setattr(isolation, "_PRELOAD", ())  # nothing of the real torch
        with JobServer(("greedy", "modest")) as server:
            yield server


def run(server: JobServer) -> Any:
    import modest_preload  # type: ignore[import-not-found]

    return server.run(modest_preload.environment, (), lambda *_: None)


def test_the_package_that_starts_cuda_is_named_and_no_job_runs(tmp_path: Path) -> None:
    with serving(tmp_path, initialized=True) as server:
        for _ in range(2):
            with pytest.raises(JobFailure) as caught:
                run(server)
    failure = caught.value
    assert (failure.kind, failure.trace) == (SERVER, None)
    assert "importing greedy_preload, which the package 'greedy-models 2.1' has preloaded" in failure.message
    assert "entry point 'greedy' of bench.preload), initialises CUDA" in failure.message
    assert "modest" not in failure.message and "anew" not in failure.message


def test_otherwise_jobs_run_and_availability_is_asked_of_nvml(tmp_path: Path) -> None:
    with serving(tmp_path, initialized=False) as server:
        assert run(server) == "1"


@pytest.mark.parametrize(
    ("initialized", "bad_fork", "driver", "started"),
    [
        (False, False, True, None),
        (True, False, False, "initialises CUDA"),
        (False, True, True, "asks the CUDA runtime for its devices"),
        (False, True, False, None),  # without a driver nothing will use CUDA
        (False, None, True, None),  # a torch that does not say
    ],
)
def test_a_runtime_that_was_only_asked_is_known_in_a_fork(
    initialized: bool, bad_fork: bool | None, driver: bool, started: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = os.getpid()
    cuda = SimpleNamespace(is_initialized=lambda: initialized)
    if bad_fork is not None:
        cuda._is_in_bad_fork = lambda: bad_fork and os.getpid() != here
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))  # type: ignore[arg-type]
    monkeypatch.setattr(cuda_guard, "has_driver", lambda: driver)
    assert cuda_started() == started


def test_what_was_imported_for_every_job_is_named_without_a_package() -> None:
    told = cuda_guard.accusation("torch._dynamo", "initialises CUDA")
    assert told.startswith("importing torch._dynamo initialises CUDA") and "another version" in told
