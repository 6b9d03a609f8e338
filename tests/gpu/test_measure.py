from __future__ import annotations

import json

import pytest
import torch

from .measure import main


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device here")
@pytest.mark.timeout(480)
def test_what_only_a_gpu_can_show() -> None:
    assert main([]) == 0


@pytest.mark.slow
def test_it_runs_on_a_cpu_and_says_that_its_figures_are_none_to_keep(capsys: pytest.CaptureFixture[str]) -> None:
    ended = main("--device cpu --steps 4 --batch 8 --images 16 --rounds 2".split())  # noqa: SIM905
    found = json.loads(capsys.readouterr().out)
    assert found["note"] == "of a CPU, to try the script: not to be kept as results"
    assert found["train"]["share_of_bare"] > 0.6  # of a few short steps, in seconds that the CPU has worked
    assert found["determinism"] == {"deterministic_weights_are_equal": True, "plain_weights_are_equal": True}
    assert found["corruptions"] and all(one["right"] for one in found["corruptions"].values())
    assert found["costs"]["latency_p50_by_events_seconds"] > 0
    assert ended == (0 if found["train"]["right"] else 1)


def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main([]) == 0
    told = capsys.readouterr()
    assert not told.out and "torch finds no CUDA device here" in told.err
