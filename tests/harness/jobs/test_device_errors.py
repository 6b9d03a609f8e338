"""Which errors cost a process its device, and that a perturbed job ends by them instead of blaming other models."""

from __future__ import annotations

from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from harness.cell import EvaluateOptions
from harness.errors import DataError
from harness.inputs.perturbed_inputs import Words
from harness.jobs.device_errors import ends_process, lost_device, refused_operation
from harness.jobs.loaded_model import LoadedModel
from harness.jobs.robustness_job import _RobustnessJob
from harness.run.job_process import _explained

ASSERT = "CUDA error: device-side assert triggered"


@pytest.mark.parametrize(
    ("error", "lost", "ends"),
    [
        (torch.AcceleratorError(ASSERT), True, True),
        (RuntimeError(ASSERT), True, True),
        (RuntimeError("HIP error: an illegal memory access was encountered"), True, True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`"), True, True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), True, True),
        (torch.OutOfMemoryError("CUDA out of memory"), False, True),
        (torch.AcceleratorError("CUDA error: out of memory"), False, True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"), False, True),
        (MemoryError(), False, True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False, False),
        (ValueError(ASSERT), False, False),
    ],
)
def test_what_costs_a_process_its_device(error: Exception, lost: bool, ends: bool) -> None:
    assert (lost_device(error) is error) == lost
    assert ends_process(error) == ends


def test_an_operation_without_a_deterministic_form_is_named_with_the_setting() -> None:
    torch.set_deterministic_debug_mode("error")
    try:
        with pytest.raises(RuntimeError) as caught:
            torch.zeros(3).put_(torch.tensor([0]), torch.ones(1))
    finally:
        torch.set_deterministic_debug_mode("default")
    wanted = "put_ has no deterministic form on this device, and train.deterministic=true asks for such operations"
    assert str(refused_operation(caught.value)).startswith(wanted)
    message, kind, trace = _explained(caught.value)
    assert (message.startswith(wanted), kind, trace) == (True, "NotDeterministic", None)
    assert refused_operation(ValueError(str(caught.value))) is None
    assert refused_operation(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None


@pytest.mark.parametrize("cause", ["from it", "while handling it"])
def test_it_is_found_behind_the_error_that_was_made_of_it(cause: str) -> None:
    first = torch.AcceleratorError(ASSERT)
    try:
        try:
            raise first
        except RuntimeError as error:
            raise DataError("predict returned nothing") from (error if cause == "from it" else None)
    except DataError as made:
        assert lost_device(made) is first


def loaded(error: Exception | None) -> LoadedModel:
    """A model that answers 0.5, or raises."""

    def predict(batch: Any) -> list[float]:
        if error is not None:
            raise error
        return [0.5] * len(batch.sample_ids)

    learner: Any = SimpleNamespace(vision=None, predict=predict)
    subject: Any = SimpleNamespace(
        cell=SimpleNamespace(training=SimpleNamespace(device="cpu"), evaluate=EvaluateOptions())
    )
    return LoadedModel(subject, learner, ())


def answer(model: LoadedModel) -> None:
    sample = SimpleNamespace(sample_id="a", choices=())
    chunk = SimpleNamespace(start=0, samples=(sample,), sizes=())
    job: Any = _RobustnessJob.__new__(_RobustnessJob)
    tokens = SimpleNamespace(chunk=chunk, of=_nothing)
    job._answer(model, SimpleNamespace(label="fog-1"), Words((None,), (), {}, {}), tokens, ExitStack())


def _nothing(*arguments: object) -> None:
    return None


def test_a_lost_device_ends_the_job_and_another_error_one_model_under_one_condition() -> None:
    well, wrong, guilty = loaded(None), loaded(ValueError("no such layer")), loaded(torch.AcceleratorError(ASSERT))
    answer(well)
    answer(wrong)
    assert (well.answers, well.errors) == ({"fog-1": [0.5]}, {})
    assert (wrong.answers, wrong.errors["fog-1"].error) == ({}, "ValueError: no such layer")
    with pytest.raises(torch.AcceleratorError):
        answer(guilty)
    assert guilty.errors == {}
