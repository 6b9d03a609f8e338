"""`bench run --perturb`: the same pixels for all, the same scores after a kill, and words for what does not fit."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tasks.scenes import cache_root
from tasks.scenes.generate import write_splits

from ..tasks.squares import write_squares

pytestmark = pytest.mark.slow
BACKBONE = "mobilenetv3_small_050"
TASK = "image-classification"
MODELS = "probe,class-embedding"
GRID = "gaussian-noise:2-3,fog:5,rotate:2,flip,typo-keyboard:3,wrong-image:1,wrong-text:1,jpeg:4+word-swap:4"
FEW = 24


@dataclass(frozen=True)
class Trained:
    """The command beside two trained models of Scenes, whose records are in `trained`."""

    bench: Any

    def sweep(self, results: str, *more: object, start: bool = False) -> Any:
        """Perturb the trained models, in a copy of their records the first time."""
        if not (self.bench.folder / results).exists():
            shutil.copytree(self.bench.folder / "trained", self.bench.folder / results)
        return (self.bench.start if start else self.bench)(*ARGUMENTS, "--results", results, *more)

    def scores(self, results: str) -> dict[tuple[str, str, int], dict[str, Any]]:
        """Every score by model, perturbation and severity."""
        found = {}
        for path in (self.bench.folder / results / TASK / "robustness").glob("*.json"):
            record = json.loads(path.read_text())
            for score in record["scores"]:
                found[record["model"], score["perturbation"], score["severity"]] = score
        return found


ARGUMENTS = (
    "run", "--task", TASK, "--model", MODELS, "--profile", "smoke", "--device", "cpu", "--data", "scenes",
    "--vision", BACKBONE, "--vision-weights", "backbone.safetensors", "--vision-args", "size=32",
    "--set", "measure.runs=2", "--set", "measure.warmups=1", "--set", "evaluate.resamples=40",
)  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, bench_in: Callable[[Path], Any]) -> Trained:
    import timm
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("sweep")
    write_squares(folder / "squares")
    write_splits(cache_root(folder / "cache"), ["train", "val", "test", "style"], processes=1, limit=FEW)
    torch.manual_seed(0)
    save_file(timm.create_model(BACKBONE).state_dict(), folder / "backbone.safetensors")
    bench = bench_in(folder)
    done = bench(*ARGUMENTS, "--results", "trained")
    assert done.returncode == 0, done.stderr
    return Trained(bench)


@pytest.fixture(scope="module")
def whole(trained: Trained) -> dict[tuple[str, str, int], dict[str, Any]]:
    done = trained.sweep("whole", "--perturb", GRID)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "Conditions: 17 ok, 0 failed, 3 skipped (0 found done)" in done.stdout
    return trained.scores("whole")


def test_all_models_see_the_same_pixels_and_what_they_cannot_read_is_skipped(
    whole: dict[tuple[str, str, int], dict[str, Any]],
) -> None:
    for (model, name, severity), score in whole.items():
        if model == "probe" and score["modality"].endswith("text"):
            assert (score["status"], score["error"]) == ("skipped", "the model reads no text")
            assert not score["metrics"]
            continue
        assert score["status"] == "ok" and score["metrics"]["top-1"]["count"] > 0
        if model == "probe":
            assert score["notes"]["pixels_sha256"] == whole["class-embedding", name, severity]["notes"]["pixels_sha256"]
    pixels = {name: score["notes"]["pixels_sha256"] for (m, name, _), score in whole.items() if m == "class-embedding"}
    assert pixels["clean"] == pixels["typo-keyboard"] == pixels["wrong-text"]
    different = [pixels[name] for name in ("clean", "gaussian-noise", "fog", "rotate", "flip", "jpeg+word-swap")]
    assert len(set(different)) == len(different)


def test_clean_is_what_the_leaderboard_says(trained: Trained, whole: Any) -> None:
    for path in (trained.bench.folder / "whole" / TASK / "records").glob("*.json"):
        record = json.loads(path.read_text())
        clean = whole[record["model"], "clean", 0]["metrics"]["top-1"]
        assert (clean["value"], clean["count"]) == (
            record["metrics"]["top-1"]["value"], record["metrics"]["top-1"]["count"],
        )  # fmt: skip


def test_neither_batch_nor_workers_nor_the_order_of_the_grid_move_a_score(trained: Trained, whole: Any) -> None:
    backwards = ",".join(reversed(GRID.split(",")))
    done = trained.sweep("other", "--perturb", backwards, "--jobs", "1", "--set", "evaluate.batch_size=5")
    assert done.returncode == 0, done.stderr
    assert "found done" in done.stdout
    other = trained.scores("other")
    assert other.keys() == whole.keys()
    for key, score in whole.items():
        assert other[key]["notes"].get("pixels_sha256") == score["notes"].get("pixels_sha256"), key
        assert other[key]["metrics"] == pytest.approx(score["metrics"], abs=1e-6) if not score["metrics"] else True
        for name, estimate in score["metrics"].items():
            assert (other[key]["metrics"][name] is None) == (estimate is None)
            if estimate is not None:
                assert other[key]["metrics"][name]["value"] == pytest.approx(estimate["value"], abs=1e-5), (key, name)


def test_a_killed_sweep_goes_on_to_the_same_scores(trained: Trained, whole: Any, processes: Any) -> None:
    run = trained.sweep("killed", "--perturb", GRID, "--jobs", "1", start=True)
    try:
        assert run.stderr.readline()
        time.sleep(0.5)
        os.kill(run.pid, signal.SIGKILL)
        run.communicate(timeout=30)
        processes.wait_until(lambda: not processes.in_group(run.pid), 20)
    finally:
        processes.kill_group(run.pid)
    assert len(trained.scores("killed")) < len(whole)
    done = trained.sweep("killed", "--perturb", GRID)
    assert done.returncode == 0, done.stderr
    assert trained.scores("killed") == whole
    again = trained.sweep("killed", "--perturb", GRID)
    assert "(20 found done)" in again.stdout, again.stdout


def test_shifts_are_another_split_or_another_data_set(trained: Trained, whole: Any) -> None:
    done = trained.sweep("shifted", "--perturb", "shift-style")
    assert done.returncode == 0, done.stderr
    score = trained.scores("shifted")["probe", "shift-style", 0]
    assert (score["status"], score["family"]) == ("ok", "shift") and score["metrics"]["top-1"]["count"] > 0
    wrong = trained.sweep("shifted", "--shift", "squares")
    assert wrong.returncode != 0
    assert "its 3 classes are not among those of" in wrong.stderr or "classes are not among" in wrong.stderr


def test_a_folder_is_shifted_to_one_whose_classes_are_fewer_and_named_alike(trained: Trained) -> None:
    bench = trained.bench
    fewer = bench.folder / "fewer"
    shutil.copytree(bench.folder / "squares", fewer)
    names = sorted(path.name for path in (fewer / "train").iterdir())
    for split in fewer.iterdir():
        shutil.rmtree(split / names[-1])
    folder = [*ARGUMENTS]
    folder[folder.index("scenes")] = "squares"
    folder[folder.index(MODELS)] = "probe"
    done = bench(*folder, "--results", "folders", "--shift", "fewer", "--perturb", "fog:1")
    assert done.returncode == 0, done.stderr + done.stdout
    found = trained.scores("folders")["probe", "shift-fewer", 0]
    assert found["status"] == "ok" and found["metrics"]["top-1"]["count"] > 0


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ("gausian-noise", "Unknown perturbation 'gausian-noise'. Did you mean 'gaussian-noise'"),
        ("fog:9", "wanted severities of 1 to 5, seen 9"),
        ("shift-nothing", "this data has no such shift"),
    ],
)
def test_wrong_names_are_refused_before_anything_is_trained(trained: Trained, wish: str, message: str) -> None:
    done = trained.bench(*ARGUMENTS, "--results", "never", "--perturb", wish)
    assert done.returncode == 2 and message in done.stderr
    assert not (trained.bench.folder / "never").exists()


def test_tiny_grey_and_alpha_images_are_perturbed(trained: Trained) -> None:
    bench, folder = trained.bench, trained.bench.folder / "tiny"
    rng = np.random.default_rng(0)
    for split, count in (("train", 24), ("val", 8), ("test", 8)):
        for label in ("one", "two"):
            (folder / split / label).mkdir(parents=True)
            for number in range(count):
                mode, channels = (("L", 1), ("RGBA", 4), ("RGB", 3))[number % 3]
                values = rng.integers(0, 256, (8, 8 + number % 3, channels), dtype=np.uint8)
                image = Image.fromarray(values.squeeze(-1) if channels == 1 else values, mode)
                image.save(folder / split / label / f"{number}.png")
    arguments = [*ARGUMENTS]
    arguments[arguments.index("scenes")] = "tiny"
    corruptions = (
        "noise-image,blank-image,glass-blur:5,zoom-blur:5,frost:5,snow:5,elastic-transform:5,pixelate:5,rotate:5"
    )
    done = bench(*arguments, "--results", "tiny-results", "--perturb", corruptions)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "20 ok, 0 failed, 0 skipped" in done.stdout


def test_robustness_and_report_are_printed_from_what_was_stored(trained: Trained, whole: Any) -> None:
    bench = trained.bench
    shown = bench("robustness", "--task", TASK, "--results", "whole", "--format", "json")
    rows = json.loads(shown.stdout)
    assert {row["model"] for row in (rows if isinstance(rows, list) else rows["rows"])} == {"probe", "class-embedding"}
    heat = bench("robustness", "--task", TASK, "--results", "whole", "--cells", "--format", "md")
    assert "gaussian-noise" in heat.stdout and "fog" in heat.stdout
    page = bench("report", "--results", "whole", "--out", "page.html")
    assert page.returncode == 0, page.stderr
    content = (bench.folder / "page.html").read_text()
    assert "data:image/jpeg;base64," in content and "class-embedding" in content and "http-equiv" in content


def test_memory_does_not_grow_with_the_number_of_conditions(trained: Trained) -> None:
    few = "fog:1,typo-keyboard:1,frost:1,word-synonym:1"
    many = "fog,snow,contrast,pixelate,frost,typo-keyboard,char-insert,char-swap,word-synonym,word-insert,word-swap"
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("memory_of_conditions.py")), BACKBONE, few, many],
        cwd=trained.bench.folder, env=os.environ | trained.bench.environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    peaks = dict(json.loads(done.stdout))
    assert list(peaks) == [5, 56]
    assert peaks[56] < 1.08 * peaks[5], peaks
