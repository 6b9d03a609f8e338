"""A model is exported, served by a real process, asked rightly and wrongly, and refused where it is not as exported."""

from __future__ import annotations

import base64
import io
import json
import shutil
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

from harness.errors import CheckpointError, UsageError
from harness.plan.variants import WantedVariant, lacking_packages
from harness.serve.export import export_cell
from harness.serve.exported_variant import VARIANT_FILES, change_into_variant

from .conftest import KEY, Exported, Running, start_server

PNG = {"Content-Type": "image/png"}
JSON = {"Content-Type": "application/json"}


def picture(colour: tuple[int, int, int], size: tuple[int, int] = (40, 30), kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, kind)
    return stream.getvalue()


def test_an_export_says_all_that_a_server_needs(exported: Exported) -> None:
    assert "Serve it: bench serve" in exported.said
    content = json.loads((exported.folder / "bundle.json").read_text())
    assert content["needs"] == ["image"] and content["spec"]["answers"] == "captions"
    assert content["preprocessing"]["size"] == 8 and len(content["golden"]) == 4
    assert set(content["files"]) == {
        path.relative_to(exported.folder).as_posix()
        for path in exported.folder.rglob("*")
        if path.is_file() and path.name != "bundle.json"
    }
    assert "word-overlap" in (exported.folder / "card.md").read_text()
    assert not [path for path in exported.folder.rglob("*") if path.suffix in (".pt", ".pkl", ".bin")]


def test_it_answers_images_and_json_as_the_model_does(exported: Exported, running: Running) -> None:
    golden = json.loads((exported.folder / "bundle.json").read_text())["golden"]
    for sample in golden:
        content = (exported.folder / sample["image"]).read_bytes()
        raw = running.ask("POST", "/predict", content, PNG)
        packed = json.dumps({"image": base64.b64encode(content).decode()})
        assert raw.status == 200 and raw.json["prediction"] == sample["prediction"] == raw.json["said"]
        assert running.ask("POST", "/predict", packed, JSON).json == raw.json
    assert "red" in running.ask("POST", "/predict", picture((220, 30, 30)), PNG).json["prediction"]
    contract = running.ask("GET", "/contract").json
    assert contract["needs"] == ["image"] and contract["model"] == "nearest-colour"
    figures = running.ask("GET", "/metrics").body.decode()
    assert 'bench_requests_total{status="200"} 9.0' in figures and "# TYPE bench_request_seconds histogram" in figures
    assert 'bench_model{model="nearest-colour"' in figures and "bench_waiting_requests 0.0" in figures


@pytest.mark.parametrize(
    ("body", "headers", "status", "says"),
    [
        (b"no image at all", PNG, 422, "not an image"),
        (picture((0, 0, 0))[:60], PNG, 422, "image is broken"),
        (b"", PNG, 422, "empty"),
        (picture((0, 0, 0), (400, 300)), PNG, 413, "400 x 300 pixels"),
        (b"x" * 60_000, PNG, 413, "50,000 bytes"),
        (iter([b"x" * 40_000] * 4), PNG, 413, "50,000 bytes"),
        (b"a=b", {"Content-Type": "text/plain"}, 415, "wanted image/"),
        (b"{", JSON, 400, "not JSON"),
        (b"[" * 20_000, JSON, 400, "not JSON"),
        (b"[1]", JSON, 422, "no JSON object"),
        (b'{"picture": 1}', JSON, 422, "Unknown key 'picture'"),
        (b'{"image": "%%%"}', JSON, 422, "base64"),
        (b'{"text": "a dog"}', JSON, 422, "has no image"),
        (b'{"text": 5}', JSON, 422, "texts of at most"),
        (b'{"choices": "ab"}', JSON, 422, "list of at most"),
        (b'{"choices": ["a", null]}', JSON, 422, "A choice is null"),
    ],
    ids=range(16),
)
def test_what_is_no_request_is_told_so_and_the_server_lives(
    running: Running, body: Any, headers: dict[str, str], status: int, says: str
) -> None:
    answer = running.ask("POST", "/predict", body, headers)
    assert (answer.status, says in answer.json["error"]) == (status, True), answer
    assert running.ask("GET", "/health").json["status"] == "ok"


def test_a_misspelt_parameter_is_named(running: Running) -> None:
    answer = running.ask("POST", "/predict?choices=red", picture((220, 30, 30)), PNG)
    assert answer.status == 422 and "'choices' of the address; wanted text, and choice" in answer.json["error"]


