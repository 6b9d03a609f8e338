"""Panoptic quality against a plain-loop reference, bit for bit, and against hotcoco's evaluator on files."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.errors import DataError
from harness.metrics.maps.panoptic import (
    PanopticCategories,
    PanopticCounts,
    SegmentMap,
    match_segments,
    panoptic_statistics,
    per_class_pq,
    segment_ids,
)

COCO_MINI = Path(__file__).parents[5] / "shared" / "data" / "coco-mini" / "annotations"
CATEGORIES = [
    {"id": 7, "name": "cat", "isthing": 1},
    {"id": 3, "name": "sky", "isthing": 0},
    {"id": 20, "name": "dog", "isthing": 1},
    {"id": 21, "name": "sea", "isthing": 0},
    {"id": 22, "name": "never", "isthing": 1},
]
Pair = tuple[SegmentMap, SegmentMap]


def reference(pairs: list[Pair], categories: list[dict[str, Any]]) -> dict[str, float]:
    """The evaluation as the paper and COCO's rules describe it, one segment and one number after the other."""
    totals: dict[int, list[float]] = defaultdict(lambda: [0.0, 0, 0, 0])
    for truth, predicted in pairs:
        pixels: dict[tuple[int, int], int] = defaultdict(int)
        for pair in zip(truth.ids.ravel().tolist(), predicted.ids.ravel().tolist(), strict=True):
            pixels[pair] += 1
        true = {info["id"]: info for info in truth.segments_info}
        found = {info["id"]: info["category_id"] for info in predicted.segments_info}
        area = {f: sum(n for (_, p), n in pixels.items() if p == f) for f in found}
        true_area = {t: sum(n for (g, _), n in pixels.items() if g == t) for t in true}
        matched: set[tuple[str, int]] = set()
        for t, f in sorted(pixels):
            if t not in true or f not in found or true[t]["iscrowd"] or true[t]["category_id"] != found[f]:
                continue
            iou = pixels[t, f] / (area[f] + true_area[t] - pixels[t, f] - pixels.get((0, f), 0))
            if iou > 0.5:
                totals[found[f]][0] += iou
                totals[found[f]][1] += 1
                matched |= {("true", t), ("found", f)}
        crowds = {}
        for t, info in true.items():
            if info["iscrowd"]:
                crowds[info["category_id"]] = t
            elif ("true", t) not in matched:
                totals[info["category_id"]][3] += 1
        for f, category in found.items():
            if ("found", f) in matched:
                continue
            excused = pixels.get((0, f), 0)
            if category in crowds:
                excused += pixels.get((crowds[category], f), 0)
            if excused / area[f] <= 0.5:
                totals[category][2] += 1
    result = {}
    for name, kinds in (("", (0, 1)), ("-Th", (1,)), ("-St", (0,))):
        pq = sq = rq = 0.0
        counted = 0
        for category in categories:
            iou, tp, fp, fn = totals[category["id"]]
            if category["isthing"] not in kinds or tp + fp + fn == 0:
                continue
            counted += 1
            pq += iou / (tp + 0.5 * fp + 0.5 * fn)
            sq += iou / tp if tp else 0
            rq += tp / (tp + 0.5 * fp + 0.5 * fn)
        if counted:
            result |= {f"PQ{name}": pq / counted, f"SQ{name}": sq / counted, f"RQ{name}": rq / counted}
    return {name: result[name] for name in ("PQ", "SQ", "RQ", "PQ-Th", "PQ-St") if name in result}


