"""`coco-segmentation` on Scenes and on real data in every format: sizes, segments, novel classes, bad input."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.answers import IGNORED, encode_label_map, resize_label_map
from harness.errors import DataError, UsageError
from harness.plan.plugins import _misfit
from harness.protocols import Task, open_data
from harness.sample import Outcome, Sample
from tasks.datasets.split_roles import HELD_OUT
from tasks.scenes import layout
from tasks.scenes.factors import KINDS
from tasks.segmentation.task import coco_segmentation
from tasks.targets.targets import MapTarget

from .scored_maps import PQ_NAMES, MakeContext, perfect, scored


def plain_iou(samples: Sequence[Sample], outcomes: Sequence[Outcome], classes: int) -> list[float]:
    """IoU of each class with a few lines of NumPy, NaN for one that never occurs; predictions at any size."""
    from harness.answers import decode_label_map

    both, either = np.zeros(classes), np.zeros(classes)
    for sample, outcome in zip(samples, outcomes, strict=True):
        truth = sample.target.label_map()
        found = decode_label_map(outcome.prediction)
        rows = (np.arange(truth.shape[0]) + 0.5) * found.shape[0] // truth.shape[0]
        columns = (np.arange(truth.shape[1]) + 0.5) * found.shape[1] // truth.shape[1]
        found = found[rows.astype(int)][:, columns.astype(int)]
        asked = truth != IGNORED
        for label in range(classes):
            here, said = asked & (truth == label), asked & (found == label)
            both[label] += (here & said).sum()
            either[label] += (here | said).sum()
    return [b / e if e else float("nan") for b, e in zip(both, either, strict=True)]


def coarse(samples: Sequence[Sample], side: int, classes: int) -> list[Outcome]:
    """The truth at a lower resolution with some labels changed: what a model answers."""
    source = np.random.default_rng(0)
    outcomes = []
    for sample in samples:
        labels = resize_label_map(sample.target.label_map(), side, side)
        wrong = source.random(labels.shape) < 0.1
        labels = np.where(wrong | (labels == IGNORED), source.integers(0, classes, labels.shape), labels)
        outcomes.append(Outcome(sample.sample_id, encode_label_map(labels.astype(np.uint16))))
    return outcomes


def test_it_is_a_task() -> None:
    assert _misfit(coco_segmentation, Task) is None


def test_scenes_have_kinds_grounds_and_skies(few_scenes: Path, open_context: MakeContext) -> None:
    data = open_data(coco_segmentation, open_context("scenes"))
    samples = coco_segmentation.samples(data, data.default_split)
    spec = coco_segmentation.spec(data, coco_segmentation.samples(data, "train"))
    classes = spec.classes
    assert (data.default_split, len(samples), spec.answers, len(classes)) == ("open", 24, "maps", 51)
    assert classes.names[:40] == tuple(kind.name for kind in KINDS) and classes.names[40:42] == ("grass", "sand")
    assert sum(classes.seen) == 51 - 8 and all(classes.seen[40:])
    assert {len(row) for row in classes.attributes} == {30} and len(set(classes.attributes)) == 51
    for sample in samples:
        labels = sample.target.label_map()
        assert (labels.shape, labels.dtype) == ((128, 128), np.uint16)
        part = "novel" if sample.image.parent.name == "novel" else "test"
        stored = np.asarray(Image.open(layout.map_dir(few_scenes, "semantic", part) / sample.image.name))
        assert (labels == np.where(stored == 255, IGNORED, stored.astype(int) - 1)).all()
    for target in spec.training_targets:
        assert not np.isin(target.label_map(), range(32, 40)).any()
        assert pickle.loads(pickle.dumps(target)) == target


def test_scenes_are_scored_over_kinds_seen_and_unseen(few_scenes: Path, open_context: MakeContext) -> None:
    data = open_data(coco_segmentation, open_context("scenes"))
    samples = coco_segmentation.samples(data, "open")
    best = scored(data, samples, [perfect(sample) for sample in samples])
    names = ("mIoU", "pixel-accuracy", "mean-accuracy", "mIoU-seen", "mIoU-unseen", "hIoU", "PQ-St")
    assert {name: best[name] for name in names} == dict.fromkeys(names, 1.0)
    assert 0.7 < best["PQ-Th"] <= 1, "objects of one kind that touch are one part, and what is cut in two is two"
    for side in (32, 128, 200):
        outcomes = coarse(samples, side, 51)
        ious, found = plain_iou(samples, outcomes, 51), scored(data, samples, outcomes)
        assert found["mIoU"] == pytest.approx(np.nanmean(ious), abs=1e-14)
        novel = slice(32, 40)
        assert found["mIoU-unseen"] == pytest.approx(np.nanmean(ious[novel]), abs=1e-14)
        assert found[f"mIoU:{KINDS[5].name}"] == pytest.approx(ious[5], abs=1e-14, nan_ok=True)
        quick = coco_segmentation.validation_score([o.prediction for o in outcomes], [s.target for s in samples])
        assert quick == pytest.approx(found["mIoU"], abs=1e-12)


def test_without_panoptic_nothing_is_said_of_segments(few_scenes: Path, open_context: MakeContext) -> None:
    plain = open_data(coco_segmentation, open_context("scenes", panoptic=False))
    assert plain.digest == open_data(coco_segmentation, open_context("scenes")).digest
    samples = coco_segmentation.samples(plain, "val")
    assert not set(PQ_NAMES) & set(scored(plain, samples, [perfect(sample) for sample in samples]))
    with pytest.raises(UsageError, match=r"task.panoptic = 'yes'; wanted true or false"):
        open_data(coco_segmentation, open_context("scenes", panoptic="yes"))
    with pytest.raises(UsageError, match=r"The setting 'novel' \(grass\) is for folders"):
        open_data(coco_segmentation, open_context("scenes", novel="grass"))


def test_panoptic_maps_by_hand(panoptic_folder: Path, open_context: MakeContext) -> None:
    data = open_data(coco_segmentation, open_context(panoptic_folder))
    assert (data.options["format"], data.splits, data.default_split) == ("panoptic", ("train", "val", HELD_OUT), "val")
    samples = coco_segmentation.samples(data, "val")
    assert [sample.sample_id for sample in samples] == ["8", "2"]
    target = samples[1].target
    labels = target.label_map()
    assert (target.width_px, target.height_px, labels.shape) == (40, 30, (30, 40))
    classes = coco_segmentation.spec(data, ()).classes
    assert classes.names == ("cat", "dog", "sky"), "by category id"
    assert (labels[0, 0], labels[12, 6], labels[3, 31]) == (2, 1, 0)
    assert (labels[29, 0], labels[22, 22]) == (IGNORED, IGNORED), "unlabelled, and a crowd"
    best = scored(data, samples, [perfect(sample) for sample in samples])
    assert {best[name] for name in ("mIoU", *PQ_NAMES)} == {1.0}


def test_novel_pixels_are_ignored_in_training_and_count_in_tests(
    panoptic_folder: Path, voc_folder: Path, open_context: MakeContext
) -> None:
    for root, novel, pixels in ((panoptic_folder, "dog", 100), (voc_folder, "dog", 20 * 29)):
        data = open_data(coco_segmentation, open_context(root, novel=novel))
        plain = open_data(coco_segmentation, open_context(root))
        classes = coco_segmentation.spec(data, ()).classes
        index = classes.names.index(novel)
        assert [i for i, seen in enumerate(classes.seen) if not seen] == [index]
        assert data.digest != plain.digest
        for split in ("train", HELD_OUT):
            for mine, whole in zip(*(coco_segmentation.samples(d, split) for d in (data, plain)), strict=True):
                was_novel = whole.target.label_map() == index
                labels = mine.target.label_map()
                assert was_novel.sum() == pixels and (labels[was_novel] == IGNORED).all()
                assert (labels[~was_novel] == whole.target.label_map()[~was_novel]).all()
        samples = coco_segmentation.samples(data, "val")
        assert all((sample.target.label_map() == index).any() for sample in samples)
        best = scored(data, samples, [perfect(sample) for sample in samples])
        assert (best["mIoU-seen"], best["mIoU-unseen"], best["hIoU"]) == (1, 1, 1)
    with pytest.raises(UsageError, match=r"task.novel: no class 'wolf'"):
        open_data(coco_segmentation, open_context(panoptic_folder, novel="wolf"))


def test_voc_and_camvid(voc_folder: Path, camvid_folder: Path, open_context: MakeContext, tmp_path: Path) -> None:
    voc = open_data(coco_segmentation, open_context(voc_folder))
    (first, _) = coco_segmentation.samples(voc, "val")
    assert (voc.options["format"], voc.splits) == ("voc", ("train", "val", HELD_OUT))
    assert (first.target.width_px, first.target.height_px) == (40, 30)
    labels = first.target.label_map()
    assert (labels[0, 0], labels[5, 5], labels[5, 30]) == (IGNORED, 12, 0)
    assert not set(PQ_NAMES) & set(scored(voc, [first], [perfect(first)]))

    camvid = open_data(coco_segmentation, open_context(camvid_folder))
    assert (camvid.splits, camvid.selection_split, camvid.default_split) == (
        ("train", "test", HELD_OUT), HELD_OUT, "test",
    )  # fmt: skip
    assert [len(coco_segmentation.samples(camvid, split)) for split in camvid.splits] == [24, 3, 16]
    samples = coco_segmentation.samples(camvid, "test")
    assert [sample.sample_id for sample in samples] == ["test00", "test01", "test02"]
    labels = samples[0].target.label_map()
    assert (labels[0, 0], labels[1, 0], labels[16, 0], labels[21, 0]) == (IGNORED, 0, 3, 8)
    assert scored(camvid, samples, [perfect(s) for s in samples])["mIoU"] == 1.0
    classes = tmp_path / "classes.txt"
    classes.write_text("0 a\n3 b\n8 c\n11 void\n")
    named = open_data(coco_segmentation, open_context(camvid_folder, classes=str(classes)))
    assert coco_segmentation.spec(named, ()).classes.names == ("a", "b", "c")
    assert coco_segmentation.samples(named, "test")[0].target.label_map()[21, 0] == 2


def test_stuff_maps_are_taken_where_no_panoptic_ones_are_or_are_wanted(
    panoptic_folder: Path, open_context: MakeContext
) -> None:
    folder = panoptic_folder / "annotations"
    for split in ("train", "val"):
        content = json.loads((folder / f"panoptic_{split}.json").read_text())
        (folder / f"stuff_{split}.json").write_text(json.dumps(content))
        (folder / f"stuff_{split}_pixelmaps").mkdir()
        for image in content["images"]:
            Image.new("L", (40, 30), 9).save(folder / f"stuff_{split}_pixelmaps/{image['id']}.png")
    assert open_data(coco_segmentation, open_context(panoptic_folder)).options["format"] == "panoptic"
    data = open_data(coco_segmentation, open_context(panoptic_folder, panoptic=False))
    assert data.options["format"] == "pixel-maps"
    samples = coco_segmentation.samples(data, "val")
    assert (samples[0].target.label_map() == 2).all() and samples[0].target.panoptic is None
    found = scored(data, samples, [perfect(sample) for sample in samples])
    assert (found["mIoU"], found["mIoU:sky"], found["mIoU:cat"]) == (1.0, 1.0, None)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("a map", r"A prediction is not a label map"),
        ({"label_map_png": "AAAA"}, r"A prediction is not a label map"),
        (encode_label_map(np.full((4, 4), 3, np.uint16)), r"Image 8 .*labels up to 3; wanted a class of 0..2"),
        (encode_label_map(np.full((4, 4), IGNORED, np.uint16)), r"Image 8 .*labels up to 65535"),
    ],
)
def test_answers_that_are_no_label_maps_are_named(
    answer: Any, message: str, panoptic_folder: Path, open_context: MakeContext
) -> None:
    data = open_data(coco_segmentation, open_context(panoptic_folder))
    samples = coco_segmentation.samples(data, "val")[:1]
    with pytest.raises(DataError, match=message):
        scored(data, samples, [Outcome("8", answer)])


def test_nothing_to_score_is_an_error_and_never_0(panoptic_folder: Path, open_context: MakeContext) -> None:
    data = open_data(coco_segmentation, open_context(panoptic_folder))
    with pytest.raises(DataError, match=r"The split has no samples"):
        coco_segmentation.scorer(data, Path()).prepare([])
    nothing = MapTarget("1", 2, 2, lambda: np.full((2, 2), IGNORED, np.uint16))
    with pytest.raises(DataError, match=r"Not one pixel of 1 images has a class"):
        coco_segmentation.validation_score([encode_label_map(np.zeros((2, 2), np.uint16))], [nothing])
    assert coco_segmentation.ceilings(data, "val", ()) == {}


def test_what_is_broken_on_disk_is_named(
    panoptic_folder: Path, camvid_folder: Path, open_context: MakeContext, paint_in: Callable[..., None], tmp_path: Path
) -> None:
    paint_in(panoptic_folder / "images/8.jpg", (30, 40))
    with pytest.raises(DataError, match=r"8.jpg is 30 x 40 px .*states 40 x 30"):
        open_data(coco_segmentation, open_context(panoptic_folder))
    paint_in(camvid_folder / "test/test00.png", (20, 20))
    data = open_data(coco_segmentation, open_context(camvid_folder))
    with pytest.raises(DataError, match=r"test00.png has 40 x 30 px and .*test00.png 20 x 20 px"):
        coco_segmentation.samples(data, "test")[0].target.label_map()
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match=r"nothing has no label maps .*seen: nothing.*SegmentationClass"):
        open_data(coco_segmentation, open_context(tmp_path / "nothing"))
