"""`bench score` for both classification tasks: the same numbers as scikit-learn, on folders and on Scenes."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, log_loss

from harness.protocols import DataContext
from tasks.classification.task import image_classification
from tasks.classification.zero_shot import zero_shot_classification
from tasks.scenes import cache_root
from tasks.scenes.generate import write_splits

from ..tasks.squares import NAMES, write_squares


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, bench_in: Callable[[Path], Any]) -> Any:
    """The command in a folder with an image folder, and with a few images of Scenes in its cache."""
    folder = tmp_path_factory.mktemp("scoring")
    write_squares(folder / "squares")
    splits = ["train", "val", "test", "novel", "refer"]
    write_splits(cache_root(folder / "cache"), splits, processes=1, limit=24)
    return bench_in(folder)


def samples_of(bench: Any, task: Any, wish: str, split: str | None = None, **settings: Any) -> tuple[Any, Any]:
    context = DataContext(wish, split, None, bench.folder, bench.folder / "cache", lambda *_: None, settings)
    data = task.open_data(context)
    samples = task.samples(data, split or data.default_split)
    return samples, task.spec(data, samples).classes


def write_probabilities(path: Path, samples: Sequence[Any], names: Sequence[str], seed: int = 0) -> np.ndarray:
    """Write probabilities that favour the right class a little, in another order than the samples'."""
    draw = np.random.default_rng(seed)
    labels = np.array([sample.target.label for sample in samples])
    scores = draw.gumbel(size=(len(samples), len(names))) + 1.5 * np.eye(len(names))[labels]
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sample_id", *names])
        for sample, row in sorted(
            zip(samples, probabilities.tolist(), strict=True), key=lambda pair: pair[0].sample_id
        ):
            writer.writerow([sample.sample_id, *row])
    return probabilities


def scored(bench: Any, *arguments: object) -> dict[str, Any]:
    run = bench("score", *arguments, "--format", "json", "--resamples", "50")
    assert run.returncode == 0, run.stderr
    parsed: dict[str, Any] = json.loads(run.stdout)
    assert set(parsed) == {"metrics", "signature", "notes"}
    assert parsed["signature"].startswith("labels:v")
    found: dict[str, Any] = parsed["metrics"]
    return found


def test_an_image_folder_equals_scikit_learn(bench: Any) -> None:
    samples, classes = samples_of(bench, image_classification, str(bench.folder / "squares"))
    path = bench.folder / "p.csv"
    probabilities = write_probabilities(path, samples, classes.names)
    labels, predicted = np.array([s.target.label for s in samples]), probabilities.argmax(axis=1)
    arguments = ("--task", "image-classification", "--predictions", path, "--data", "squares")
    found = scored(bench, *arguments)
    assert 0.2 < found["top-1"]["value"] < 0.9
    assert {name: found[name]["value"] for name in ("top-1", "balanced-accuracy", "macro-F1", "NLL")} == pytest.approx(
        {
            "top-1": accuracy_score(labels, predicted),
            "balanced-accuracy": balanced_accuracy_score(labels, predicted),
            "macro-F1": f1_score(labels, predicted, average="macro"),
            "NLL": log_loss(labels, probabilities),
        }
    )
    assert found["top-1"]["count"] == len(samples) == 24
    assert set(found) == {*image_classification.metrics, *(f"top-1:{n}" for n in NAMES)} - {
        "mAP",
        "micro-F1",
        "unparsed",
    }
    text = bench("score", *arguments, "--resamples", "50")
    assert text.returncode == 0
    (line,) = [line for line in text.stdout.splitlines() if line.startswith("top-1 ")]
    assert line.split() == [
        "top-1", "↑", f"{found['top-1']['value']:.4f}",
        f"[{found['top-1']['low']:.4f},", f"{found['top-1']['high']:.4f}]",
        "24", "samples",
    ]  # fmt: skip
    assert "Wilson's for proportions; labels:v" in text.stdout


