"""What decides an answer, as the data knows it: masks and words of Scenes, objects of COCO files, by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.plan.plugins import load_task
from harness.protocols import DataContext, HasEvidence, open_data
from tasks.scenes.generate import write_splits
from tasks.scenes.remarks import CUES
from tasks.scenes_data.labels import read_scene_rows


def opened(task: str, tmp_path: Path, **settings: Any) -> tuple[Any, Any]:
    wanted = load_task(task)
    context = DataContext(
        str(settings.pop("wish", "scenes")), settings.pop("split", None), None, tmp_path, tmp_path / "cache",
        lambda *_: None, settings,
    )  # fmt: skip
    return wanted, open_data(wanted, context)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tasks.scenes import cache_root

    folder = tmp_path_factory.mktemp("evidence")
    write_splits(
        cache_root(folder / "cache"),
        ["train", "val", "test", "refer", "prior-conflict", "novel"],
        processes=1,
        limit=24,
    )
    return folder


def test_the_object_that_is_asked_about_and_its_words(place: Path) -> None:
    for track, split in (("context", "test"), ("reference", "refer"), ("plain", "test")):
        task, data = opened("image-classification", place, track=track)
        samples = task.samples(data, split)
        found = task.evidence(data, split, samples)
        assert all(each is not None and each.mask is not None and each.mask.any() for each in found)
        rows = {str(row["id"]): row for row in read_scene_rows(data, split)}
        for sample, each in zip(samples, found, strict=True):
            assert each is not None and each.cluster == sample.target.image_id
            words = [word.strip(".?,").lower() for word in (sample.text or "").split()]
            said = set(words) & set(each.words)
            if track == "context":
                telling = sample.sample_id.endswith(("honest", "misleading"))
                assert (len(said) == 1) == telling and said <= {cue for cues in CUES.values() for cue in cues}
            if track == "reference":
                assert said == set(each.words) and said
                assert rows[sample.target.image_id]["expression"]["text"] == sample.text


def test_questions_point_at_the_objects_that_they_name(place: Path) -> None:
    task, data = opened("visual-question-answering", place)
    assert isinstance(task, HasEvidence)
    samples = task.samples(data, data.default_split)
    found = task.evidence(data, data.default_split, samples)
    families = {family for sample in samples for family in sample.target.slices}
    assert {"attribute", "ground"} <= families
    for sample, each in zip(samples, found, strict=True):
        if "ground" in sample.target.slices or "sky" in sample.target.slices:
            assert each is None
        if "attribute" in sample.target.slices:
            assert each is not None and each.mask is not None and each.mask.any() and len(each.words) >= 2


def test_captions_of_scenes_are_about_all_objects(place: Path) -> None:
    captions, boxes = opened("coco-caption", place), opened("coco-detection", place)
    of_objects = dict(
        zip(
            (sample.target.image_id for sample in boxes[0].samples(boxes[1], "test")),
            boxes[0].evidence(boxes[1], "test", boxes[0].samples(boxes[1], "test")),
            strict=True,
        )
    )
    samples = captions[0].samples(captions[1], "test")
    for sample, each in zip(samples, captions[0].evidence(captions[1], "test", samples), strict=True):
        assert each is not None and np.array_equal(each.mask, of_objects[sample.sample_id].mask)


def test_captions_of_coco_are_about_the_objects_that_they_mention(tmp_path: Path) -> None:
    root = tmp_path / "coco"
    (root / "annotations").mkdir(parents=True)
    texts = {1: "a kitten on a bench", 2: "nothing to see", 3: "a dog"}
    for split in ("train", "val"):
        (root / f"{split}2017").mkdir()
        images = [{"id": n, "file_name": f"{n}.png", "width": 20, "height": 10} for n in texts]
        for image in images:
            Image.new("RGB", (20, 10)).save(root / f"{split}2017" / str(image["file_name"]))
        said = [{"id": n, "image_id": n, "caption": text} for n, text in texts.items()]
        rows = [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 3, 4, 5], "area": 20, "iscrowd": 0},
            {"id": 2, "image_id": 1, "category_id": 2, "bbox": [10, 0, 5, 5], "area": 25, "iscrowd": 0},
            {"id": 3, "image_id": 2, "category_id": 1, "bbox": [0, 0, 20, 10], "area": 200, "iscrowd": 0},
        ]
        names = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
        for kind, content in (("captions", {"annotations": said}), ("instances", {"annotations": rows})):
            content = {"images": images, "categories": names, **content}
            (root / "annotations" / f"{kind}_{split}2017.json").write_text(json.dumps(content), encoding="utf-8")
    task, data = opened("coco-caption", tmp_path, wish=str(root))
    samples = task.samples(data, data.default_split)
    first, *others = task.evidence(data, data.default_split, samples)
    assert first is not None and first.mask.sum() == 20 and first.mask[3:8, 2:6].all()
    assert others == [None, None], "nothing that is there is mentioned, and nothing that is mentioned is annotated"


def test_masks_of_coco_files_and_of_boxes(tmp_path: Path) -> None:
    root = tmp_path / "coco"
    (root / "annotations").mkdir(parents=True)
    for split in ("train", "val"):
        (root / f"{split}2017").mkdir()
        images = []
        for number in (1, 2):
            Image.new("RGB", (20, 10)).save(root / f"{split}2017" / f"{number}.png")
            images.append({"id": number, "file_name": f"{number}.png", "width": 20, "height": 10})
        rows = [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 3, 4, 5], "area": 20, "iscrowd": 0},
            {"id": 2, "image_id": 1, "category_id": 2, "bbox": [10, 0, 5, 5], "area": 25, "iscrowd": 0,
             "segmentation": [[10, 0, 15, 0, 15, 5, 10, 5]]},
            {"id": 3, "image_id": 2, "category_id": 1, "bbox": [0, 0, 20, 10], "area": 200, "iscrowd": 0},
        ]  # fmt: skip
        names = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
        content = {"images": images, "annotations": rows, "categories": names}
        (root / "annotations" / f"instances_{split}2017.json").write_text(json.dumps(content), encoding="utf-8")
    for name, wanted in (("image-classification", 45), ("zero-shot-classification", 25), ("coco-detection", 45)):
        task, data = opened(name, tmp_path, wish=str(root))
        samples = task.samples(data, data.default_split)
        found = dict(zip((s.sample_id for s in samples), task.evidence(data, data.default_split, samples), strict=True))
        mask = found[next(key for key in found if str(key).lstrip("0") in ("1", "1.png"))].mask
        assert mask.shape == (10, 20) and mask.sum() == wanted, name
        assert mask[:5, 10:15].all() and bool(mask[3:8, 2:6].all()) == (wanted == 45)


def test_masks_are_fitted_as_images_are() -> None:
    from harness.jobs.explain_job import fitted_mask
    from harness.sample import Preprocessing

    mask = np.zeros((20, 40), bool)
    mask[:, :20] = True
    assert fitted_mask(mask, Preprocessing(10, fit="squash"))[:, :5].all()
    padded = fitted_mask(mask, Preprocessing(10, fit="pad"))
    assert padded[:5, :5].all() and not padded[5:].any() and not padded[:, 5:].any()
