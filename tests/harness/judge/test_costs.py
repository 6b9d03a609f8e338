"""What cannot be counted or was not to be measured is absent, never 0; a learner may state its costs itself."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.cell import MeasureOptions
from harness.jobs.profile_learner import profile_learner
from harness.measure import nvml
from harness.measure.memory import PeakMeter
from harness.measure.nvml import GpuState
from harness.plan.taken_whole import StatedCosts
from harness.protocols import ParameterGroups
from harness.sample import Batch

OPTIONS = MeasureOptions(warmups=1, runs=3, throughput_batch=2, throughput_runs=1)


class Session(nn.Module):
    """Answers without a parameter or an operation of torch, as a wrapper of an ONNX session does."""

    vision, vision_frozen = None, False

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        raise NotImplementedError

    def predict(self, batch: Batch) -> list[float]:
        return [float(text or 0) * 2 for text in batch.texts]

    def parameter_groups(self) -> ParameterGroups:
        return ParameterGroups((), (), ())


class Stating(Session):
    """The same, with costs of its own account."""

    def stated_costs(self) -> StatedCosts:
        return StatedCosts(parameters=3_500_000)


def profiled(learner: Any, visuals_of: Any, options: MeasureOptions = OPTIONS) -> Any:
    with PeakMeter("cpu") as meter:
        return profile_learner(learner, visuals_of(learner), options, meter, lambda *_: None)


def test_costs_that_cannot_be_seen_are_absent(visuals_of: Any) -> None:
    found = profiled(Session(), visuals_of)
    assert (found.parameters_total, found.parameters_trainable, found.flops) == (None, None, None)
    assert found.latency_p50_seconds is not None and found.peak_memory_bytes


@pytest.mark.parametrize(("others", "noise"), [(None, []), (2, ["2 other processes computed on the GPU"])])
def test_the_gpu_and_its_other_users_are_noted_where_it_measured(
    others: int | None, noise: list[str], visuals_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = GpuState("NVIDIA H100", "580.65", 1980, 2619, 700.0, others)
    monkeypatch.setattr(nvml, "gpu_state", lambda device: state)
    notes = profiled(Session(), visuals_of).notes
    assert notes["gpu_state"] == state.to_json()
    assert [reason for reason in notes["noisy"] if "GPU" in reason] == noise


def test_on_the_cpu_no_gpu_is_noted(visuals_of: Any) -> None:
    assert "gpu_state" not in profiled(Session(), visuals_of).notes


def test_a_learner_states_its_costs(visuals_of: Any) -> None:
    found = profiled(Stating(), visuals_of)
    assert (found.parameters_total, found.parameters_trainable, found.flops) == (3_500_000, 0, None)


@pytest.mark.parametrize("timed", [True, False])
def test_what_is_not_to_be_measured_is_absent_and_said(timed: bool, visuals_of: Any, line: Any) -> None:
    found = profiled(line(), visuals_of, MeasureOptions(1, 3, 2, 1, timed=timed))
    measured = (found.latency_p50_seconds, found.throughput_per_second, found.peak_memory_bytes)
    assert [value is not None for value in measured] == [timed] * 3
    assert (found.parameters_total, found.parameters_trainable) == (7, 4)
    assert found.flops
    assert ("not_measured" in found.notes) is not timed
    assert "threads" in found.notes["machine_label"]  # scores are from there, too
    assert list(itertools.chain(found.notes))