def test_predictions_made_elsewhere_are_scored_by_groups_too(bench: Any) -> None:
    samples, classes = samples_of(bench, image_classification, str(bench.folder / "squares"))
    probabilities = write_probabilities(bench.folder / "g.csv", samples, classes.names)
    right = probabilities.argmax(axis=1) == [s.target.label for s in samples]
    lights = ["day" if place % 3 else "night" for place in range(len(samples))]
    rows = [f"{sample.sample_id},{light}" for sample, light in zip(samples, lights, strict=True)]
    (bench.folder / "people.csv").write_text("\n".join(["sample_id,light", *rows]), encoding="utf-8")
    command = ("score", "--task", "image-classification", "--predictions", "g.csv", "--data", "squares")
    run = bench(*command, "--groups", "people.csv", "--format", "json")
    assert run.returncode == 0, run.stderr
    (line,) = json.loads(run.stdout)["groups"]
    assert (line["name"], line["column"], line["metric"], line["samples"]) == ("g", "light", "top-1", len(samples))
    means = {one: float(right[np.array(lights) == one].mean()) for one in ("day", "night")}
    assert {name: group["value"] for name, group in line["gap"]["groups"].items()} == pytest.approx(means)
    assert line["gap"]["gap"]["value"] == pytest.approx(abs(means["day"] - means["night"]))
    text = bench(*command, "--groups", "people.csv:light")
    assert text.returncode == 0 and "groups by light: top-1" in text.stdout and "of random groups" in text.stdout
    for wish, told in (("none.csv", "there is no file"), ("people.csv:place", "has no column 'place'")):
        refused = bench(*command, "--groups", wish)
        assert refused.returncode == 2 and told in refused.stderr
    refused = bench(*command, "--groups", "people.csv", "--resamples", "0")
    assert refused.returncode == 2 and "Leave --resamples 0 out" in refused.stderr


def test_labels_alone_and_parquet_are_scored_too(bench: Any) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    samples, _ = samples_of(bench, image_classification, str(bench.folder / "squares"), "val")
    right = [NAMES[sample.target.label] for sample in samples]
    answers = ["red", *right[1:]] if right[0] != "red" else ["blue", *right[1:]]
    table = pa.table({"sample_id": [sample.sample_id for sample in samples], "label": answers})
    parquet.write_table(table, bench.folder / "p.parquet")
    found = scored(
        bench, "--task", "image-classification", "--predictions", "p.parquet", "--data", "squares", "--split", "val"
    )
    assert found["top-1"]["value"] == pytest.approx(17 / 18)
    assert all(found[name] is None for name in ("top-5", "NLL", "Brier", "ECE", "ECE-null"))
    told = bench("score", "--task", "image-classification", "--predictions", "p.parquet", "--data", "squares",
                 "--split", "val", "--resamples", "20")  # fmt: skip
    assert "Note: the column 'label' of p.parquet is read as class names" in told.stdout
    assert "Note: 18 of 18 answers are labels without probabilities: what needs these is absent" in told.stdout


def test_zero_shot_on_a_folder(bench: Any) -> None:
    samples, classes = samples_of(bench, zero_shot_classification, str(bench.folder / "squares"), unseen="red+blue")
    path = bench.folder / "z.csv"
    probabilities = write_probabilities(path, samples, classes.names, seed=1)
    labels = np.array([sample.target.label for sample in samples])
    seen = np.array(classes.seen)
    found = scored(
        bench, "--task", "zero-shot-classification", "--predictions", path, "--data", "squares", "--set",
        "task.unseen=red+blue",
    )  # fmt: skip
    rows = ~seen[labels]
    among_unseen = np.where(seen, -1.0, probabilities).argmax(axis=1)
    predicted = probabilities.argmax(axis=1)
    assert found["unseen-top-1"]["value"] == pytest.approx(accuracy_score(labels[rows], among_unseen[rows]))
    assert found["unseen-top-1"]["count"] == rows.sum() == 8
    recalls = [(predicted[labels == index] == index).mean() for index in range(6)]
    s, u = np.mean(np.array(recalls)[seen]), np.mean(np.array(recalls)[~seen])
    assert (found["S"]["value"], found["U"]["value"]) == pytest.approx((s, u))
    assert found["H"]["value"] == pytest.approx(2 * s * u / (s + u))


