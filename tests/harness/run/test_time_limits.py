"""A job that takes too long is ended though it goes on reporting, and the next one runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from harness.run import job_server
from harness.run.job_server import JobFailure, JobServer, Workers

PLANTED = """
import time

def work(kind, progress):
    while kind == "reports for ever":
        progress("decoding", 1, 2)
    if kind == "silent":
        time.sleep(600)
    return kind
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobServer]:
    site = tmp_path_factory.mktemp("site")
    (site / "endless_job.py").write_text(PLANTED)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        patch.setattr(job_server, "_PRELOAD", ())  # nothing of torch
        with JobServer((), Workers(timeout_s=300.0, limit_s=1.0)) as server:
            yield server


@pytest.mark.parametrize(("kind", "last"), [("reports for ever", "decoding"), ("silent", "work")])
def test_a_job_is_ended_after_its_limit_whatever_it_does(kind: str, last: str, server: JobServer) -> None:
    work, started = import_module("endless_job").work, time.monotonic()
    with pytest.raises(JobFailure) as caught:
        server.run(work, (kind,), lambda *_: None)
    assert 1 <= time.monotonic() - started < 8
    assert caught.value.kind == "overrun"
    assert f"not done after 1s (last: {last}) and was ended. Give it more than --job-limit 1s" in caught.value.message
    assert server.run(work, ("quick",), lambda *_: None) == "quick"


def test_the_shorter_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "silent_job.py").write_text(PLANTED)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(job_server, "_PRELOAD", ())
    with JobServer((), Workers(timeout_s=0.3, limit_s=300.0)) as server, pytest.raises(JobFailure) as caught:
        server.run(import_module("silent_job").work, ("silent",), lambda *_: None)
    assert caught.value.kind == "silent"