def wild_map(source: np.random.Generator, base: SegmentMap | None = None) -> SegmentMap:
    """Rectangles on top of each other, some void; a prediction starts from the truth, moved, under other ids."""
    shape = (40, 50)
    ids = np.zeros(shape, dtype=np.int64)
    known: dict[int, int] = {}
    if base is not None:
        renamed = {info["id"]: int(source.integers(1, 1 << 24)) for info in base.segments_info}
        shift = source.integers(-3, 4, 2)
        for info in base.segments_info:
            ids[np.roll(base.ids == info["id"], shift, axis=(0, 1))] = renamed[info["id"]]
            known[renamed[info["id"]]] = info["category_id"]
    for _ in range(int(source.integers(0, 9)) if base is None else int(source.integers(0, 4))):
        top, left = source.integers(0, 35, 2)
        height, width = source.integers(3, 30, 2)
        segment = int(source.integers(1, 1 << 24))
        known[segment] = int(source.choice([7, 3, 20, 21]))
        ids[top : top + height, left : left + width] = segment if source.random() < 0.9 else 0
    present = set(np.unique(ids).tolist())
    infos = [
        {
            "id": i,
            "category_id": k,
            "iscrowd": int(base is None and source.random() < 0.3),
            "area": int((ids == i).sum()),
        }
        for i, k in known.items()
        if i in present
    ]
    return SegmentMap(ids, infos)


def wild(seed: int, images: int = 12) -> list[Pair]:
    source = np.random.default_rng(seed)
    pairs = []
    for _ in range(images):
        truth = wild_map(source)
        pairs.append((truth, wild_map(source, truth)))
    return pairs


def counted(pairs: list[Pair], categories: list[dict[str, Any]] | None = None) -> PanopticCounts:
    known = PanopticCategories(CATEGORIES if categories is None else categories)
    return PanopticCounts.stack(known, (match_segments(*pair, known, f"image {n}") for n, pair in enumerate(pairs)))


def values(pairs: list[Pair], categories: list[dict[str, Any]] | None = None) -> dict[str, float]:
    return {name: s.value for name, s in panoptic_statistics(counted(pairs, categories)).items() if s is not None}


@pytest.mark.parametrize("seed", range(25))
def test_equals_the_reference_bit_for_bit(seed: int) -> None:
    pairs = wild(seed)
    assert values(pairs) == reference(pairs, CATEGORIES)


def hotcoco_itself(pairs: list[Pair], categories: list[dict[str, Any]], folder: Path) -> dict[str, float]:
    """hotcoco's evaluator on files written in COCO's format."""
    from hotcoco.panoptic import PanopticEval

    paths = []
    for side, name in enumerate(("truth", "predicted")):
        (folder / name).mkdir()
        annotations = []
        for number, pair in enumerate(pairs):
            colours = np.stack([pair[side].ids >> shift & 255 for shift in (0, 8, 16)], axis=2).astype(np.uint8)
            assert (segment_ids(colours) == pair[side].ids).all()
            Image.fromarray(colours).save(folder / name / f"{number}.png")
            infos = pair[side].segments_info
            annotations.append({"image_id": number, "file_name": f"{number}.png", "segments_info": infos})
        images = [{"id": n, "file_name": f"{n}.jpg", "height": 1, "width": 1} for n in range(len(pairs))]
        paths.append(folder / f"{name}.json")
        paths[-1].write_text(json.dumps({"images": images, "categories": categories, "annotations": annotations}))
    evaluator = PanopticEval(*map(os.fspath, paths))
    evaluator.evaluate()
    results = evaluator.results()
    quality = {name: results["All"][name.lower()] for name in ("PQ", "SQ", "RQ")}
    return quality | {"PQ-Th": results["Things"]["pq"], "PQ-St": results["Stuff"]["pq"]}


@pytest.mark.parametrize("seed", range(3))
def test_equals_hotcoco(seed: int, tmp_path: Path) -> None:
    pairs = wild(seed + 100, images=40)
    assert values(pairs) == pytest.approx(hotcoco_itself(pairs, CATEGORIES, tmp_path), abs=1e-12)