def test_the_key_is_wanted_and_never_said(exported: Exported, running: Running) -> None:
    for given in ("Bearer wrong", KEY, "Basic " + KEY, ""):
        assert running.ask("GET", "/contract", headers={"Authorization": given}).status == 401
        assert running.ask("POST", "/predict", picture((1, 2, 3)), {**PNG, "Authorization": given}).status == 401
    assert running.ask("GET", "/health", headers={"Authorization": ""}).status == 200
    assert running.ask("GET", "/openapi.json").status == 404
    with socket.create_connection(("127.0.0.1", running.port), timeout=30) as broken:
        broken.sendall(b"\x00\xff no http \r\n\r\n")
        assert b"400" in broken.recv(100)
    taken = exported.bench("serve", exported.folder, "--port", running.port, BENCH_SERVE_KEY=KEY)
    assert taken.returncode == 2 and taken.stderr.count("\n") == 1 and f"Port {running.port} of" in taken.stderr
    second = start_server(exported.bench, exported.folder, "--batch", "2")
    code, out, error = second.end()
    assert code == 0 and error == "" and KEY not in out


def changed(exported: Exported, folder: Path, name: str, content: bytes | None) -> Any:
    shutil.copytree(exported.folder, folder)
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    refused = exported.bench("serve", folder, "--port", "0")
    assert refused.returncode == 2 and refused.stdout == "" and refused.stderr.count("\n") == 1
    return refused.stderr


def test_an_export_that_was_changed_is_refused(exported: Exported, tmp_path: Path) -> None:
    said = changed(exported, tmp_path / "derived", "derived.json", b'{"captions": []}')
    assert "derived.json was changed after the export" in said
    assert "cannot be read" in changed(exported, tmp_path / "gone", "checkpoint.safetensors", None)
    assert "is not there" in changed(exported, tmp_path / "none", "bundle.json", None)
    manifest = (exported.folder / "bundle.json").read_bytes()
    said = changed(exported, tmp_path / "hand", "bundle.json", manifest.replace(b"word-caption", b"other-caption"))
    assert "changed by hand" in said


def test_golden_outputs_must_come_out(exported: Exported, tmp_path: Path) -> None:
    from harness.storage.digest import with_digest

    content = json.loads((exported.folder / "bundle.json").read_bytes())
    content.pop("digest")
    content["golden"][1]["prediction"] = "something else"
    said = changed(exported, tmp_path / "golden", "bundle.json", with_digest(content))
    assert "golden input 2 of 4 is answered otherwise" in said and "for 'something else'" in said


def test_what_cannot_be_exported_says_why(exported: Exported, tmp_path: Path) -> None:
    results, bench = exported.folder.parent / "results", exported.bench
    for model, out, says in (
        ("nearest-color", tmp_path / "a", "Did you mean 'nearest-colour'"),
        ("nearest-colour", exported.folder, "is there already"),
        ("most-common-caption", tmp_path / "b", "reads its training samples"),
    ):
        refused = bench("export", model, "--results", results, "--out", out)
        assert refused.returncode == 2 and says in refused.stderr, refused.stderr
    assert not (tmp_path / "b").exists()
    assert "no finished cell" in bench("export", "film", "--results", tmp_path / "c", "--out", tmp_path / "d").stderr


def test_a_variant_that_is_compiled_here_is_refused_not_replaced_by_its_parent(cell: Any, tmp_path: Path) -> None:
    """The parent answers alike, so golden answers would not tell."""
    content = cell.told | {"variant": {"name": "prune:0.5+compile"}}
    record: Any = SimpleNamespace(cell=content, model="a-model+prune:0.5+compile")
    place: Any = SimpleNamespace()
    with pytest.raises(
        UsageError, match=r"a-model\+prune:0.5\+compile is compiled for this machine alone.*Export a-model"
    ):
        export_cell(record, str(tmp_path), tmp_path / "out", place, lambda *_: None)
    assert not (tmp_path / "out").exists()


class Halving(torch.nn.Module):
    """A learner with one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(4, 2)


def test_an_exported_variant_is_made_of_its_parent_when_it_is_loaded(tmp_path: Path) -> None:
    """Here in the folder of an export, without the training that its weights are of."""
    learner: Any = Halving()
    untrained: Any = Halving()
    (tmp_path / VARIANT_FILES).mkdir()
    change_into_variant("prune:0.5", learner, tmp_path, lambda *_: None)
    assert int((learner.layer.weight == 0).sum()) == 4
    with pytest.raises(CheckpointError, match=r"no weights that were trained on for \+prune:0.5:recover=3"):
        change_into_variant("prune:0.5:recover=3", untrained, tmp_path, lambda *_: None)
    absent: Any = SimpleNamespace(plugin=SimpleNamespace(packages=("no-such-package",), extra="onnx"), word="onnx")
    assert "pip install 'fusemark[onnx]'" in str(lacking_packages(WantedVariant("", None, (absent,))))
