"""A chat model in a folder: asked by two prompts of the user's, without an image too, and refused where it must be."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from tests.baselines.chat.tiny_chats import smolvlm
from tests.chat_server import Asked, Said, chat_server, colour_of
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


@pytest.fixture(scope="module")
def colours(place: Path) -> Path:
    """Foils and questions about four images of two colours."""
    folder = place / "colours"
    (folder / "images").mkdir(parents=True)
    names = ["red", "blue", "red", "blue"]
    questions, foils = [], {}
    for number, name in enumerate(names):
        rgb = (220, 20, 20) if name == "red" else (20, 20, 220)
        Image.new("RGB", (24 + number, 24), rgb).save(folder / "images" / f"{number}.png")
        other = "blue" if name == "red" else "red"
        foils[str(number)] = {
            "filename": f"{number}.png", "caption": f"a {name} wall", "negative_caption": f"a {other} wall",
        }  # fmt: skip
        questions.append(
            {"question_id": number, "image": f"{number}.png", "question": "Is the wall red?", "options": ["yes", "no"],
             "answer": "yes" if name == "red" else "no"}
        )  # fmt: skip
    for task, file, content in (("foils", "swap_att.json", foils), ("questions", "test.json", questions)):
        (folder / task).mkdir()
        (folder / task / file).write_text(json.dumps(content))
        (folder / task / "images").symlink_to(folder / "images")
    return folder


def seeing(asked: Asked) -> Said:
    """Choose the option that is true of the image's colour; the last image's question is answered by no option."""
    colour = colour_of(asked.image)
    if asked.image is None or "Which colour" in asked.text:
        return colour
    if "Is the wall" in asked.text:
        unsure = Image.open(io.BytesIO(asked.image)).width == 27
        return "I do not know" if unsure else "yes" if colour == "red" else "no"
    lines = [line for line in asked.text.splitlines() if f" {colour} " in line]
    return lines[0][1] if lines and lines[0].startswith("(") else colour


def test_foils_and_questions_are_answered_by_folder_and_endpoint_under_the_corruption_grid(
    place: Path, colours: Path, bench_in: Callable[[Path], Any]
) -> None:
    bench = bench_in(place)
    with chat_server(seeing) as server:
        server.logprobs = False
        common = ("--model", f"chat:./model,{server.name}", "--profile", "smoke", "--no-measure", "--results", "both")
        grid = ("--perturb", "contrast:1,blank-image", "--perturb-scale", "cifar")
        foils = bench("run", "--task", "compositional-foils", "--data", colours / "foils", *common)
        assert foils.returncode == 0, foils.stdout + foils.stderr
        asked = bench("run", "--task", "visual-question-answering", "--data", colours / "questions", *common, *grid)
        assert asked.returncode == 0 and "Conditions: 6 ok" in asked.stdout, asked.stdout + asked.stderr
    found = {
        (row["task"], row["model"].partition(":")[0]): row["metrics"]
        for task in ("compositional-foils", "visual-question-answering")
        for row in json.loads(bench("leaderboard", "--task", task, "--results", "both", "--format", "json").stdout)
    }
    assert found["compositional-foils", "api"]["matching-accuracy"]["value"] == 1
    told = found["visual-question-answering", "api"]
    assert (told["accuracy"]["value"], told["unparsed"]["value"]) == (3 / 4, 1 / 4)
    assert found["visual-question-answering", "chat"]["unparsed"]["value"] == 0


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
    assert mute.returncode == 2
    assert mute.stderr.count("has no chat template") == 1 and "building" not in mute.stderr