@pytest.mark.parametrize("split", ["val2017", "train2017"])
def test_real_photographs_equal_the_reference_and_hotcoco(split: str, tmp_path: Path) -> None:
    path = COCO_MINI / f"panoptic_{split}.json"
    if not path.is_file():
        pytest.skip("no coco-mini beside the repository")
    content = json.loads(path.read_text())
    source = np.random.default_rng(1)
    pairs = []
    for annotation in content["annotations"][:12]:
        with Image.open(path.with_suffix("") / annotation["file_name"]) as image:
            ids = segment_ids(np.asarray(image.convert("RGB")))
        truth = SegmentMap(ids, annotation["segments_info"])
        pairs.append((truth, disturbed(truth, source)))
    expected = reference(pairs, content["categories"])
    assert values(pairs, content["categories"]) == expected
    assert expected == pytest.approx(hotcoco_itself(pairs, content["categories"], tmp_path), abs=1e-12)
    same = [(truth, truth) for truth, _ in pairs]
    assert values(same, content["categories"]) == dict.fromkeys(expected, 1.0)


def disturbed(truth: SegmentMap, source: np.random.Generator) -> SegmentMap:
    """The true segments moved by some pixels, a tenth of another's category, crowds as plain segments."""
    ids = np.roll(truth.ids, source.integers(-12, 13, 2), axis=(0, 1))
    categories = [info["category_id"] for info in truth.segments_info]
    infos = [
        {
            "id": info["id"],
            "category_id": int(source.choice(categories)) if source.random() < 0.1 else info["category_id"],
        }
        for info in truth.segments_info
    ]
    return SegmentMap(ids, infos)


def one(text: str, **segments: Any) -> SegmentMap:
    """A map drawn with letters, `.` for void; a segment's category, or (category, crowd)."""
    ids = np.array([[0 if letter == "." else ord(letter) for letter in row] for row in text.split()])
    infos = []
    for letter, value in segments.items():
        category, crowd = value if isinstance(value, tuple) else (value, 0)
        infos.append({"id": ord(letter), "category_id": category, "iscrowd": crowd})
    return SegmentMap(ids, infos)


def test_by_hand() -> None:
    # Cat a: 4 pixels, its prediction 3 of them and one more, which is void in the truth: IoU 3 / (4 + 4 - 3 - 1).
    # Sky s: 6 pixels, predicted 3 of 6: IoU 1/2 is not above 1/2, so one missed and one spurious.
    # The dog y has no prediction. The predicted dog q is half on the dogs' crowd, half void: excused.
    truth = one("aaaa.. ssssss ccyy..", a=7, s=3, c=(20, 1), y=20)
    predicted = one("ppp.p. rrr... qq..qq", p=7, r=3, q=20)
    scores = panoptic_statistics(counted([(truth, predicted)]))
    # PQ of cat 3/4, of sky 0, of dog 0 (one missed); the categories without segments do not count.
    assert {name: score and score.value for name, score in scores.items()} == {
        "PQ": 0.75 / 3,
        "SQ": 0.75 / 3,
        "RQ": 1 / 3,
        "PQ-Th": 0.75 / 2,
        "PQ-St": 0.0,
    }
    each = per_class_pq(counted([(truth, predicted)]))
    assert {name: score and score.value for name, score in each.items()} == {
        "per-class:cat": 0.75,
        "per-class:sky": 0.0,
        "per-class:dog": 0.0,
        "per-class:sea": None,
        "per-class:never": None,
    }


def test_crowd_of_another_category_does_not_excuse() -> None:
    truth = one("cccc aaaa", c=(20, 1), a=7)
    assert values([(truth, one("pppp qqqq", p=20, q=7))])["PQ"] == 1
    assert values([(truth, one("pppp qqqq", p=3, q=7))])["PQ"] == 0.5


def test_nothing_to_measure_is_absent_and_not_zero() -> None:
    scores = panoptic_statistics(counted([(one("..cc", c=(7, 1)), one("pppp", p=7))]))
    assert set(scores.values()) == {None}
    scores = panoptic_statistics(counted([(one("aa..", a=7), one("...."))]))
    assert scores["PQ"] is not None
    assert scores["PQ"].value == 0
    assert scores["PQ-St"] is None
    with pytest.raises(DataError, match="no panoptic maps"):
        PanopticCounts.stack(PanopticCategories(CATEGORIES), [])


