"""The command that makes a missing record can be typed as it stands, and asks for the same settings."""

from __future__ import annotations

import shlex
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from harness.judge.record_settings import setting_key
from harness.judge.verdict.missing_runs import run_command
from harness.judge.verdict.settings import record_settings_of, unmatched
from harness.plan.config import build_config
from harness.record import RunRecord


def like(world: Any, right: np.ndarray, profile: str = "standard", **training: Any) -> RunRecord:
    """A record that was made with a profile."""
    config = build_config({"task": "image-classification", "profile": profile}, (), None, None, "image-classification")
    (record, *_) = world.add("class-embedding", None, right[:1])
    content = {
        "model": "class-embedding",
        "train": asdict(config.train) | training.pop("train", {}),
        "decode": asdict(config.decode),
        "options": asdict(config.options) | training.pop("options", {}),
        "data": {"layout": "scenes", "options": {}, **training.pop("data", {})},
    }
    cell = {"training": content, "evaluate": {"limit": config.evaluate.limit}}
    return replace(record, cell=cell)


@pytest.mark.parametrize("profile", ["standard", "smoke", "full", "reference"])
def test_names_the_profile(profile: str, world: Any, right: np.ndarray) -> None:
    command = run_command(like(world, right, profile), None)
    expected = "bench run --task image-classification --model class-embedding --seeds 5"
    assert command == (expected if profile == "standard" else f"{expected} --profile {profile}")


def test_sets_what_the_profile_has_not(world: Any, right: np.ndarray) -> None:
    record = like(world, right, train={"steps": 77}, options={"vision": "resnet18"})
    command = run_command(record, "results/mine", ["--controls", "--set train.limit=50"])
    assert "--vision resnet18" in command
    assert "--set train.steps=77" in command
    assert command.endswith("--results results/mine")
    words = shlex.split(command)
    settings = [words[n + 1] for n, word in enumerate(words) if word == "--set"]
    config = build_config({"task": "image-classification"}, settings, None, None, "image-classification")
    assert (config.train.steps, config.train.limit) == (77, 50)


def test_tracks_and_folders(world: Any, right: np.ndarray) -> None:
    record = like(world, right, data={"options": {"track": "context"}})
    assert "--scenes-track context" in run_command(record, None)
    record = like(world, right, data={"layout": "folders", "root": "flowers"})
    assert "--data …/flowers" in run_command(record, None)
    assert run_command(record, None, ["--tune lora"]).count("--tune") == 1


def test_settings_of_a_record(world: Any, right: np.ndarray) -> None:
    first, second = (like(world, right, train={"steps": steps}) for steps in (10, 20))
    assert unmatched(record_settings_of(first), record_settings_of(second)) == ["train.steps 20, not 10"]
    assert unmatched(record_settings_of(first), record_settings_of(second), ("train.steps",)) == []
    assert setting_key(first) != setting_key(second)
    assert setting_key(first) == setting_key(replace(first, seed=3))
    cell = {**first.cell, "training": {**first.cell["training"], "train": {"steps": 10, "accumulation": 2}}}
    asked = replace(first, cell=cell, provenance={"training": {"accumulation": 2}})
    assert setting_key(asked) == setting_key(replace(asked, provenance={"training": {"accumulation": 1}}))
    assert setting_key(asked) != setting_key(replace(asked, provenance={"training": {"accumulation": 8}}))