@pytest.mark.parametrize(
    ("task", "settings", "split", "asked"),
    [
        (image_classification, {}, None, 1), (image_classification, {}, "val", 1),
        (image_classification, {"track": "context"}, None, 4), (image_classification, {"track": "reference"}, None, 1),
        (zero_shot_classification, {}, None, 1), (zero_shot_classification, {"lexicon": "opaque"}, "novel", 1),
    ],
)  # fmt: skip
def test_scenes(task: Any, settings: dict[str, str], split: str | None, asked: int, bench: Any) -> None:
    samples, classes = samples_of(bench, task, "scenes", split, **settings)
    path = bench.folder / "s.csv"
    probabilities = write_probabilities(path, samples, classes.names, seed=2)
    labels, predicted = np.array([s.target.label for s in samples]), probabilities.argmax(axis=1)
    arguments = ["--task", task.name, "--predictions", path, "--data", "scenes"]
    arguments += [] if split is None else ["--split", split]
    for name, value in settings.items():
        arguments += ["--scenes-track", value] if name == "track" else ["--set", f"task.{name}={value}"]
    found = scored(bench, *arguments)
    assert found["top-1"]["value"] == pytest.approx(accuracy_score(labels, predicted))
    assert found["top-1"]["count"] == len(samples)
    assert len({sample.target.image_id for sample in samples}) * asked == len(samples)
    if task is image_classification:
        assert found["balanced-accuracy"]["value"] == pytest.approx(
            np.mean([(predicted[labels == index] == index).mean() for index in np.unique(labels)])
        )
        slices = {name for sample in samples for name in sample.target.slices}
        common = {n for n in slices if sum(n in s.target.slices for s in samples) > 1}
        assert {name for name in found if "[" in name} == {f"top-1[{name}]" for name in common}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("sample_id,label\n", "24 of 24 samples have no answer"),
        ("sample_id,label\nx,red\n", "1 are for samples that the split does not have (first: x; the split has "),
        (
            "sample_id,label\nx,rde\n",
            "row 1 (sample x) has the label 'rde'; wanted a class name or an index of 0..5 in 'label'. Did",
        ),
        ("sample_id,lable\nx,red\n", "has the columns sample_id, lable; wanted `sample_id, label`"),
        ("id,label\nx,red\n", "has no column 'sample_id'"),
        ("sample_id,blue,dark_grey,green,red,white,yellow\nx,1,1,0,0,0,0\n", "row 1 (sample x) sums to 2.0000"),
        ("sample_id,label\nx,red\nx,red\n", "predicts again for 1 samples (first: x)"),
    ],
)
def test_predictions_that_do_not_fit_are_named(rows: str, message: str, bench: Any) -> None:
    (bench.folder / "bad.csv").write_text(rows)
    run = bench("score", "--task", "image-classification", "--predictions", "bad.csv", "--data", "squares")
    assert (run.returncode, run.stdout) == (2, "")
    assert message in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "squares", "--scenes-track", "context"], "The setting 'track' (context) is for Scenes"),
        (["--data", "squares", "--iou", "segm"], "image-classification takes no setting 'iou'"),
        (["--data", "squares", "--set", "train.steps=3"], "bench score takes settings of the task only"),
        (["--data", "scenes", "--scenes-track", "contxt"], "--scenes-track contxt: unknown. Did you mean 'context'"),
        (["--data", "scenes", "--split", "tset"], "Scenes has no split 'tset'. Did you mean 'test'"),
        (["--data", "scenes", "--classes", "c.txt"], "is for folders: the classes of Scenes are fixed"),
        (["--references", "p.csv"], "takes its labels from --data, not from --references"),
        (["--data", "squares", "--format", "md"], "--format: unknown value 'md'"),
        (["--data", "nowhere"], "No folder nowhere"),
    ],
)
def test_wrong_words_are_one_message(arguments: list[str], message: str, bench: Any) -> None:
    run = bench("score", "--task", "image-classification", "--predictions", "p.csv", *arguments)
    assert run.returncode == 2
    assert message in run.stderr
    assert "Traceback" not in run.stderr
