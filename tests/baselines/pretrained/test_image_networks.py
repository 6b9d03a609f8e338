"""Classifiers, detectors and segmenters of transformers with tiny random weights against the library's own path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from baselines.pretrained.object_detector import MOST_BOXES, box_answer
from baselines.pretrained.segmenter import map_size
from baselines.pretrained.transformers_loading import load_image_processor
from harness.errors import CheckpointError, UsageError
from harness.protocols import Learner
from harness.sample import Classes

from .taking import OBJECTS, REGIONS, Folders, answers, build, classes, label_maps, photographs, seen

CLASSIFIERS = {"vit": ("cat", "red fox", "Tench"), "convnext": ("cat", "dog")}
DETECTORS = ("detr", "conditional_detr", "deformable_detr", "rt_detr", "yolos")
SEGMENTERS = ("segformer", "upernet", "beit", "dpt", "maskformer", "mask2former", "oneformer")
TEXT_GUIDED = {"owlvit": OBJECTS, "owlv2": OBJECTS, "grounding_dino": OBJECTS, "clipseg": REGIONS}
KNOWN = {**CLASSIFIERS, **dict.fromkeys(DETECTORS, OBJECTS), **dict.fromkeys(SEGMENTERS, REGIONS), **TEXT_GUIDED}
SHAPES = photographs([(96, 60), (60, 96), (80, 80), (96, 60), (150, 60), (64, 48), (96, 60)])


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_answers_do_not_depend_on_the_batch(name: str, checkpoint: Folders) -> None:
    learner = build(checkpoint(name), classes(*KNOWN[name]))
    together = answers(learner, SHAPES)
    for batch_size in (1, 3):
        apart = answers(learner, SHAPES, batch_size)
        if isinstance(together[0], dict):
            for one, other in zip(label_maps(together), label_maps(apart), strict=True):
                assert np.array_equal(one, other)
        else:
            for one, other in zip(together, apart, strict=True):
                np.testing.assert_allclose(np.array(one), np.array(other), atol=1e-5, rtol=0)
    reversed_answers = answers(learner, SHAPES[::-1])[::-1]
    for one, other in zip(together, reversed_answers, strict=True):
        if isinstance(one, dict):
            assert one == other
        else:
            np.testing.assert_allclose(np.array(one), np.array(other), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_answers_have_the_shape_and_range_of_their_kind(name: str, checkpoint: Folders) -> None:
    known = classes(*KNOWN[name])
    learner = build(checkpoint(name), known)
    assert isinstance(learner, Learner)
    groups = learner.parameter_groups()
    assert (groups.language, groups.vision, groups.new) == ((), (), ())
    found = answers(learner, SHAPES)
    assert len(found) == len(SHAPES)
    for answer, image in zip(found, SHAPES, strict=True):
        if isinstance(answer, dict):
            (labels,) = label_maps([answer])
            assert labels.shape == (image.height, image.width)
            assert labels.max() < len(known)
        elif name in CLASSIFIERS:
            assert len(answer) == len(known)
            assert min(answer) >= 0
            assert sum(answer) == pytest.approx(1, abs=1e-6)
        else:
            check_boxes(answer, known)


@pytest.mark.parametrize("name", ["convnext", "detr", "rt_detr", "owlv2", "maskformer", "oneformer", "clipseg"])
def test_a_checkpoint_without_trained_weights_loads_again(name: str, checkpoint: Folders, tmp_path: Path) -> None:
    from harness.jobs.checkpoints import read_checkpoint, write_checkpoint
    from harness.jobs.train import trained_state

    known = classes(*KNOWN[name])
    learner, again = build(checkpoint(name), known), build(checkpoint(name), known)
    state = trained_state(learner)
    assert not {key for key, parameter in learner.named_parameters()} & set(state)
    digest = write_checkpoint(state, tmp_path / "checkpoint.safetensors")
    read_checkpoint(again, tmp_path / "checkpoint.safetensors", digest)
    assert answers(again, SHAPES[:2]) == answers(learner, SHAPES[:2])


def check_boxes(answer: Any, known: Classes) -> None:
    assert 0 < len(answer) <= MOST_BOXES
    table = np.array(answer)
    assert table.shape[1] == 6
    assert set(table[:, 0]) <= set(range(len(known)))
    assert all(isinstance(row[0], int) for row in answer)
    assert ((table[:, 1:] >= 0) & (table[:, 1:] <= 1)).all()
    assert (table[:, 4:] > 0).all()
    assert (table[:, 2:4] + table[:, 4:] <= 1 + 1e-6).all()
    assert (np.diff(table[:, 1]) <= 0).all()


@pytest.mark.parametrize("name", sorted(CLASSIFIERS))
def test_probabilities_are_those_of_the_labels_that_mean_a_class(name: str, checkpoint: Folders) -> None:
    from transformers import AutoModelForImageClassification

    folder = checkpoint(name)
    own, processor = AutoModelForImageClassification.from_pretrained(folder), load_image_processor(folder)
    labels = {"vit": [3, 1, 0], "convnext": [1, 0]}[name]
    learner = build(folder, classes(*CLASSIFIERS[name], "unknown thing"))
    for image in SHAPES[:3]:
        with torch.inference_mode():
            logits = own(**processor(image, return_tensors="pt")).logits[0]
        expected = [*logits[labels].softmax(0).tolist(), 0.0]
        np.testing.assert_allclose(answers(learner, [image])[0], expected, atol=1e-5)


def test_two_labels_of_one_class_are_added(checkpoint: Folders) -> None:
    learner = build(checkpoint("vit"), classes("tench", "cat"))
    learner._kept, learner._class_of_kept = [0, 1, 3], [0, 0, 1]
    image = SHAPES[:1]
    with torch.inference_mode():
        expected = learner.logits(seen(learner, image[0]))[0, [0, 1, 3]].softmax(0)
    assert answers(learner, image)[0] == pytest.approx([float(expected[:2].sum()), float(expected[2])])


@pytest.mark.parametrize("name", DETECTORS)
def test_boxes_equal_the_processors_own_post_processing(name: str, checkpoint: Folders) -> None:
    from transformers import AutoModelForObjectDetection

    folder = checkpoint(name)
    own, processor = AutoModelForObjectDetection.from_pretrained(folder), load_image_processor(folder)
    names = own.config.id2label
    meant = {"motorbike": "motorcycle", "sofa": "couch", "tvmonitor": "tv"}
    learner = build(folder, classes(*OBJECTS))
    for image in SHAPES[:3]:
        with torch.inference_mode():
            outputs = own(**processor(images=image, return_tensors="pt"))
        size = [(image.height, image.width)]
        (result,) = processor.post_process_object_detection(outputs, threshold=0.0, target_sizes=size)
        expected = []
        for score, label, box in zip(result["scores"], result["labels"], result["boxes"].tolist(), strict=True):
            title = meant.get(names[int(label)], names[int(label)])
            left, top, right, bottom = (min(max(x / side, 0), 1) for x, side in zip(box, image.size * 2, strict=True))
            if title in OBJECTS and right > left and bottom > top:
                expected.append([OBJECTS.index(title), float(score), left, top, right - left, bottom - top])
        expected.sort(key=lambda row: -row[1])
        found = answers(learner, [image])[0]
        assert len(found) == len(expected) > 0
        np.testing.assert_allclose(np.array(found), np.array(expected), atol=1e-5)


@pytest.mark.parametrize("name", SEGMENTERS)
@pytest.mark.parametrize("regions", [REGIONS, ("wall", "tree_merged", "cat")])
def test_label_maps_equal_the_processors_own_post_processing(
    name: str, regions: tuple[str, ...], checkpoint: Folders
) -> None:
    import transformers

    folder = checkpoint(name)
    kind = "AutoModelForSemanticSegmentation" if name in SEGMENTERS[:4] else "AutoModelForUniversalSegmentation"
    own, processor = getattr(transformers, kind).from_pretrained(folder), load_image_processor(folder)
    extra = {}
    if name == "oneformer":
        whole = transformers.AutoProcessor.from_pretrained(folder)
        extra = {"task_inputs": whole(SHAPES[0], ["semantic"], return_tensors="pt")["task_inputs"]}
    learner = build(folder, classes(*regions))
    # wall, person, sky and tree-merged are the labels; whatever has no class is background, where there is one
    class_of_label = [3, 0, 1, 2] if regions == REGIONS else [0, None, None, 1]
    kept = [label for label, number in enumerate(class_of_label) if number is not None]
    for image in SHAPES[:3]:
        with torch.inference_mode():
            outputs = own(pixel_values=processor(image, return_tensors="pt")["pixel_values"], **extra)
        size = [(image.height, image.width)]
        (result,) = processor.post_process_semantic_segmentation(
            outputs, target_sizes=size, return_segmentation_scores=True
        )
        best = result.segmentation_scores[kept].argmax(0)
        if regions == REGIONS:
            assert torch.equal(best, result.segmentation)
        expected = np.array([class_of_label[label] for label in kept])[best.numpy()]
        assert np.array_equal(label_maps(answers(learner, [image]))[0], expected)


def test_large_images_get_smaller_maps() -> None:
    assert map_size((640, 480), 150) == (640, 480)
    width, height = map_size((6000, 4000), 150)
    assert width * height * 150 <= 2**28
    assert width / height == pytest.approx(1.5, abs=0.01)
    assert map_size((1, 1), 2**30) == (1, 1)


def test_boxes_outside_and_labels_without_a_class_are_left_out() -> None:
    corners = torch.tensor([[-0.5, 0.2, 0.5, 0.4], [1.2, 0, 1.5, 1], [0, 0, 1, 1], [0.1, 0.1, 0.2, 0.2], [0, 0, 1, 1]])
    scores, labels = torch.tensor([0.5, 0.9, 0.8, 0.6, 0.7]), torch.tensor([0, 0, 1, 2, 9])
    found = box_answer(corners, scores, labels, (4, None, 1))
    assert [row[0] for row in found] == [1, 4]
    np.testing.assert_allclose(found[1], [4, 0.5, 0, 0.2, 0.5, 0.2], atol=1e-6)
    assert box_answer(corners[:0], scores[:0], labels[:0], (0,)) == []


def test_data_with_several_labels_an_image_is_refused(checkpoint: Folders) -> None:
    with pytest.raises(UsageError, match="several \\(multi-label\\)"):
        build(checkpoint("vit"), classes("cat", "dog", multilabel=True))


@pytest.mark.parametrize("name", ["vit", "detr", "segformer"])
def test_other_classes_are_refused_with_both_sides(name: str, checkpoint: Folders) -> None:
    with pytest.raises(UsageError, match=r"None of the 2 classes \('zeppelin', 'gnu'\).*0 matched"):
        build(checkpoint(name), classes("zeppelin", "gnu"))


@pytest.mark.parametrize("name", ["vit", "detr", "owlvit", "segformer", "oneformer", "clipseg"])
def test_a_checkpoint_without_its_processor_is_refused(name: str, checkpoint: Folders, tmp_path: Path) -> None:
    folder = copied(checkpoint(name), tmp_path, leave="processor")
    with pytest.raises(CheckpointError, match=r"has no .*processor.* that can be loaded.*save_pretrained"):
        build(folder, classes(*KNOWN[name]))


def test_a_checkpoint_that_was_saved_without_its_head_is_refused(checkpoint: Folders, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = copied(checkpoint("vit"), tmp_path)
    state = load_file(folder / "model.safetensors")
    save_file({k: v for k, v in state.items() if "classifier" not in k}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match=r"lacks 2 weights of ViTForImageClassification \(first: classifier"):
        build(folder, classes("cat"))


def test_detr_with_a_backbone_of_timm_is_loaded_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    from .tiny_networks import timm_detr

    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a network was used"))
    network, processor = timm_detr()
    network.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    content = json.loads(path.read_text())
    del content["backbone_config"]  # as facebook/detr-resnet-50 says it
    path.write_text(json.dumps({**content, "backbone": "test_resnet", "use_timm_backbone": True, "dilation": False}))
    learner = build(tmp_path, classes(*OBJECTS))
    for mine, theirs in zip(learner.model.state_dict().values(), network.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)
    check_boxes(answers(learner, SHAPES[:1])[0], classes(*OBJECTS))


def copied(folder: Path, target: Path, leave: str = "\0") -> Path:
    """Copy a checkpoint but for the files with a word in their names."""
    import shutil

    for path in folder.iterdir():
        if leave not in path.name:
            shutil.copy(path, target)
    return target
