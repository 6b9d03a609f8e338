"""Checkpoints that do not fit are refused with their path, the reason and the remedy."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.cell import MeasureOptions
from harness.errors import CheckpointError, OutOfMemory
from harness.jobs import _profile_with_retry, read_checkpoint, read_training, write_checkpoint
from harness.record import Efficiency
from harness.train import trained_state


@pytest.fixture
def checkpoint(tmp_path: Path, line: Any) -> tuple[Path, str]:
    path = tmp_path / "fingerprint" / "checkpoint.safetensors"
    return path, write_checkpoint(trained_state(line()), path)


def test_a_checkpoint_comes_back_whole(checkpoint: tuple[Path, str], line: Any) -> None:
    learner = line()
    with torch.no_grad():
        learner.new.weight += 1
    read_checkpoint(learner, *checkpoint)
    torch.testing.assert_close(learner.new.weight, line().new.weight)


@pytest.mark.parametrize("damage", ["missing", "other bytes", "truncated", "pickle", "shapes", "names"])
def test_a_checkpoint_that_does_not_fit_is_refused(damage: str, checkpoint: tuple[Path, str], line: Any) -> None:
    path, digest = checkpoint
    state = dict(trained_state(line()))
    if damage == "missing":
        path.unlink()
    elif damage == "other bytes":
        path.write_bytes(path.read_bytes()[:-1] + b"\x7f")
    elif damage in ("truncated", "pickle"):
        path.write_bytes(path.read_bytes()[:20] if damage == "truncated" else pickle.dumps(state))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    elif damage == "shapes":
        digest = write_checkpoint({**state, "new.bias": torch.zeros(3)}, path)
    else:
        digest = write_checkpoint({**state, "more": torch.zeros(3)}, path)
    messages = {
        "missing": "is not there",
        "other bytes": "has sha256 .*, its training wrote",
        "truncated": "is not a safetensors file",
        "pickle": "is not a safetensors file",
        "shapes": "does not fit the model: 1 tensors, first 'new.bias'",
        "names": "does not fit the model: 1 tensors, first 'more'",
    }
    with pytest.raises(CheckpointError, match=f"{messages[damage]}.*Delete {path.parent} and run again"):
        read_checkpoint(line(), path, digest)


@pytest.mark.parametrize("content", [None, "", "{", "[]", "null", '{"skipped": [], "seconds": 1}', "\x00"])
def test_a_broken_summary_is_named(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "training.json").write_text(content)
    with pytest.raises(CheckpointError, match=rf"training.json is not a training's summary.*Delete {tmp_path}"):
        read_training(tmp_path)


def test_a_whole_summary_is_read(tmp_path: Path) -> None:
    content = {"checkpoint_sha256": "a", "skipped": [], "seconds": 1.5}
    (tmp_path / "training.json").write_text(json.dumps(content))
    assert read_training(tmp_path) == content


def test_measuring_takes_smaller_batches_when_memory_runs_out() -> None:
    notices: list[str] = []

    def attempt(options: MeasureOptions) -> Efficiency:
        if options.throughput_batch > 8:
            raise torch.OutOfMemoryError("planted")
        return Efficiency(throughput_batch=options.throughput_batch)

    assert _profile_with_retry(MeasureOptions(), attempt, lambda what, *_: notices.append(what)).throughput_batch == 8
    assert [notice.rpartition(" ")[2] for notice in notices] == ["16", "8"]


def test_measuring_one_sample_must_fit() -> None:
    def attempt(options: MeasureOptions) -> Efficiency:
        raise MemoryError

    with pytest.raises(OutOfMemory, match="measuring one sample"):
        _profile_with_retry(MeasureOptions(throughput_batch=2), attempt, lambda *_: None)
