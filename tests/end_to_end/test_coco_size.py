"""The benchmark of COCO's size in a tiny form: it runs, and what it makes is what readers take."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.storage.content import Contents
from tasks.formats.caption_index import open_captions
from tasks.formats.coco_layout import find_caption_files, find_instance_files, find_panoptic_files
from tasks.formats.coco_panoptic import read_panoptic, segment_map
from tasks.formats.instance_index import open_instances
from tests.benchmarks import coco_size_data
from tests.benchmarks.coco_size_data import make_coco

ROOT = Path(__file__).parents[2]


def test_the_data_is_what_readers_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coco_size_data, "DIFFERENT", 15)
    make_coco(tmp_path, 40, 10)
    contents = Contents(tmp_path / "cache")
    instances = open_instances(*_place(find_instance_files(tmp_path)["train"]), contents)
    assert sum(map(len, instances.objects)) == round(40 * 7.29)
    captions = open_captions(find_caption_files(tmp_path)["val"], contents)
    assert [len(image.references) for image in captions.images] == [5] * 10
    panoptic = read_panoptic(find_panoptic_files(tmp_path)["val"])
    assert {len(set(segment_map(entry).flat)) for entry in panoptic.entries} == {11}
    originals = {path.stat().st_ino for path in (tmp_path / "originals").iterdir()}
    assert len(originals) == 2 * 15
    assert {path.stat().st_ino for path in (tmp_path / "train2017").iterdir()} < originals, "links take no disk"


def _place(file: object) -> tuple[Path, Path]:
    return file.annotations, file.images  # type: ignore[attr-defined]


@pytest.mark.slow
def test_a_tiny_run_of_the_benchmark_names_its_parts(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.benchmarks.bench_coco_size", str(tmp_path), "--kinds", "captions"]
    run = subprocess.run(
        [*command, "--images", "48", "--evaluated", "12"],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)["captions"]
    assert found["answers"] == 12 and 0 < found["training images"] <= 48
    parts = {name: part for name, part in found.items() if isinstance(part, dict)}
    assert list(parts) == [
        "open and plan",
        "open and plan again",
        "read the training split",
        "train one step",
        "answer",
    ]
    assert all(part["peak_mib"] > 50 for part in parts.values())
    assert parts["open and plan"]["disk_mib"] > 0 and parts["open and plan again"]["disk_mib"] == 0
    assert "training" in parts["train one step"]["phases"] or parts["train one step"]["seconds"] > 0
