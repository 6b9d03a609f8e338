"""The committed results are packed, and every command prints of them what it prints of the unpacked files."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from harness.cli.main import app
from harness.records.packed import is_pack
from harness.records.packing import pack, unpack

REPOSITORY = Path(__file__).parents[3]
RESULTS = REPOSITORY / "results"
COMMANDS = [
    "leaderboard --task all --results context",
    "leaderboard --task all --results flickr --format json",
    "leaderboard --task all --results coco-mini --format md",
    "robustness --task all --results photos",
    "robustness --task all --results photos --cells --format csv",
    "verdict --task coco-caption --results seeds",
    "verdict --task image-classification --results photos",
    "compare cross-attention cnn-transformer --task coco-caption --results seeds",
    "compare retrieval cross-attention --task coco-caption --results photos",
    "mend --results photos",
]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copies of some folders, each record and table in a file of its own again."""
    root = tmp_path_factory.mktemp("results")
    for name in ("context", "flickr", "coco-mini", "photos"):
        shutil.copytree(RESULTS / name, root / name)
    shutil.copytree(RESULTS / "seeds" / "coco-caption", root / "seeds" / "coco-caption")
    for folder in root.iterdir():
        unpack(str(folder))
    assert len(list(root.glob("*/*/records/*.json"))) == 49 and not list(root.glob("*/*.jsonl"))
    return root


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_prints_the_same_of_a_packed_folder(
    command: str, unpacked: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = []
    for root in (unpacked, RESULTS):
        monkeypatch.chdir(root)
        app(command.split(), standalone_mode=False)
        printed.append(capsys.readouterr())
    assert printed[0] == printed[1] and len(printed[0].out) > 60


def test_packing_again_gives_the_committed_bytes(unpacked: Path, tmp_path: Path) -> None:
    shutil.copytree(unpacked / "photos", tmp_path / "photos")
    pack(str(tmp_path / "photos"))
    files = [path for path in (RESULTS / "photos").rglob("*") if path.is_file() and path.name != ".lock"]
    assert len(files) == 6
    for path in files:
        assert (tmp_path / path.relative_to(RESULTS)).read_bytes() == path.read_bytes(), path


def test_nothing_else_is_committed() -> None:
    """Tables and pages are made by commands, trainings belong to the machine that trained."""
    listed = subprocess.run(
        ["git", "ls-files", "results"], cwd=REPOSITORY, text=True, capture_output=True, check=True
    ).stdout.splitlines()
    names = [name.removeprefix("results/") for name in listed]
    packed = {name for name in names if is_pack(name.partition("/")[2])}
    assert sorted(set(names) - packed) == [
        "README.md", "baseline-smoke/baseline.json", "baseline-smoke/scores.parquet", "drift.md", "findings.md",
        "reference-coco-detection.json", "reference-coco-segmentation.json", "reference-image-classification.json",
        "reference-zero-shot-classification.json", "serving.md", "variants.md", "whole-commands.md",
    ]  # fmt: skip
    assert len(packed) < 100


def test_the_wheel_holds_no_results() -> None:
    from hatchling.builders.wheel import WheelBuilder

    builder = WheelBuilder(str(REPOSITORY))
    names = [file.distribution_path for file in builder.recurse_included_files()]
    assert "harness/records/packed.py" in names
    assert {name.partition("/")[0] for name in names} == {"harness", "tasks", "baselines"}
    assert not [name for name in names if name.endswith((".jsonl", ".xz", ".html", ".parquet"))]
