"""From nothing to a row: a data set of a plugin is got by name from a server, run by name, damaged, and mended."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

TOML = """
title = "Red squares"
licence = "CC0"
homepage = "https://example.org"
layout = "COCO captions"
tasks = ["coco-caption"]
[[parts.all.files]]
name = "squares.zip"
urls = ["{url}/squares.zip"]
sha256 = "{sha256}"
"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *told: object) -> None:
        """Say nothing."""


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[str]:
    """A folder for PYTHONPATH with a package that adds a name, whose archive is served on loopback."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for split, count in (("train", 6), ("val", 3), ("test", 4)):
            images = [{"id": number, "file_name": f"{split}{number}.png"} for number in range(count)]
            rows = [{"id": number, "image_id": number, "caption": "a red square"} for number in range(count)]
            content = json.dumps({"images": images, "annotations": rows})
            archive.writestr(f"annotations/captions_{split}.json", content)
            for each in images:
                image = io.BytesIO()
                Image.new("RGB", (16, 16), (200, 0, 0)).save(image, "PNG")
                archive.writestr(f"images/{each['file_name']}", image.getvalue())
    served, package = tmp_path / "served", tmp_path / "site" / "squares_sets"
    served.mkdir()
    package.mkdir(parents=True)
    (served / "squares.zip").write_bytes(buffer.getvalue())
    metadata = tmp_path / "site" / "squares_sets-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: squares-sets\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[bench.data_sets]\nsquares = squares_sets\n")
    (package / "__init__.py").write_text("")
    handler = partial(_Quiet, directory=str(served))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        text = TOML.format(
            url=f"http://127.0.0.1:{server.server_address[1]}", sha256=hashlib.sha256(buffer.getvalue()).hexdigest()
        )
        (package / "squares.toml").write_text(text)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield str(tmp_path / "site")
        server.shutdown()
        thread.join()


def test_from_a_name_to_a_row(bench: Any, plugin: str, quick: tuple[str, ...]) -> None:
    run = partial(bench, PYTHONPATH=f"{bench.environment['PYTHONPATH']}:{plugin}")
    before = run("run", *quick, "--data", "squares")
    assert before.returncode == 2 and "'bench data get squares' fetches it" in before.stderr

    got = run("data", "get", "squares")
    assert got.returncode == 0, got.stderr
    assert "bench run --task coco-caption --data squares --model all" in got.stdout
    folder = Path(run("data", "where", "squares").stdout.strip())
    assert (folder / "images/train0.png").is_file()

    listed = json.loads(run("data", "list", "--format", "json").stdout)
    row = next(each for each in listed if each["name"] == "squares")
    assert (row["here"], row["folder"], row["gated"]) == (["all"], str(folder), False)
    assert next(each for each in listed if each["name"] == "coco-2017")["here"] == []

    done = run("run", *quick, "--data", "squares")
    assert done.returncode == 0, done.stderr
    record = json.loads(next(Path(bench.folder).glob("results/local/*/records/*.json")).read_text())
    assert (record["status"], record["cell"]["training"]["data"]["name"]) == ("ok", "squares")

    assert run("data", "verify", "squares").stdout == "squares: 16 files are as they were got.\n"
    (folder / "images/val1.png").write_bytes(b"no image")
    damaged = run("data", "verify", "squares", "--format", "json")
    assert damaged.returncode == 1
    assert json.loads(damaged.stdout)["changed"] == ["images/val1.png"]
    told = run("data", "verify", "squares")
    assert told.returncode == 1 and "changed: images/val1.png" in told.stdout


def test_names_that_nobody_knows(bench: Any) -> None:
    for command in ("get", "where", "verify"):
        done = bench("data", command, "coco-2071")
        assert done.returncode == 2 and "Did you mean 'coco-2017'?" in done.stderr
    gated = bench("data", "get", "imagenet-1k")
    assert gated.returncode == 2 and "https://www.image-net.org/download.php" in gated.stderr
