"""Mutates the inputs of every reader and the files of every store, seeded: the right value or a BenchError, no more.

By hand: `python tests/fuzz/test_fuzz.py --inputs 10000 --seed 1` prints the figures of docs/fuzzing.md. A finding is
repeated by its line: `--only TARGET --number N --seed S`.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import shutil
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.errors import BenchError
from harness.inputs.images import open_images
from harness.judge.check.baseline import read_baseline, write_baseline
from harness.judge.check.measured import read_measured
from harness.judge.leaderboard import build_rows
from harness.judge.robustness.external_file import read_scores_file
from harness.judge.robustness.summary import summaries
from harness.plan.config import build_config, parse_setting
from harness.protocols import DataContext
from harness.record import Efficiency, Estimate, PerturbedScore, RobustnessRecord, RunRecord
from harness.records.sample_scores import read_answers, read_scores, table_digests
from harness.records.store import Store, outcomes_name, scores_name
from harness.report.leaderboard_text import render
from harness.report.robustness_text import render_summary
from harness.sample import Outcome, Preprocessing, Sample
from harness.stats.sample_scores import SampleScores
from harness.storage.digest import with_digest, without_digest
from tasks.captioning.task import coco_caption
from tasks.classification.task import image_classification
from tasks.classification.zero_shot import zero_shot_classification
from tasks.detection.task import coco_detection
from tasks.formats.class_names import read_class_file
from tasks.segmentation.task import coco_segmentation

pytestmark = pytest.mark.slow

ODD: tuple[Any, ...] = (
    None, True, "", "x", "0", -1, 0, 1, 0.5, 1e308, -1e-300, float("nan"), float("inf"), 2**63, 2**70, [], {}, [[]],
    [None], {"a": 1}, "\ud800", "é\u0301", "\x00", "../../x", "/etc/hostname", "a" * 5000, [1] * 50, "=1+1", "\x1b[2J",
)  # fmt: skip
BYTES = (b"", b"\x00", b"\xff", b"\xef\xbb\xbf", b"\r", b"\n", b'"', b",", b"{", b"[" * 3000, b"9" * 5000, b"-", b"nan")
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


@dataclass
class Figures:
    """What came of a number of inputs."""

    seed: int
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def add(self, target: str, number: int, outcome: str, told: str = "") -> None:
        self.outcomes[outcome] += 1
        if outcome in ("traceback", "silent change"):
            self.findings.append(f"--only {target} --number {number} --seed {self.seed}: {outcome}: {told}")


def mutated_json(draw: random.Random, content: Any) -> Any:
    """Change one to three places: another value, a key gone, an element twice."""
    content = copy.deepcopy(content)
    for _ in range(draw.randint(1, 3)):
        node, place = content, None
        while isinstance(node, dict | list) and node and (place is None or draw.random() < 0.8):
            parent, place = node, draw.choice(list(node) if isinstance(node, dict) else range(len(node)))
            node = node[place]
        if place is None:
            return draw.choice(ODD)
        action = draw.random()
        if action < 0.2:
            del parent[place]
        elif action < 0.3 and isinstance(parent, list):
            parent.append(copy.deepcopy(node))
        else:
            parent[place] = copy.deepcopy(draw.choice(ODD))
    return content


def mutated_bytes(draw: random.Random, content: bytes) -> bytes:
    """Flip bits, cut, repeat, or put odd bytes in, at one to four places."""
    data = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(data) + 1)
        action = draw.random()
        if action < 0.4 and at < len(data):
            data[at] ^= 1 << draw.randrange(8)
        elif action < 0.55:
            del data[at:]
        elif action < 0.7:
            del data[at : at + draw.randint(1, 20)]
        elif action < 0.85:
            data[at:at] = draw.choice(BYTES)
        else:
            data[at:at] = data[at : at + draw.randint(1, 40)]
    return bytes(data)


def mutate(target: Target, draw: random.Random, folder: Path) -> None:
    path = draw.choice(sorted(p for p in folder.glob(target.mutated) if p.is_file()))
    content = path.read_bytes()
    if target.reseal:
        inner = mutated_json(draw, without_digest(json.loads(content)))
        if isinstance(inner, dict):
            try:
                path.write_bytes(with_digest(inner))
                return
            except ValueError:  # NaN has no JSON, so nobody seals it
                pass
    if path.suffix == ".json" and draw.random() < 0.7:
        path.write_text(json.dumps(mutated_json(draw, json.loads(content))), encoding="utf-8")
        return
    path.write_bytes(mutated_bytes(draw, content))


def try_one(target: Target, number: int, figures: Figures) -> None:
    draw = random.Random(f"{figures.seed} {target.name} {number}")
    with tempfile.TemporaryDirectory(prefix="bench-fuzz-") as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(name, "f")
        shutil.copytree(template(target), folder)
        before = target.read(folder) if target.unchanged else None
        mutate(target, draw, folder)
        try:
            after = target.read(folder)
        except BenchError as error:
            figures.add(target.name, number, "refused" if str(error).strip() else "traceback", "an empty message")
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            figures.add(target.name, number, "traceback", f"{type(error).__name__} in {place.filename}:{place.lineno}")
        else:
            silent = target.unchanged and repr(after) != repr(before)
            figures.add(target.name, number, "silent change" if silent else "read", repr(after)[:200])


TEMPLATES: dict[str, Path] = {}
"""Folders made once in a process, by target."""


def template(target: Target) -> Path:
    if target.name not in TEMPLATES:
        folder = Path(tempfile.mkdtemp(prefix="bench-fuzz-template-"))
        target.make(folder)
        target.read(folder)
        TEMPLATES[target.name] = folder
    return TEMPLATES[target.name]


def image(path: Path, colour: int = 0, size: tuple[int, int] = (12, 8), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, (colour * 40, 9, 200) if mode == "RGB" else colour).save(path)


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def make_coco(folder: Path) -> None:
    """Four images with captions, boxes and panoptic segments, and results for each."""
    images = [{"id": n, "file_name": f"{n:012}.png", "width": 12, "height": 8} for n in range(1, 5)]
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


def read_store(folder: Path) -> Any:
    """What leaderboards and robustness tables show of it, with the answers and scores behind them."""
    store = Store(str(folder / "r"))
    records, sweeps = store.read_records(), store.read_robustness()
    shown = render(build_rows(records, ("top-1",)), ("top-1",), "csv")
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
    Target("foreign-records", make_store, "r/*/records/*.json", read_store, reseal=True),
    Target("foreign-sweeps", make_store, "r/*/robustness/*.json", read_store, reseal=True),
    Target("baseline", make_baseline, "b/*", lambda f: repr(read_baseline(f / "b")), unchanged=True),
    Target("foreign-baseline", make_baseline, "b/*.json", lambda f: repr(read_baseline(f / "b")), reseal=True),
    Target("cached-pixels", make_pixels, "cache/pixels/*", read_pixels, unchanged=True),
)  # fmt: skip


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_mutated_inputs_are_read_or_refused(target: Target) -> None:
    """A hundred inputs of each, or six seconds: two minutes in all."""
    figures = Figures(seed=0)
    for number in range(100):
        try_one(target, number, figures)
        if time.monotonic() - figures.started > 6:
            break
    assert figures.findings == []


def main() -> None:
    """Try many inputs and print the figures as a table of Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default=None)
    parser.add_argument("--number", type=int, default=None)
    asked = parser.parse_args()
    targets = [target for target in TARGETS if asked.only in (None, target.name)]
    each = -(-asked.inputs // len(targets))
    print("| target | inputs | read | refused | tracebacks | silent changes | seconds |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    total, findings, started = Counter[str](), [], time.monotonic()
    for target in targets:
        figures = Figures(asked.seed)
        for number in range(each) if asked.number is None else [asked.number]:
            try_one(target, number, figures)
        total += figures.outcomes
        findings += figures.findings
        print(row(target.name, figures.outcomes, time.monotonic() - figures.started), flush=True)
    print(row("all", total, time.monotonic() - started))
    print("\n".join(["", *findings]))


def row(name: str, found: Counter[str], seconds: float) -> str:
    counts = [found[kind] for kind in ("read", "refused", "traceback", "silent change")]
    return f"| {name} | {sum(counts):,} | {' | '.join(f'{n:,}' for n in counts)} | {seconds:.0f} |"


if __name__ == "__main__":
    main()
