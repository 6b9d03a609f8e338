"""Whatever files hold: readers of COCO, VOC, captions, maps and results read it or refuse it with a BenchError."""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from harness.errors import BenchError
from harness.sample import Outcome, Sample
from harness.storage.content import Contents
from tasks.detection.results import read_object_references, read_results
from tasks.formats.caption_index import open_captions
from tasks.formats.class_names import read_class_file
from tasks.formats.coco_captions import read_caption_file, read_caption_results, read_references
from tasks.formats.coco_entries import Category
from tasks.formats.coco_instances import Instances, digest_of_instances, read_instances
from tasks.formats.coco_layout import SplitFile
from tasks.formats.coco_panoptic import read_panoptic
from tasks.formats.file_names import find_files
from tasks.formats.instance_index import open_instances
from tasks.formats.json_files import read_json
from tasks.formats.label_folders import read_label_folders
from tasks.formats.panoptic_index import open_panoptic
from tasks.formats.predicted_maps import naming_notes, read_predicted_maps
from tasks.formats.voc import annotated_voc_splits, read_voc_instances, read_voc_labels
from tasks.segmentation.results import read_map_results
from tasks.targets.matching import in_sample_order

Change = tuple[list[int], str, Any]

LETTERS = st.text(
    st.characters() | st.sampled_from(["\ud83d", "\0", "\u202e", "\u00e9", "\u0301", "/", ".", " ", "\ufeff"]),
    max_size=6,
) | st.sampled_from(["..", "../x.png", "e\u0301", "2"])
NUMBERS = st.integers() | st.sampled_from([2**63, 2**64, 2**64 + 1, -(2**63), 10**400, 0, -1]) | st.floats()
WILD = st.recursive(
    st.none() | st.booleans() | NUMBERS | LETTERS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(LETTERS, inner, max_size=2),
    max_leaves=5,
)
CHANGES = st.lists(
    st.tuples(
        st.lists(st.integers(0, 50), min_size=1, max_size=6), st.sampled_from(["set", "drop", "repeat", "text"]), WILD
    ),
    min_size=1,
    max_size=3,
)  # fmt: skip
FILES = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

