"""CONTRIBUTING's steps for a model and a fusion operator, followed on a copy: a file and a line each, nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..tasks.squares import write_squares

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parents[2]
PARTS = REPOSITORY / "tests/third_party/own_parts/src/own_parts"
BACKBONE = "test_resnet"
MODEL = '''"""The class that is most common in training."""

from collections import Counter


class Majority:
    """Answers every image alike."""

    name, summary, answers, fused, settings = "majority", "the most common class", ("labels",), False, ()

    def controls_for(self, answers):
        return ()

    def with_control(self, control):
        raise ValueError(control)

    def recipe(self, options):
        return {"rule": 1}

    def prerequisite(self, options):
        return None

    def build(self, spec, context):
        from torch import nn

        from harness.protocols import ParameterGroups

        common = Counter(target.label for target in spec.training_targets).most_common(1)[0][0]

        class Constant(nn.Module):
            vision, vision_frozen = None, True

            def loss(self, batch, generator):
                raise NotImplementedError

            def fit(self, batches):
                pass

            def predict(self, batch):
                return [[float(index == common) for index in range(len(spec.classes))] for _ in batch.sample_ids]

            def parameter_groups(self):
                return ParameterGroups((), (), ())

        return Constant()


majority = Majority()
'''


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with two files and two lines more, built and unpacked as an installer does."""
    root = tmp_path_factory.mktemp("copy") / "fusemark"
    for name in ("harness", "tasks", "baselines", "runs"):
        shutil.copytree(REPOSITORY / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, root)
    operator = (PARTS / "highway.py").read_text().replace("own_parts.highway:", "baselines.fusion.highway:")
    (root / "baselines/fusion/highway.py").write_text(operator)
    (root / "baselines/models/majority.py").write_text(MODEL)
    project = (root / "pyproject.toml").read_text()
    for group, line in (
        ("bench.fusion", 'highway = "baselines.fusion.highway:highway"'),
        ("bench.models", 'majority = "baselines.models.majority:majority"'),
    ):
        head = f'[project.entry-points."{group}"]\n'
        assert project.count(head) == 1
        project = project.replace(head, f"{head}{line}\n")
    (root / "pyproject.toml").write_text(project)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(root / "dist")]
    subprocess.run(command, cwd=root, check=True, capture_output=True, timeout=120)
    (wheel,) = (root / "dist").glob("*.whl")
    zipfile.ZipFile(wheel).extractall(root / "site")
    return root / "site"


def test_they_are_listed_served_and_run(copy: Path, tmp_path: Path, bench_in: Callable[[Path], Any]) -> None:
    import timm
    import torch
    from safetensors.torch import save_file

    bench = bench_in(tmp_path)
    pairs = bench.fresh("list", "pairs", "--format", "json", PYTHONPATH=str(copy))
    assert pairs.returncode == 0, pairs.stderr
    found = {(pair["model"], pair["task"]): pair["controls"] for pair in json.loads(pairs.stdout)}
    assert found["majority", "image-classification"] == []
    assert found["fuse:highway", "coco-caption"] == ["C1", "C2"]
    assert found["fuse:highway", "coco-detection"] == ["C0", "C1", "C2", "C3", "C4", "C5"]
    listed = bench.fresh("list", "fusion", "--format", "json", PYTHONPATH=str(copy))
    assert "highway" in [entry["name"] for entry in json.loads(listed.stdout)]
    torch.manual_seed(0)
    save_file(timm.create_model(BACKBONE).state_dict(), tmp_path / "backbone.safetensors")
    write_squares(tmp_path / "squares")
    run = bench.fresh(
        "run", "--task", "image-classification", "--model", "majority,fuse:highway,fuse:highway[C0]",
        "--data", "squares",
        "--profile", "smoke", "--device", "cpu", "--no-measure", "--vision", BACKBONE,
        "--vision-weights", "backbone.safetensors", "--vision-args", "size=32", "--set", "train.steps=2",
        "--set", "model.carry=2", "--set", "evaluate.resamples=20", "--results", "out", PYTHONPATH=str(copy),
    )  # fmt: skip
    assert run.returncode == 0, run.stderr + run.stdout
    records = [json.loads(path.read_text()) for path in (tmp_path / "out").glob("*/records/*.json")]
    assert {(record["model"], record["control"], record["status"]) for record in records} == {
        ("majority", None, "ok"), ("fuse:highway", None, "ok"), ("fuse:highway", "C0", "ok"),
    }  # fmt: skip
    fused = [record for record in records if record["model"] == "fuse:highway"]
    assert all(record["cell"]["training"]["recipe"]["carry"] == 2.0 for record in fused)
    verdict = bench.fresh("verdict", "--results", "out", PYTHONPATH=str(copy))
    assert "fuse:highway" in verdict.stdout, "its own C0 is what it is judged against"
