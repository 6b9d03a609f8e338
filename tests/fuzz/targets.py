"""What is fuzzed: a small good input of each kind, and who reads it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from harness.inputs.images import open_images
from harness.judge.check.baseline import read_baseline, write_baseline
from harness.judge.check.measured import read_measured
from harness.judge.leaderboard import build_rows
from harness.judge.robustness.external_file import read_scores_file
from harness.judge.robustness.summary import summaries
from harness.plan.config import build_config, parse_setting
from harness.protocols import DataContext
from harness.record import Efficiency, Estimate, PerturbedScore, RobustnessRecord, RunRecord
from harness.records.packing import pack
from harness.records.sample_scores import read_answers, read_scores, table_digests
from harness.records.store import Store
from harness.records.table_names import outcomes_name, scores_name
from harness.report.leaderboard_tables import render_leaderboard
from harness.report.robustness_tables import render_summary
from harness.sample import Outcome, Preprocessing, Sample
from harness.stats.sample_scores import SampleScores
from tasks.captioning.task import coco_caption
from tasks.classification.task import image_classification
from tasks.classification.zero_shot import zero_shot_classification
from tasks.detection.task import coco_detection
from tasks.formats.class_names import read_class_file
from tasks.segmentation.task import coco_segmentation

SHAPE = Preprocessing(size=8, fit="squash")


@dataclass(frozen=True)
class Target:
    """A folder of files, which of them are mutated, and what reads it.

    `unchanged` says that a digest covers the files: what is read after a mutation is what was read before. `reseal`
    puts a valid digest on mutated JSON, as a foreign tool would.
    """

    name: str
    make: Callable[[Path], None]
    mutated: str
    read: Callable[[Path], Any]
    unchanged: bool = False
    reseal: bool = False


def image(path: Path, colour: int = 0, size: tuple[int, int] = (12, 8), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, (colour * 40, 9, 200) if mode == "RGB" else colour).save(path)


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def make_coco(folder: Path) -> None:
    """Four images with captions, boxes and panoptic segments, and results for each."""
    images: list[Any] = [{"id": n, "file_name": f"{n:012}.png", "width": 12, "height": 8} for n in range(1, 5)]
    boxes = [{"id": n, "image_id": n, "category_id": 1, "bbox": [1, 1, 4, 4], "area": 16, "iscrowd": 0,
              "segmentation": [[1, 1, 5, 1, 5, 5, 1, 5]]} for n in range(1, 5)]  # fmt: skip
    captions = [{"id": n, "image_id": n, "caption": f"a red wall number {n}"} for n in range(1, 5)]
    for split in ("train", "val"):
        for n, entry in enumerate(images, 1):
            image(folder / "d" / f"{split}2017" / entry["file_name"], n if split == "val" else n + 1)
        for kind, rows in (("captions", captions), ("instances", boxes)):
            content = {"images": images, "annotations": rows, "categories": [{"id": 1, "name": "wall"}]}
            write_json(folder / "d" / "annotations" / f"{kind}_{split}2017.json", content)
    write_json(folder / "captions.json", [{"image_id": n, "caption": f"a wall {n}"} for n in range(1, 5)])
    found = [{"image_id": n, "category_id": 1, "bbox": [1, 1, 4, 4], "score": 0.5} for n in range(1, 5)]
    write_json(folder / "boxes.json", found)


def make_labels(folder: Path) -> None:
    for split in ("train", "val"):
        for n, name in enumerate(("cat", "dog", "gnu")):
            for k in range(2):
                image(folder / "d" / split / name / f"{name}{k}.png", n + k + (3 if split == "val" else 0))
    lines = [
        "sample_id,cat,dog,gnu",
        *(f"{c}/{c}{k}.png,0.5,0.25,0.25" for c in ("cat", "dog", "gnu") for k in range(2)),
    ]
    (folder / "p.csv").write_text("\n".join(lines), encoding="utf-8")
    (folder / "l.csv").write_text("sample_id,label\ncat/cat0.png,cat\ndog/dog0.png,gnu\n", encoding="utf-8")
    (folder / "classes.txt").write_text("cat\ndog\ngnu\n", encoding="utf-8")
    (folder / "classes.json").write_text('{"0": "cat", "1": "dog", "2": "gnu"}', encoding="utf-8")


def make_voc(folder: Path) -> None:
    for n in range(4):
        image(folder / "d" / "JPEGImages" / f"i{n}.jpg", n)
        xml = (
            f"<annotation><filename>i{n}.jpg</filename><size><width>12</width><height>8</height><depth>3</depth></size>"
            "<object><name>cat</name><difficult>0</difficult><bndbox><xmin>2</xmin><ymin>2</ymin><xmax>6</xmax>"
            "<ymax>6</ymax></bndbox></object></annotation>"
        )
        path = folder / "d" / "Annotations" / f"i{n}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(xml, encoding="utf-8")
        labels = Image.fromarray(np.full((8, 12), n % 2, np.uint8))
        labels.putpalette([n for n in range(256) for _ in range(3)])
        (folder / "d" / "SegmentationClass").mkdir(exist_ok=True)
        labels.save(folder / "d" / "SegmentationClass" / f"i{n}.png")
    for kind in ("Main", "Segmentation"):
        (folder / "d" / "ImageSets" / kind).mkdir(parents=True)
        (folder / "d" / "ImageSets" / kind / "train.txt").write_text("i0\ni1\n", encoding="utf-8")
        (folder / "d" / "ImageSets" / kind / "val.txt").write_text("i2\ni3\n", encoding="utf-8")


def context(folder: Path, data: str = "d") -> DataContext:
    return DataContext(str(folder / data), None, None, folder, folder / "cache", lambda *_: None)


def opened(task: Any, folder: Path) -> tuple[Any, Any]:
    data = task.open_data(context(folder))
    return data, task.samples(data, data.default_split)


def answered(task: Any, predictions: str) -> Callable[[Path], Any]:
    """Read data and predictions, as `bench score` does before it computes."""

    def read(folder: Path) -> Any:
        data, samples = opened(task, folder)
        return len(samples), len(task.read_predictions(folder / predictions, data))

    return read


def read_data(task: Any) -> Callable[[Path], Any]:
    return lambda folder: len(opened(task, folder)[1])


def record(model: str, value: float, **fields: Any) -> RunRecord:
    estimate = Estimate(value, value - 0.1, value + 0.1, 4)
    cell = {"training": {"model": model, "seed": 0, "train": {}, "data": {"layout": "x"}, "versions": {"task": "1"}},
            "evaluate": {"limit": None}}  # fmt: skip
    made = RunRecord(
        fingerprint=f"{sum(model.encode()):016x}", task="image-classification", data="d", data_digest="d" * 12,
        split="val", model=model, control=None, seed=0, status="ok", error=None, metrics={"top-1": estimate},
        signature="top-1:1", efficiency=Efficiency(latency_p50_seconds=0.1, latency_runs=9, notes={"noisy": []}),
        device="cpu", provenance={"hardware": {"cpu": "x"}, "training": {"steps": 3}}, cell=cell,
        created="2026-01-01T00:00:00.000+00:00", ceilings={"top-1": {"both": 1.0}},
    )  # fmt: skip
    return replace(made, **fields)


SCORES = SampleScores(("a", "b", "c", "d"), ("a", "b", "c", "d"), {"top-1": np.array([1.0, 0.0, 1.0, 0.0])})


def make_store(folder: Path) -> None:
    store, estimate = Store(str(folder / "r")), Estimate(0.5, 0.4, 0.6, 4)
    for model, value in (("one", 0.5), ("two", 0.25)):
        made = record(model, value)
        store.write_outcomes(outcomes_name(made.task, made.fingerprint), [Outcome("a", "x"), Outcome("b", [1])], {})
        store.write_sample_scores(scores_name(made.task, made.fingerprint), SCORES)
        digests = table_digests(store, made.task, made.fingerprint)
        store.write_record(replace(made, provenance={**made.provenance, **digests}))
        clean = PerturbedScore("c", "clean", 0, "clean", "image", "ok", None, {"top-1": estimate})
        fog = PerturbedScore("f", "fog", 1, "weather", "image", "ok", None, {"top-1": estimate})
        store.write_robustness(
            RobustnessRecord(
                made.fingerprint, made.task, "d", made.data_digest, "val", model, None, 0, "top-1", "top-1:1", 0.1,
                None, 0, "cpu", (clean, fog), {}, made.created,
            )
        )  # fmt: skip


def make_packed(folder: Path) -> None:
    make_store(folder)
    pack(str(folder / "r"))


def read_store(folder: Path) -> Any:
    """What leaderboards and robustness tables show of it, with the answers and scores behind them."""
    store = Store(str(folder / "r"))
    records, sweeps = store.read_records(), store.read_robustness()
    shown = render_leaderboard(build_rows(records, ("top-1",)), ("top-1",), "csv")
    columns = [read_scores(store, each) for each in records]
    scores = [None if c is None else (c.sample_ids, {k: v.tolist() for k, v in c.metrics.items()}) for c in columns]
    answers = [list(read_answers(store, each)) for each in records]
    return shown, render_summary(summaries(sweeps, records), "csv"), scores, answers


def make_baseline(folder: Path) -> None:
    make_store(folder)
    write_baseline(folder / "b", read_measured(Store(str(folder / "r")), {"image-classification": ("top-1",)}), {})


def make_pixels(folder: Path) -> None:
    for n in range(3):
        image(folder / "i" / f"{n}.png", n)
    read_pixels(folder)


def read_pixels(folder: Path) -> Any:
    samples = [Sample(str(n), folder / "i" / f"{n}.png", None) for n in range(3)]
    found = open_images(samples, SHAPE, folder / "cache", "fail", lambda *_: None)
    return found.read(range(3)).tolist(), found.sizes


def make_config(folder: Path) -> None:
    text = 'model = "film"\nseeds = 2\n[train]\nsteps = 5\nlearning_rate = 0.1\n[for.coco-caption.train]\nsteps = 3\n'
    (folder / "c.toml").write_text(text, encoding="utf-8")
    (folder / "set.txt").write_text("train.steps=50", encoding="utf-8")


def make_scores_table(folder: Path) -> None:
    lines = ["model,perturbation,severity,value", "a,clean,0,0.9"]
    lines += [f"a,fog,{severity},0.{9 - severity}" for severity in range(1, 6)]
    (folder / "s.csv").write_text("\n".join(lines), encoding="utf-8")


def read_class_files(folder: Path) -> Any:
    return [read_class_file(path) for path in sorted(folder.glob("classes.*"))]


def read_config(folder: Path) -> Any:
    return build_config({}, (), None, folder / "c.toml", "coco-caption")


def read_setting(folder: Path) -> Any:
    return parse_setting((folder / "set.txt").read_text(encoding="utf-8", errors="surrogateescape"))


TARGETS = (
    Target("captions-data", make_coco, "d/annotations/captions_*.json", read_data(coco_caption)),
    Target("captions-answers", make_coco, "captions.json", answered(coco_caption, "captions.json")),
    Target("boxes-data", make_coco, "d/annotations/instances_*.json", read_data(coco_detection)),
    Target("boxes-answers", make_coco, "boxes.json", answered(coco_detection, "boxes.json")),
    Target("voc-data", make_voc, "d/Annotations/*.xml", read_data(coco_detection)),
    Target("voc-lists", make_voc, "d/ImageSets/*/*.txt", read_data(coco_segmentation)),
    Target("voc-maps", make_voc, "d/SegmentationClass/*.png", read_data(coco_segmentation)),
    Target("label-answers", make_labels, "p.csv", answered(image_classification, "p.csv")),
    Target("label-names", make_labels, "l.csv", answered(zero_shot_classification, "l.csv")),
    Target("class-files", make_labels, "classes.*", read_class_files),
    Target("images", make_pixels, "i/*.png", read_pixels),
    Target("config", make_config, "c.toml", read_config),
    Target("setting", make_config, "set.txt", read_setting),
    Target("scores-table", make_scores_table, "s.csv", lambda f: read_scores_file(f / "s.csv")),
    Target("store", make_store, "r/**/*", read_store, unchanged=True),
    Target("packed-store", make_packed, "r/*/*.*", read_store, unchanged=True),
    Target("foreign-records", make_store, "r/*/records/*.json", read_store, reseal=True),
    Target("foreign-sweeps", make_store, "r/*/robustness/*.json", read_store, reseal=True),
    Target("baseline", make_baseline, "b/*", lambda f: repr(read_baseline(f / "b")), unchanged=True),
    Target("foreign-baseline", make_baseline, "b/*.json", lambda f: repr(read_baseline(f / "b")), reseal=True),
    Target("cached-pixels", make_pixels, "cache/pixels/*", read_pixels, unchanged=True),
)  # fmt: skip
