"""The data set is its bytes: any change of them must be meant, and must raise SCENES_VERSION."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks.scenes import layout, recipe_digest
from tasks.scenes.generate import canonical_json, draw_chunk, write_splits
from tasks.scenes.splits import SPLITS
from tests.machine_pace import cpu_seconds
from tests.tasks.scenes.conftest import SMALL

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
GOLDEN = {
    "train": "36b2c21e87907901",
    "tiny": "23b91ed0470aceb6",
    "val": "6ce99959f7998d34",
    "test": "b48847423e28b712",
    "novel": "4ead3cda2de48c00",
    "novel-hard": "0be04dd4a9063e98",
    "rare": "dba099695912864f",
    "style": "96514d9b4a3a925c",
    "ground-swap": "0a62fc0150e22e0e",
    "light": "9467c93402ba041c",
    "scale": "c1e36d82d3eaeb96",
    "count": "180763496b6a277f",
    "lexical": "a738076ba90fa8aa",
    "prior-conflict": "f1553c45373dee29",
    "twins": "a03af4547c352ef5",
    "refer": "286bc33b76bd6150",
    "foils": "f8ee2900302bd8f3",
    "groups": "8b27f6e895342e0f",
    "groups-train": "c8c3af4776fa0e3a",
}


def content_hash(root: Path, split: str) -> str:
    """A hash of decoded pixels, decoded maps and JSON: independent of how a PNG is compressed."""
    digest = hashlib.sha256()
    folders = [layout.image_dir(root, split), *(layout.map_dir(root, kind, split) for kind in layout.MAP_KINDS)]
    for folder in folders:
        for path in sorted(folder.iterdir()):
            digest.update(np.asarray(Image.open(path)).tobytes())
    for kind in layout.FILE_KINDS:
        digest.update(layout.annotation_file(root, kind, split).read_bytes())
    return digest.hexdigest()[:16]


def test_golden_hashes(small_root: Path) -> None:
    found = {split: content_hash(small_root, split) for split in SPLITS}
    assert found == GOLDEN


def test_tiny_is_the_beginning_of_train(small_root: Path) -> None:
    for path in sorted(layout.image_dir(small_root, "tiny").iterdir()):
        assert path.read_bytes() == (layout.image_dir(small_root, "train") / path.name).read_bytes()


def test_one_and_two_processes_write_the_same(tmp_path: Path) -> None:
    for processes in (1, 2):
        write_splits(tmp_path / str(processes), ["val"], processes=processes, limit=130)
    assert content_hash(tmp_path / "1", "val") == content_hash(tmp_path / "2", "val")


def test_a_killed_run_leaves_nothing_that_is_trusted(tmp_path: Path, small_root: Path) -> None:
    code = "import sys; from pathlib import Path; from tasks.scenes.generate import write_splits"
    code += "; write_splits(Path(sys.argv[1]), ['val'], processes=1)"
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], env=ENVIRONMENT) as process:
        folder = layout.image_dir(tmp_path, "val")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (folder.is_dir() and len(list(folder.iterdir())) > 20):
            time.sleep(0.02)
        process.kill()
    assert not layout.is_complete(tmp_path, "val")
    assert all(path.name.endswith(".png") for path in folder.iterdir())
    for path in folder.iterdir():  # what is in place is whole
        Image.open(path).load()
    write_splits(tmp_path, ["val"], processes=1, limit=SMALL)
    assert layout.is_complete(tmp_path, "val")
    for kind in layout.FILE_KINDS:
        fresh = layout.annotation_file(small_root, kind, "val").read_bytes()
        assert layout.annotation_file(tmp_path, kind, "val").read_bytes() == fresh


def test_a_complete_split_is_not_written_again(tmp_path: Path) -> None:
    write_splits(tmp_path, ["val"], processes=1, limit=3)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")}
    write_splits(tmp_path, ["val"], processes=1)
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")}


def test_no_floats_in_the_json(small_root: Path) -> None:
    def refuse(text: str) -> float:
        raise AssertionError(f"a float in the JSON: {text}")

    for split in SPLITS:
        for kind in layout.FILE_KINDS:
            content = layout.annotation_file(small_root, kind, split).read_bytes()
            document = json.loads(content, parse_float=refuse)
            assert canonical_json(document) == content


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, time; import tasks.scenes as s; s.recipe_digest(); "
        "assert not {'numpy', 'PIL', 'pycocotools', 'torch'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=ENVIRONMENT)


def test_the_recipe_digest_is_quick() -> None:
    started = time.process_time()
    for _ in range(10):
        recipe_digest()
    assert cpu_seconds(started) / 10 < 0.02


def test_speed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """4,000 images take under 30 s on two cores; process time, so that busy neighbours do not count."""
    write_splits(tmp_path, ["train"], processes=1, limit=20)
    started = time.process_time()
    draw_chunk((str(tmp_path), "train", 100, 200))
    seconds = cpu_seconds(started) / 100
    with capsys.disabled():
        print(
            f"\nscenes: {seconds * 1000:.1f} ms of CPU an image, {seconds * 2000:.1f} s for 4,000 images on two cores"
        )
    assert seconds * 4000 / 2 < 30
