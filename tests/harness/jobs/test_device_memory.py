"""Peak memory of an accelerator that is made up: each number is of its own batch, and none of a failure."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from harness.cell import MeasureOptions, TrainOptions
from harness.jobs import profile_learner as profiling
from harness.jobs.jobs import _profile_with_retry
from harness.jobs.train import TrainingData, train_learner
from harness.jobs.training_summary import UNTRAINED
from harness.measure.memory import PeakMeter
from harness.record import Efficiency

DEVICE = "cuda:0"
WEIGHTS, SAMPLE, SLACK, ROOM = 1000, 10, 7, 1000 + 10 * 10


class Allocator:
    """Holds the weights; a call takes so much a sample for as long as it lasts, and a little more is reserved."""

    def __init__(self) -> None:
        self.allocated = self.reserved = WEIGHTS

    def call(self, samples: int) -> None:
        if WEIGHTS + samples * SAMPLE > ROOM:
            self.allocated = self.reserved = 10**9
            raise torch.OutOfMemoryError("planted")
        self.allocated = max(self.allocated, WEIGHTS + samples * SAMPLE)
        self.reserved = max(self.reserved, self.allocated + SLACK)

    def reset(self, device: str) -> None:
        assert device == DEVICE
        self.allocated = self.reserved = WEIGHTS


@pytest.fixture
def allocator(monkeypatch: pytest.MonkeyPatch) -> Allocator:
    """Let torch tell of a device that is not there."""
    made, ticks = Allocator(), itertools.count()
    properties = SimpleNamespace(name="Made up", total_memory=ROOM)
    for name, stand_in in {
        "synchronize": lambda device: None,
        "empty_cache": lambda: None,
        "reset_peak_memory_stats": made.reset,
        "max_memory_allocated": lambda device: made.allocated,
        "max_memory_reserved": lambda device: made.reserved,
        "get_device_properties": lambda device: properties,
    }.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    monkeypatch.setattr(profiling, "calibration_workload", lambda device: lambda: None)
    monkeypatch.setattr(time, "perf_counter", lambda: 0.4 * next(ticks))
    return made


def taking(line: Any, allocator: Allocator) -> Any:
    class Taking(line):  # type: ignore[misc]
        def forward(self, batch: Any) -> Any:
            allocator.call(len(batch))
            return super().forward(batch)

    return Taking()


def profiled(line: Any, allocator: Allocator, visuals_of: Any) -> Efficiency:
    learner = taking(line, allocator)
    tokens = replace(visuals_of(learner, 32), device=DEVICE)
    with PeakMeter(DEVICE) as meter:
        meter.mark()

        def attempt(options: MeasureOptions) -> Efficiency:
            return profiling.profile_learner(learner, tokens, options, meter, lambda *_: None)

        return _profile_with_retry(
            MeasureOptions(warmups=2, runs=4, throughput_batch=16), attempt, meter.restart, lambda *_: None
        )


def test_each_number_is_of_its_own_batch_and_of_the_attempt_that_succeeded(
    line: Any, allocator: Allocator, visuals_of: Any
) -> None:
    found = profiled(line, allocator, visuals_of)
    assert found.throughput_batch == 8  # of 16, ten fit
    told = found.notes["memory"]
    assert found.peak_memory_bytes == told["allocated_bytes"] == WEIGHTS + SAMPLE
    assert (told["allocated_batch_bytes"], told["batch_size"]) == (WEIGHTS + 8 * SAMPLE, 8)
    assert told["reserved_bytes"] == WEIGHTS + 8 * SAMPLE + SLACK
    assert told["peak_rss_bytes"] > 2**20


def test_a_training_says_what_its_tensors_took(line: Any, allocator: Allocator, visuals_of: Any) -> None:
    learner = taking(line, allocator)
    tokens = replace(visuals_of(learner, 32), device=DEVICE)
    options = TrainOptions(steps=3, batch_size=16, precision="fp32", validations=0, validation_limit=1)
    task: Any = SimpleNamespace(validation_score=lambda predictions, targets: 0.0)
    few = visuals_of(learner, 3)
    summary = train_learner(learner, TrainingData(task, tokens, few), options, 0, (lambda *_: None, lambda _: None))
    assert summary.accumulation == 2
    assert summary.peak_memory_bytes == WEIGHTS + 8 * SAMPLE


def test_on_a_cpu_it_is_the_process(line: Any, visuals_of: Any) -> None:
    learner = line()
    task: Any = SimpleNamespace(validation_score=lambda predictions, targets: 0.0)
    data = TrainingData(task, visuals_of(learner), visuals_of(learner))
    summary = train_learner(learner, data, TrainOptions(steps=1), 0, (lambda *_: None, lambda _: None))
    assert summary.peak_memory_bytes is not None and summary.peak_memory_bytes > 2**20
    assert UNTRAINED.peak_memory_bytes is None
