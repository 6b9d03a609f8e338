"""What a job's process is given beside its job."""

from __future__ import annotations

import os
from typing import Any

import pytest

from harness.run import job_server
from harness.run.choose_executor import devices_of
from harness.run.executor import JobRequest
from harness.run.local_executor import LocalExecutor


def test_a_job_finds_the_environment_that_came_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_server, "_PRELOAD", ())
    look: Any = os.getenv  # its default is the progress that a job is called with
    arguments: Any = ("CUDA_VISIBLE_DEVICES",)
    with job_server.JobServer() as server:
        for device in ("GPU-7", "1"):
            assert server.run(look, arguments, lambda *_: None, {"CUDA_VISIBLE_DEVICES": device}) == device
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_jobs_of_an_executor_see_the_gpu_that_they_were_given_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_server, "_PRELOAD", ())
    look: Any = os.getenv
    arguments: Any = ("CUDA_VISIBLE_DEVICES",)
    request = JobRequest("look", lambda *_: None, "cuda")
    with LocalExecutor(job_server.JobServer(), devices_of(["3", "MIG-b"], 0)) as executor:
        found = [executor.submit(look, arguments, request) for _ in range(4)]
        assert {future.result(30) for future in found} == {"3", "MIG-b"}