def test_resample_and_single_images() -> None:
    pairs = wild(5)
    statistics = {**panoptic_statistics(counted(pairs)), **per_class_pq(counted(pairs))}
    draws = np.random.default_rng(0).multinomial(len(pairs), [1 / len(pairs)] * len(pairs), size=6)
    repeated = [[pair for pair, n in zip(pairs, draw, strict=True) for _ in range(n)] for draw in draws]
    for name, score in statistics.items():
        if score is None:
            continue
        assert score.resample(np.ones((1, len(pairs)), dtype=np.int64))[0] == pytest.approx(score.value, abs=1e-12)
        for draw, corpus in zip(draws, repeated, strict=True):
            again = {**panoptic_statistics(counted(corpus)), **per_class_pq(counted(corpus))}[name]
            expected = np.nan if again is None else again.value
            assert score.resample(draw[None])[0] == pytest.approx(expected, abs=1e-12, nan_ok=True), name
        for number, pair in enumerate(pairs):
            alone = {**panoptic_statistics(counted([pair])), **per_class_pq(counted([pair]))}[name]
            expected = np.nan if alone is None else alone.value
            assert score.per_sample[number] == pytest.approx(expected, abs=1e-12, nan_ok=True), name


@pytest.mark.parametrize(
    ("truth", "predicted", "message"),
    [
        (one("aab", a=7), one("ppp", p=7), "image 0: the truth has pixels of segment 98"),
        (one("aaa", a=7), one("ppq", p=7), "image 0: the prediction has pixels of segment 113"),
        (one("aaa", a=7, b=7), one("ppp", p=7), "image 0: the truth lists segment 98, which has no pixels"),
        (one("aaa", a=7), one("ppp", p=7, q=7), "image 0: the prediction lists segment 113, which has no pixels"),
        (one("aaa", a=8), one("ppp", p=7), "image 0: the truth: segment 97 has the unknown category 8"),
        (one("aaa", a=7), one("ppp", p=9), "image 0: the prediction: segment 112 has the unknown category 9"),
        (one("aaa", a=(7, 2)), one("ppp", p=7), "segment 97 has iscrowd 2"),
        (one("aaa", a=7), one("pp", p=7), r"the predicted map is \[1, 2\] \(height, width\), the truth \[1, 3\]"),
        (SegmentMap(np.ones((1, 2)), [{"id": 1, "category_id": 7}]), one("pp", p=7), "a map of float64"),
        (
            SegmentMap(np.ones((1, 2), int), [{"id": 1, "category_id": 7}] * 2),
            one("pp", p=7),
            "segment 1 more than once",
        ),
        (SegmentMap(np.ones((1, 2), int), [{"id": 0, "category_id": 7}]), one("pp", p=7), "segment with id 0"),
        (SegmentMap(np.ones((1, 2), int), [{"id": 1}]), one("pp", p=7), "without a whole number for 'category_id'"),
        (
            SegmentMap(np.ones((1, 2), int), [{"id": 1, "category_id": 7, "area": 3}]),
            one("pp", p=7),
            "segment 1 has 2 pixels, and its area is given as 3",
        ),
    ],
)
def test_broken_maps_are_refused(truth: SegmentMap, predicted: SegmentMap, message: str) -> None:
    with pytest.raises(DataError, match=message):
        counted([(truth, predicted)])


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([{"id": 1, "name": "a"}], r"category 0 \(the first is 0\) has no 'isthing'"),
        ([CATEGORIES[0], {**CATEGORIES[1], "id": 7}], "category id 7 occurs more than once"),
        ([CATEGORIES[0], {**CATEGORIES[1], "name": "cat"}], "category name 'cat' occurs more than once"),
    ],
)
def test_broken_categories_are_refused(entries: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        PanopticCategories(entries)
