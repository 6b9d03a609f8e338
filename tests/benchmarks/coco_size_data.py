"""Makes a folder in COCO's layout with as many images and annotations as COCO 2017, and a few hundred different files.

Images are small and hard-linked to each other, so that 118,000 of them take little disk; annotation files have the
size of the real ones: 7.3 objects an image with polygons, 5 captions, 11 segments.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 64, 48
DIFFERENT = 300
"""Different images; each is linked as often as is needed."""
OBJECTS, CAPTIONS, SEGMENTS = 7.29, 5, 11
CATEGORIES, WORDS = 80, 12_000
_URLS = (
    '"license":3,"coco_url":"http://images.cocodataset.org/train2017/{name}","date_captured":"2013-11-14 11:18:45",'
    '"flickr_url":"http://farm9.staticflickr.com/8186/8119368305_4e622c8349_z.jpg"'
)


def make_coco(root: Path, train: int, val: int) -> None:
    """Write train2017 and val2017 with captions, instances and panoptic maps; leaves what is there already."""
    done = root / "made"
    if done.is_file() and done.read_text() == f"{train} {val}":
        return
    first = 1
    for split, count in (("train2017", train), ("val2017", val)):
        ids = range(first, first + count)
        first += count
        _link_images(root, split, ids)
        for kind, write in (("captions", _captions), ("instances", _instances), ("panoptic", _panoptic)):
            path = root / "annotations" / f"{kind}_{split}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w") as file:
                for piece in _content(ids, "png" if kind == "panoptic" else "jpg", write(Random(len(ids)), ids)):
                    file.write(piece)
    done.write_text(f"{train} {val}")


def _link_images(root: Path, split: str, ids: range) -> None:
    """Photographs of noise, and maps of segments 1 to 11 in stripes of different widths."""
    photographs, maps = root / split, root / "annotations" / f"panoptic_{split}"
    for folder in (photographs, maps, root / "originals"):
        folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(0)
    for number in range(DIFFERENT):
        pixels = draw.integers(0, 256, (HEIGHT // 4, WIDTH // 4, 3), np.uint8)
        Image.fromarray(pixels).resize((WIDTH, HEIGHT)).save(root / f"originals/{number}.jpg")
        stripes = draw.integers(1, SEGMENTS + 1, HEIGHT - SEGMENTS)
        rows = np.sort(np.concatenate([stripes, np.arange(1, SEGMENTS + 1)])).astype(np.uint8)
        ids_map = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        ids_map[..., 0] = rows[:, None]
        Image.fromarray(ids_map).save(root / f"originals/{number}.png")
    for image_id in ids:
        for folder, suffix in ((photographs, "jpg"), (maps, "png")):
            path = folder / f"{image_id:012d}.{suffix}"
            path.unlink(missing_ok=True)
            os.link(root / f"originals/{image_id % DIFFERENT}.{suffix}", path)


def _content(ids: range, suffix: str, annotations: Iterator[str]) -> Iterator[str]:
    yield '{"info":{"year":2017},"images":['
    for number, image_id in enumerate(ids):
        name = f"{image_id:012d}.jpg"
        size = f'"height":{HEIGHT},"width":{WIDTH},"id":{image_id}'
        yield ("," if number else "") + f'{{"file_name":"{name}",{_URLS.format(name=name)},{size}}}'
    yield '],"annotations":['
    for number, annotation in enumerate(annotations):
        yield ("," if number else "") + annotation
    thing = ',"isthing":1' if suffix == "png" else ""
    categories = (f'{{"supercategory":"s","id":{c},"name":"class {c}"{thing}}}' for c in range(1, CATEGORIES + 1))
    yield '],"categories":[' + ",".join(categories) + "]}"


def _captions(draw: Random, ids: range) -> Iterator[str]:
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(2, 9))) for _ in range(WORDS)]
    shares = list(accumulate(1 / (rank + 1) for rank in range(WORDS)))  # Zipf's law
    for image_id in ids:
        for number in range(CAPTIONS):
            text = " ".join(draw.choices(words, cum_weights=shares, k=10))
            yield f'{{"image_id":{image_id},"id":{image_id * CAPTIONS + number},"caption":"A {text}."}}'


def _instances(draw: Random, ids: range) -> Iterator[str]:
    polygons = [
        json.dumps([[round(draw.uniform(0, (WIDTH, HEIGHT)[k % 2]), 2) for k in range(2 * draw.choice([10, 20, 40]))]])
        for _ in range(2000)
    ]
    for number in range(round(len(ids) * OBJECTS)):
        x, y = round(draw.uniform(0, WIDTH / 2), 2), round(draw.uniform(0, HEIGHT / 2), 2)
        width, height = round(draw.uniform(2, WIDTH / 2), 2), round(draw.uniform(2, HEIGHT / 2), 2)
        yield (
            f'{{"segmentation":{draw.choice(polygons)},"area":{width * height / 2:.4f},"iscrowd":0,'
            f'"image_id":{draw.choice(ids)},"bbox":[{x},{y},{width},{height}],'
            f'"category_id":{draw.randint(1, CATEGORIES)},"id":{number + 1}}}'
        )


def _panoptic(draw: Random, ids: range) -> Iterator[str]:
    for image_id in ids:
        segments = ",".join(
            f'{{"id":{segment},"category_id":{draw.randint(1, CATEGORIES)},"iscrowd":0,"area":100,"bbox":[0,0,64,4]}}'
            for segment in range(1, SEGMENTS + 1)
        )
        yield f'{{"segments_info":[{segments}],"file_name":"{image_id:012d}.png","image_id":{image_id}}}'