SQUARE = [[1.0, 1.0, 6.0, 1.0, 6.0, 4.0, 1.0, 4.0]]
IMAGES = [{"id": i, "file_name": f"{i}.png", "width": 8, "height": 6} for i in (1, 2)]
CATEGORIES = [{"id": 1, "name": "cat", "isthing": 1}, {"id": 2, "name": "sky", "isthing": 0}]
INSTANCES = {
    "images": IMAGES,
    "categories": CATEGORIES,
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 3], "area": 15, "iscrowd": 0,
         "segmentation": SQUARE},
        {"id": 2, "image_id": 2, "category_id": 2, "bbox": [0, 0, 8, 6], "area": 48.0, "iscrowd": 1,
         "segmentation": {"size": [6, 8], "counts": [0, 48]}},
    ],
}  # fmt: skip
PANOPTIC = {
    "images": IMAGES,
    "categories": CATEGORIES,
    "annotations": [
        {"image_id": i, "file_name": f"{i}.png", "segments_info": [{"id": 1, "category_id": 2, "iscrowd": 0}]}
        for i in (1, 2)
    ],
}
CAPTIONS = {"images": IMAGES, "annotations": [{"image_id": i, "caption": f"a {i}"} for i in (1, 1, 2)]}
BOXES = [{"image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 3], "score": 0.5}] * 2
MASKS = [{"image_id": 1, "category_id": 1, "score": 0.5, "segmentation": {"size": [6, 8], "counts": "`1"}}] * 2
ANSWERS = [{"image_id": 1, "caption": "a"}, {"image_id": 2, "caption": "b"}]
XML = (
    "<annotation><size><width>8</width><height>6</height></size><object><name>cat</name><difficult>0</difficult><bndbox>"
    "<xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>4</ymax></bndbox></object></annotation>"
)


def changed(content: Any, changes: list[Change]) -> Any:
    """Copy JSON and change it at places that the numbers lead to."""
    content = copy.deepcopy(content)
    for path, how, value in changes:
        holder, key, node = None, None, content
        for number in path:
            if not isinstance(node, dict | list) or not node:
                break
            holder, key = (
                node,
                sorted(node, key=str)[number % len(node)] if isinstance(node, dict) else number % len(node),
            )
            node = node[key]
        if holder is None:
            content = value
        elif how == "drop":
            del holder[key]
        elif how == "repeat" and isinstance(holder, list):
            holder.append(copy.deepcopy(node))
        else:
            holder[key] = str(node) if how == "text" else copy.deepcopy(value)
    return content


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Images and maps that the contents above name."""
    for number in (1, 2):
        for folder in ("images", "maps", "JPEGImages"):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.new("RGB", (8, 6), (1, 0, 0)).save(tmp_path / folder / f"{number}.png")
    return tmp_path


def right_or_refused(read: Callable[[], Any]) -> Any:
    """Call a reader; a BenchError that says something is an answer too."""
    try:
        return read()
    except BenchError as error:
        assert str(error).strip()
        str(error).encode("utf-8", "backslashreplace")
        return None


def answer_of(read: Callable[[], Any]) -> Any:
    """What a reader returns, or what it says."""
    try:
        return read()
    except BenchError as error:
        return str(error)


def plain_instances(found: Instances) -> list[Any]:
    """All that a split holds, in types that can be compared."""
    objects = [
        (*(getattr(o, name).tolist() for name in ("annotation_ids", "category_index", "boxes", "stated_boxes")),
         o.areas.tolist(), o.iscrowd.tolist(), list(o.segmentations))
        for o in found.objects
    ]  # fmt: skip
    return [list(found.images), objects, list(found.categories), found.sources, found.notes]


@FILES
@given(changes=CHANGES)
def test_instances(changes: list[Change], root: Path) -> None:
    path = write(root / "instances.json", changed(INSTANCES, changes))
    found = right_or_refused(lambda: read_instances(path, root / "images"))
    contents = Contents(root / "cache")
    for folder in (root / "images", None):
        direct, indexed = (
            answer_of(lambda read=read, folder=folder: plain_instances(read(folder)))
            for read in (
                lambda folder: read_instances(path, folder), lambda folder: open_instances(path, folder, contents)
            )
        )  # fmt: skip
        assert direct == indexed
    if found is not None:
        assert len(found.images) == len(found.objects) and all(np.isfinite(o.boxes).all() for o in found.objects)
        assert all(image.path.is_file() and root in image.path.parents for image in found.images)
        digest_of_instances(found)
    right_or_refused(lambda: read_object_references(path))


@FILES
@given(changes=CHANGES)
def test_panoptic(changes: list[Change], root: Path) -> None:
    content = changed(PANOPTIC, changes)
    path = write(root / "panoptic.json", content)
    file, contents = SplitFile("val", path, root / "images", root / "maps"), Contents(root / "cache")
    assert answer_of(lambda: open_panoptic(file, contents)) == answer_of(lambda: read_panoptic(file))
    found = right_or_refused(lambda: read_panoptic(file))
    if found is not None:
        assert all(entry.png.is_file() and root in entry.png.parents for entry in found.entries)
    plain = read_instances(write(root / "instances.json", INSTANCES), root / "images")
    results = write(root / "maps.json", content)
    right_or_refused(lambda: read_map_results(results, plain.categories))


@FILES
@given(changes=CHANGES)
def test_captions_and_references(changes: list[Change], root: Path) -> None:
    path = write(root / "captions.json", changed(CAPTIONS, changes))
    file, contents = SplitFile("val", path, root / "images"), Contents(root / "cache")
    assert answer_of(lambda: open_captions(file, contents)) == answer_of(lambda: read_caption_file(file))
    for read in (lambda: read_caption_file(file), lambda: read_references(path)):
        found = right_or_refused(read)
        if found is not None:
            ids = [image.image_id for image in found.images]
            assert ids and len(set(ids)) == len(ids)
            assert all(image.references and all(isinstance(t, str) for t in image.references) for image in found.images)


@FILES
@given(changes=CHANGES)
def test_results(changes: list[Change], root: Path) -> None:
    categories = [Category(1, "cat", {}), Category(2, "sky", {})]
    for content, kind in ((BOXES, "bbox"), (MASKS, "segm")):
        path = write(root / "results.json", changed(content, changes))
        for named in (False, True):
            found = right_or_refused(
                lambda kind=kind, named=named, path=path: read_results(path, categories, kind, named=named)
            )
            if found is not None:
                assert len({outcome.sample_id for outcome in found}) == len(found)
    path = write(root / "captions.json", changed(ANSWERS, changes))
    found = right_or_refused(lambda: read_caption_results(path))
    if found is not None:
        samples = [Sample(i, Path(), None) for i in ("1", "2")]
        right_or_refused(lambda: in_sample_order(samples, found, "caption"))


@FILES
@given(content=st.binary(max_size=40), packed=st.booleans(), cut=st.integers(0, 30))
def test_bytes_that_are_no_json(content: bytes, packed: bool, cut: int, root: Path) -> None:
    path = root / "file.json"
    path.write_bytes(gzip.compress(content)[: -cut or None] if packed else content)
    right_or_refused(lambda: read_json(path))


@FILES
@given(
    pieces=st.lists(
        st.tuples(st.integers(0, len(XML)), LETTERS | st.sampled_from(["<", "</object>", "&#1;", "nan", "-9"]))
    ),
    names=st.lists(LETTERS | st.sampled_from(["1", "2", "1 1"]), max_size=4),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_voc(pieces: list[tuple[int, str]], names: list[str], end: str, root: Path) -> None:
    text = XML
    for place, piece in pieces:
        text = text[:place] + piece + text[place:]
    for folder in ("Annotations", "SegmentationClass", "ImageSets/Main", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for number in (1, 2):
        (root / f"Annotations/{number}.xml").write_bytes(text.encode("utf-8", "surrogatepass"))
        Image.new("L", (8, 6)).save(root / f"SegmentationClass/{number}.png")
    for kind in ("Main", "Segmentation"):
        (root / f"ImageSets/{kind}/val.txt").write_bytes(end.join(names).encode("utf-8", "surrogatepass"))
        right_or_refused(lambda kind=kind: annotated_voc_splits(root, kind))
    found = right_or_refused(lambda: read_voc_instances(root, "val"))
    if found is not None:
        assert {image.sample_id for image in found.images} <= {"1", "2"}
    right_or_refused(lambda: read_voc_labels(root, "val"))


@FILES
@given(
    names=st.lists(LETTERS | st.sampled_from(["1", "2", "a", "é", "e\u0301"]), max_size=5),
    images=st.dictionaries(
        LETTERS | st.sampled_from(["1", "2", "é"]), LETTERS | st.sampled_from(["1", "a"]), max_size=4
    ),
)
def test_predicted_maps(names: list[str], images: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "maps"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name in names:
        try:
            (folder / f"{name}.png").write_bytes(b"")
        except (OSError, ValueError):
            continue  # no file can have this name
    paths = {key: Path("/data") / f"{stem.replace('/', '_')}.jpg" for key, stem in images.items()}
    found = right_or_refused(lambda: read_predicted_maps(folder, paths))
    if found is not None:
        assert list(found) == list(paths) and len(set(found.values())) == len(found)
        right_or_refused(lambda: naming_notes(folder, paths))


@FILES
@given(lines=st.lists(LETTERS | st.sampled_from(["0 a", "255 b", "1 2 3 c", "n00000001 d", "1\tx"]), max_size=5))
def test_class_files_and_label_folders(lines: list[str], root: Path) -> None:
    path = root / "classes.txt"
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    classes = right_or_refused(lambda: read_class_file(path))
    for folder in ("images/val", "annotations/val"):
        (root / folder).mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 6)).save(root / folder / "x.png")
    right_or_refused(lambda: read_label_folders(root, classes))


@FILES
@given(
    ids=st.lists(LETTERS | st.sampled_from(["1", "é", "e\u0301"]), unique=True, max_size=5),
    given_ids=st.lists(LETTERS, max_size=5),
)
def test_outcomes_are_put_beside_their_samples(ids: list[str], given_ids: list[str]) -> None:
    samples = [Sample(key, Path(), None) for key in ids]
    answers = [Outcome(key, number) for number, key in enumerate(ids)]
    assert in_sample_order(samples, answers, "answer") == list(range(len(ids)))
    right_or_refused(lambda: in_sample_order(samples, [Outcome(key, 0) for key in given_ids], "answer"))


@given(name=LETTERS)
def test_any_name_is_looked_for(name: str) -> None:
    assert find_files([Path("/nowhere") / name], Path("/nowhere")) == [None]
