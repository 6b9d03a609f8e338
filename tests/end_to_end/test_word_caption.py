"""A third party's captioning task runs with built-in models and all their controls, which have never heard of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
BACKBONE = "test_resnet"
MODELS = "cnn-transformer,cross-attention,retrieval"


def test_built_in_models_and_controls_run_on_a_third_partys_task(
    tmp_path: Path, bench_in: Callable[[Path], Any], captions: Path
) -> None:
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    save_file(timm.create_model(BACKBONE).state_dict(), tmp_path / "backbone.safetensors")
    run = bench_in(tmp_path)(
        "run", "--task", "word-caption", "--model", MODELS, "--controls", "--data", captions, "--profile", "smoke",
        "--device", "cpu", "--no-measure", "--limit", "6", "--vision", BACKBONE,
        "--vision-weights", "backbone.safetensors", "--vision-args", "size=32", "--set", "train.steps=2",
        "--set", "evaluate.resamples=20", "--set", "model.layers=1", "--set", "model.width=32",
        "--set", "model.language_layers=1", "--set", "decode.max_tokens=8", "--results", tmp_path / "results",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr + run.stdout
    records = [json.loads(path.read_text()) for path in (tmp_path / "results/word-caption/records").glob("*.json")]
    found = {(record["model"], record["control"]): record for record in records}
    assert set(found) == {
        ("cnn-transformer", None), ("retrieval", None),
        ("cross-attention", None), ("cross-attention", "C1"), ("cross-attention", "C2"),
    }  # fmt: skip
    assert {record["status"] for record in records} == {"ok"}
    assert found["retrieval", None]["metrics"]["word-overlap"]["value"] > 0.3, "training captions of the same colours"
    assert all("answers" not in record["cell"]["training"]["options"] for record in records), "the task says them"
