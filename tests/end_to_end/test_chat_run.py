"""A chat model in a folder: asked by two prompts of the user's, without an image too, and refused where it must be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.baselines.chat.tiny_chats import smolvlm
from tests.tasks.squares import write_squares

PROMPTS = '[[labels]]\nname = "one"\nuser = "What is it? {options}"\n[[labels]]\nname = "two"\nuser = "Name it."\n'


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny chat model and a file of prompts."""
    torch.manual_seed(7)
    folder = tmp_path_factory.mktemp("chat")
    network, processor = smolvlm()
    network.save_pretrained(folder / "model")
    processor.save_pretrained(folder / "model")
    (folder / "mine.toml").write_text(PROMPTS, encoding="utf-8")
    write_squares(folder / "photos", {"train": 1, "val": 1, "test": 2})
    return folder


def test_prompts_are_cells_and_their_mean_is_a_row(place: Path, bench_in: Callable[[Path], Any]) -> None:
    bench = bench_in(place)
    common = ("--task", "image-classification", "--data", "photos", "--profile", "smoke", "--no-measure")
    ran = bench(
        "run", *common, "--model", "chat:./model,chat:./model[C5]", "--prompts", "mine.toml", "--results", "found"
    )
    assert ran.returncode == 0, ran.stderr
    assert "sd over" in ran.stdout
    assert "4 ok" in ran.stdout
    records = [json.loads(path.read_text()) for path in (place / "found").glob("*/records/*.json")]
    assert {(r["control"], r["cell"]["training"]["options"]["settings"]["prompt_name"]) for r in records} == {
        (None, "one"), (None, "two"), ("C5", "one"), ("C5", "two"),
    }  # fmt: skip
    for record in records:
        told, recipe = record["provenance"]["checkpoint_settings"], record["cell"]["training"]["recipe"]
        assert recipe["prompt"]["user"].split("{")[0].strip() in told["first_prompt"]
        assert ("pixel_values" in told["first_tensors"]) == (record["control"] is None)
    shown = json.loads(bench("leaderboard", "--results", "found", "--format", "json").stdout)
    assert [row["control"] for row in sorted(shown, key=lambda row: str(row["control"]))] == ["C5", None]
    for row in shown:
        assert set(row["prompts"]["scores"]) == {"one", "two"}
        values = [scores["top-1"]["value"] for scores in row["prompts"]["scores"].values()]
        assert row["metrics"]["top-1"]["value"] == pytest.approx(sum(values) / 2)
        assert row["prompts"]["spread"]["top-1"]["mean"] == pytest.approx(sum(values) / 2)

    wrong = bench("run", *common, "--model", "class-embedding", "--prompts", "mine.toml", "--results", "other")
    assert wrong.returncode == 2
    assert "--prompts mine.toml: none of these models is asked by a prompt (class-embedding)" in wrong.stderr
    gone = bench("run", *common, "--model", "chat:./model", "--prompts", "gone.toml", "--results", "other")
    assert gone.returncode == 2
    assert "No file gone.toml" in gone.stderr
    (place / "model" / "chat_template.jinja").unlink()
    mute = bench("run", *common, "--model", "chat:./model", "--results", "other")
    assert mute.returncode != 0
    assert "has no chat template" in mute.stdout + mute.stderr
