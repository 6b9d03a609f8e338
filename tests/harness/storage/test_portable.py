"""Records tell no absolute paths, user names or secrets, and settings that are files count by what these hold."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cell import Cell
from harness.storage.portable import by_content, portable_command, scrubbed, without_places

COMMANDS = {
    "bench run --data /home/ada/coco --limit 4": "bench run --data …/coco --limit 4",
    "bench run --data '/home/ada/my data' --limit 4": "bench run --data '…/my data' --limit 4",
    "bench run --data ~/coco": "bench run --data …/coco",
    "bench run --data data/coco": "bench run --data data/coco",
    "bench run --data /here/data/coco": "bench run --data data/coco",
    "bench run --set model.file=/srv/w/a.pt": "bench run --set model.file=…/a.pt",
    "bench run --results s3://ada:secret@host/bucket/results": "bench run --results 's3://***@host/bucket/results'",
    "bench run --results s3://bucket/results": "bench run --results s3://bucket/results",
    "bench run --results file:///home/ada/r": "bench run --results file:…/r",
    "bench run --set model.api_key=abc123 --seeds 2": "bench run --set 'model.api_key=***' --seeds 2",
    "bench run --data 'https://host/x?token=abc&size=3'": "bench run --data 'https://host/x?token=***&size=3'",
    "bench run --model hf:openai/clip-vit-base-patch32": "bench run --model hf:openai/clip-vit-base-patch32",
    "bench run --model open_clip:ViT-B-32/laion2b": "bench run --model open_clip:ViT-B-32/laion2b",
    "bench run --set decode.max_tokens=20": "bench run --set decode.max_tokens=20",
    "bench run --vision-args mean=0.5/0.5/0.5": "bench run --vision-args mean=0.5/0.5/0.5",
}


@pytest.mark.parametrize("given_command", COMMANDS)
def test_commands_are_what_anybody_could_give(given_command: str) -> None:
    found = portable_command(given_command, Path("/here"))
    assert found.replace("'", "") == COMMANDS[given_command].replace("'", "")
    assert without_places(found) == found


def test_texts_keep_what_is_no_place() -> None:
    for text in ("a photo of a {}/{}.", "1/2", "and / or", "train/cat/1.png is broken", "n/a", "", "24 x 24 px"):
        assert scrubbed(text) == text
    assert (
        scrubbed("/home/ada/x/bad.png is not an image (first: sample 3)")
        == "…/bad.png is not an image (first: sample 3)"
    )
    assert scrubbed(r"C:\Users\ada\w.pt is gone") == "…/w.pt is gone"
    assert scrubbed("hf_abcdefghijklmnopqrst1") == "***"


@given(st.lists(st.from_regex(r"[a-z][a-z0-9._]{0,8}", fullmatch=True), min_size=2, max_size=5), st.text(max_size=20))
def test_no_folder_of_an_absolute_path_is_left(parts: list[str], words: str) -> None:
    path = "/" + "/".join(["ada-lovelace", *parts])
    for text in (path, f"see {path}: {words}", f"--data={path}"):
        assert "ada-lovelace" not in scrubbed(text)
        assert scrubbed(scrubbed(text)) == scrubbed(text)


def test_json_is_cleaned_everywhere() -> None:
    content = {"a": ["/home/ada/x", {"/home/ada/key": 1}], "b": 2.5, "c": None}
    assert without_places(content) == {"a": ["…/x", {"…/key": 1}], "b": 2.5, "c": None}
    assert without_places(content) != content


def test_a_file_counts_by_its_content_wherever_it_lies(tmp_path: Path, cell: Cell) -> None:
    fingerprints = {}
    for folder, text in (("one", "cat\ndog\n"), ("two", "cat\ndog\n"), ("three", "dog\ncat\n")):
        path = tmp_path / folder / "classes.txt"
        path.parent.mkdir()
        path.write_text(text)
        data = replace(cell.training.data, options={"class_file": str(path), "templates": "plain"})
        job = replace(cell.training, data=data, options=replace(cell.training.options, vision_weights=str(path)))
        fingerprints[folder] = replace(cell, training=job).fingerprint
    assert fingerprints["one"] == fingerprints["two"] != fingerprints["three"]
    named = by_content({"class_file": str(tmp_path / "one/classes.txt"), "folder": str(tmp_path), "name": "a/b"})
    assert named["class_file"].startswith("classes.txt sha256:") and named["folder"] == tmp_path.name
    assert named["name"] == "a/b" and "tmp" not in json.dumps(named["class_file"])
