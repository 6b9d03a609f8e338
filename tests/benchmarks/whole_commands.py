"""What is scored in `bench_whole_commands`: files made by code, a plain script that reads them, and our command."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.benchmarks.bench_detection_metrics import make_input

MAP_CLASSES = 150


@dataclass(frozen=True)
class WholeCommand:
    """A plain script and a command that score the same files; `metric` of ours is `printed` by the script."""

    script: str
    arguments: tuple[str, ...]  # of the script
    score: tuple[str, ...]  # of `bench score`
    metric: str
    cached: bool = False  # whether a second run may find something in the cache


PYCOCOTOOLS = """
import contextlib, io, sys
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
with contextlib.redirect_stdout(io.StringIO()):
    truth = COCO(sys.argv[1])
    evaluator = COCOeval(truth, truth.loadRes(sys.argv[2]), "bbox")
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
print(evaluator.stats[0])
"""


def detection(folder: Path, images: int) -> WholeCommand:
    """Instances and results with as many objects and detections an image as COCO's val2017."""
    instances, detections = make_input(images, 80, images * 36 // 5, images * 100)
    for image in instances["images"]:
        image.update(file_name=f"{image['id']:012d}.jpg", width=640, height=640)
    paths = _written(folder, {"instances.json": instances, "results.json": detections})
    return WholeCommand(PYCOCOTOOLS, paths, _score("coco-detection", *paths), "AP")


PYCOCOEVALCAP = """
import contextlib, io, sys
from pycocotools.coco import COCO
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.meteor.meteor import Meteor
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer
with contextlib.redirect_stdout(io.StringIO()):
    truth = COCO(sys.argv[1])
    found = truth.loadRes(sys.argv[2])
    tokenize = PTBTokenizer().tokenize
    references, captions = tokenize(truth.imgToAnns), tokenize(found.imgToAnns)
    scores = [metric.compute_score(references, captions)[0] for metric in (Bleu(4), Meteor(), Rouge(), Cider())]
print(scores[-1])
"""


def captions(folder: Path, images: int) -> WholeCommand:
    """One caption and five references an image, of words that are as frequent as a language's."""
    source = random.Random(0)
    words = ["".join(source.choices("aeiourstlnmdkp", k=source.randint(2, 9))) for _ in range(8000)]
    weights = [1 / (rank + 5) for rank in range(len(words))]
    annotations, results = [], []
    for image in range(1, images + 1):
        scene = source.choices(words, weights, k=14)
        worded = [" ".join(["A", *source.sample(scene, 9)]) + "." for _ in range(6)]
        results.append({"image_id": image, "caption": worded[0]})
        annotations += [
            {"id": len(annotations) + number, "image_id": image, "caption": text}
            for number, text in enumerate(worded[1:])
        ]
    listed = [{"id": image, "file_name": f"{image}.jpg"} for image in range(1, images + 1)]
    content = {
        "captions.json": {"images": listed, "annotations": annotations, "info": {}},
        "captions-found.json": results,
    }
    paths = _written(folder, content)
    return WholeCommand(PYCOCOEVALCAP, paths, _score("coco-caption", *paths), "CIDEr", cached=True)


NUMPY = """
import sys
from pathlib import Path
import numpy as np
from PIL import Image
table = np.zeros((150, 150), np.int64)
for path in sorted(Path(sys.argv[1]).iterdir()):
    truth = np.asarray(Image.open(path)).astype(np.int64) - 1
    found = np.asarray(Image.open(Path(sys.argv[2]) / path.name)).astype(np.int64) - 1
    asked = truth >= 0
    table += np.bincount(truth[asked] * 150 + found[asked], minlength=150 * 150).reshape(150, 150)
union = table.sum(axis=0) + table.sum(axis=1) - np.diag(table)
print(np.mean(np.diag(table)[union > 0] / union[union > 0]))
"""


def maps(folder: Path, images: int) -> WholeCommand:
    """Label maps of 512 x 512 in ADE20K's layout: 150 classes from 1, some ten in an image, a twentieth unlabelled."""
    from PIL import Image

    source, root = np.random.default_rng(0), folder / "ade"
    truth, found = root / "annotations/validation", folder / "maps-found"
    for place in (truth, found, root / "images/validation", root / "images/training", root / "annotations/training"):
        place.mkdir(parents=True)
    blank = folder / "blank.jpg"
    Image.new("RGB", (512, 512)).save(blank)
    for number in range(images):
        classes = np.append(source.integers(1, MAP_CLASSES + 1, 10), 0)
        labels = classes[source.choice(11, (16, 16), p=[0.095] * 10 + [0.05])].repeat(32, 0).repeat(32, 1)
        answer = np.roll(np.where(labels == 0, classes[0], labels), 5, axis=number % 2)
        for place, content in ((truth, labels), (found, answer)):
            Image.fromarray(content.astype(np.uint8)).save(place / f"val_{number:08d}.png", compress_level=1)
        os.link(blank, root / f"images/validation/val_{number:08d}.jpg")
    os.link(blank, root / "images/training/train_0.jpg")
    os.link(truth / "val_00000000.png", root / "annotations/training/train_0.png")
    names = "".join(f"{number}\tclass {number}\n" for number in range(1, MAP_CLASSES + 1))
    (root / "objectInfo150.txt").write_text("Idx\tName\n" + names)
    score = ("--task", "coco-segmentation", "--data", str(root), "--predictions", str(found), "--split", "val")
    return WholeCommand(NUMPY, (str(truth), str(found)), score, "mIoU", cached=True)


SCIKIT_LEARN = """
import sys
import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, log_loss, top_k_accuracy_score
table = pd.read_parquet(sys.argv[1])
names = [name for name in table if name != "sample_id"]
truth = np.array([names.index(sample.split("/")[-2]) for sample in table["sample_id"]])
probabilities = table[names].to_numpy()
found = probabilities.argmax(axis=1)
every = range(len(names))
balanced, macro = balanced_accuracy_score(truth, found), f1_score(truth, found, average="macro")
top = accuracy_score(truth, found), top_k_accuracy_score(truth, probabilities, k=5, labels=every)
brier = ((probabilities - np.eye(len(names))[truth]) ** 2).sum(axis=1).mean()
print(log_loss(truth, probabilities, labels=every))
"""


def labels(folder: Path, images: int) -> WholeCommand:
    """Probabilities of 1,000 classes in Parquet (of fewer where images are few); images are one file, linked."""
    import pyarrow as arrow
    from PIL import Image
    from pyarrow import parquet

    source, root, count = np.random.default_rng(0), folder / "folders", min(1000, images // 10)
    names = [f"n{number:08d}" for number in range(count)]
    pixels = folder / "pixel.png"
    Image.new("RGB", (8, 8)).save(pixels)
    ids = []
    for split, total in (("train", count), ("val", images)):
        for number in range(total):
            place = root / split / names[number % count] / f"{number:08d}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            os.link(pixels, place)
            ids += [str(place.relative_to(root))] if split == "val" else []
    logits = source.normal(size=(images, count)) + 6 * (np.arange(images)[:, None] % count == np.arange(count))
    odds = np.exp(logits)
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    columns = {"sample_id": ids, **{name: probabilities[:, number] for number, name in enumerate(names)}}
    found = folder / "probabilities.parquet"
    parquet.write_table(arrow.table(columns), found)
    score = ("--task", "image-classification", "--data", str(root), "--predictions", str(found), "--split", "val")
    return WholeCommand(SCIKIT_LEARN, (str(found),), score, "NLL", cached=True)


WHOLE_COMMANDS: Mapping[str, Callable[[Path, int], WholeCommand]] = {
    "detection": detection, "captions": captions, "maps": maps, "labels": labels,
}  # fmt: skip


def _score(task: str, references: str, predictions: str) -> tuple[str, ...]:
    return "--task", task, "--references", references, "--predictions", predictions


def _written(folder: Path, contents: Mapping[str, object]) -> tuple[str, str]:
    for name, content in contents.items():
        (folder / name).write_text(json.dumps(content))
    first, second = (str(folder / name) for name in contents)
    return first, second
