"""Networks that read class texts: OWL-ViT, OWLv2, Grounding DINO and CLIPSeg against the library's own path."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from baselines.pretrained.class_prompts import ClassPrompts, class_prompts
from baselines.pretrained.grounding_detector import grounding_texts
from baselines.pretrained.transformers_loading import load_image_processor
from harness.errors import UsageError
from harness.sample import Classes

from .taking import OBJECTS, REGIONS, Folders, answers, build, classes, label_maps, photographs, seen
from .tiny_networks import reader

SHAPES = photographs([(96, 60), (60, 96), (80, 80)])
SEVERAL = Classes(("person", "tv"), (("a photo of a person", "person"), ("tv",)))


@pytest.mark.parametrize("name", ["owlvit", "owlv2"])
@pytest.mark.parametrize("known", [classes(*OBJECTS), SEVERAL])
def test_owl_equals_its_own_forward_and_post_processing(name: str, known: Classes, checkpoint: Folders) -> None:
    from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor

    folder = checkpoint(name)
    own, processor = AutoModelForZeroShotObjectDetection.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    pairs = [(text, number) for number, texts in enumerate(known.texts) for text in texts]
    learner = build(folder, known)
    for image in SHAPES:
        text = processor(text=[[text for text, _ in pairs]], return_tensors="pt")
        # OWLv2's own pixels differ by a grey level (test_image_geometry), so it is asked with the benchmark's
        pixels = load_image_processor(folder)(image, return_tensors="pt")["pixel_values"]
        pixels = learner.vision(square(learner, image)) if name == "owlv2" else pixels
        with torch.inference_mode():
            outputs = own(pixel_values=pixels, **text)
        size = [(image.height, image.width)]
        (result,) = processor.post_process_grounded_object_detection(outputs, threshold=0.0, target_sizes=size)
        expected = rows(result, [number for _, number in pairs], image)
        found = answers(learner, [image])[0]
        assert len(found) == len(expected) > 0
        np.testing.assert_allclose(np.array(found), np.array(expected), atol=1e-5)


def square(learner: Any, image: Any) -> torch.Tensor:
    from .taking import fitted

    return fitted(learner, [image])


def rows(result: Any, class_of_label: list[int], image: Any) -> list[list[float]]:
    """Turn the library's boxes in pixels into answers."""
    found = []
    for score, label, box in zip(result["scores"], result["labels"], result["boxes"].tolist(), strict=True):
        left, top, right, bottom = (min(max(x / side, 0), 1) for x, side in zip(box, image.size * 2, strict=True))
        if right > left and bottom > top:
            found.append([class_of_label[int(label)], float(score), left, top, right - left, bottom - top])
    return sorted(found, key=lambda row: -row[1])


@pytest.mark.parametrize("names", [OBJECTS, ("tv", "couch", "sky")])
def test_grounding_dino_scores_a_class_by_the_mean_of_its_tokens(names: tuple[str, ...], checkpoint: Folders) -> None:
    from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor

    folder = checkpoint("grounding_dino")
    own, processor = AutoModelForZeroShotObjectDetection.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    learner = build(folder, Classes(names, tuple((name,) for name in names)))
    for image in SHAPES:
        inputs = processor(images=image, text=[list(names)], return_tensors="pt")
        inputs["pixel_values"] = load_image_processor(folder)(image, return_tensors="pt")["pixel_values"]
        del inputs["pixel_mask"]
        with torch.inference_mode():
            outputs = own(**inputs)
        size = [(image.height, image.width)]
        (result,) = processor.post_process_grounded_object_detection(
            outputs, inputs["input_ids"], threshold=0.0, text_threshold=0.0, target_sizes=size
        )
        expected = []
        for number, name in enumerate(names):
            words = processor.tokenizer(name, add_special_tokens=False)["input_ids"]
            (start,) = places_of(words, inputs["input_ids"][0].tolist())
            scores = outputs.logits[0].sigmoid()[:, start : start + len(words)].mean(dim=1)
            labels = torch.full_like(scores, number)
            expected += rows({"scores": scores, "labels": labels, "boxes": result["boxes"]}, list(range(9)), image)
        expected.sort(key=lambda row: -row[1])
        found = answers(learner, [image])[0]
        assert len(found) == len(expected) > 0
        np.testing.assert_allclose(np.array(found), np.array(expected), atol=1e-5)


def places_of(part: list[int], whole: list[int]) -> list[int]:
    return [start for start in range(len(whole)) if whole[start : start + len(part)] == part]


def test_many_classes_go_into_several_texts() -> None:
    tokenizer = reader("bert")
    prompts = ClassPrompts(("Person", "traffic light.", "bicycle", "couch", "tv"), (0, 1, 2, 3, 3))
    texts = list(grounding_texts(tokenizer, prompts, longest=8))
    assert [text.class_of_phrase for text in texts] == [(0, 1), (2, 3, 3)]
    assert all(text.inputs["input_ids"].shape[1] <= 8 for text in texts)
    words = [tokenizer.convert_ids_to_tokens(text.inputs["input_ids"][0].tolist()) for text in texts]
    assert words[0] == ["<begin>", "person", ".", "traffic", "light", ".", "<end>"]
    assert texts[0].tokens_of_phrase.tolist() == [[0, 1, 0, 0, 0, 0, 0], [0, 0, 0, 1, 1, 0, 0]]
    assert set(texts[0].inputs) == {"input_ids", "attention_mask", "token_type_ids"}
    (whole,) = grounding_texts(tokenizer, prompts, longest=64)
    assert whole.class_of_phrase == (0, 1, 2, 3, 3)
    with pytest.raises(UsageError, match="more than 4 tokens"):
        list(grounding_texts(tokenizer, ClassPrompts(("person", "traffic light person tv"), (0, 1)), longest=4))


def test_grounding_dino_reads_more_classes_than_fit_into_one_text(checkpoint: Folders) -> None:
    names = tuple(f"{first} {second}" for first in ("person", "sky", "tv") for second in ("couch", "tree", "wall"))
    learner = build(checkpoint("grounding_dino"), classes(*names))
    assert len(learner._texts) > 1
    together = answers(learner, SHAPES)
    assert {row[0] for answer in together for row in answer} == set(range(9))
    for one, other in zip(together, answers(learner, SHAPES, 1), strict=True):
        np.testing.assert_allclose(np.array(one), np.array(other), atol=1e-5)


@pytest.mark.parametrize("names", [("person", "sky", "tree"), ("background", "person", "sky")])
def test_clipseg_equals_its_own_forward_for_each_text(names: tuple[str, ...], checkpoint: Folders) -> None:
    from transformers import AutoProcessor, CLIPSegForImageSegmentation

    folder = checkpoint("clipseg")
    own, processor = CLIPSegForImageSegmentation.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    learner = build(folder, classes(*names))
    asked = [name for name in names if name != "background"]
    for image in SHAPES:
        text = processor(text=[f"a photo of a {name}" for name in asked], padding=True, return_tensors="pt")
        pixels = load_image_processor(folder)(image, return_tensors="pt")["pixel_values"]
        torch.testing.assert_close(seen(learner, image), pixels, atol=1e-5, rtol=0)
        with torch.inference_mode():
            logits = own(pixel_values=pixels.expand(len(asked), -1, -1, -1), **text).logits
            tolerance = 1e-5 * max(1.0, float(logits.abs().max()))
            torch.testing.assert_close(learner.logits(pixels), logits, atol=tolerance, rtol=1e-5)
            size = (image.height, image.width)
            scores = F.interpolate(logits[None], size=size, mode="bilinear", align_corners=False)[0]
        if "background" in names:
            expected = torch.where(scores.max(0).values > 0, scores.argmax(0) + 1, 0)
        else:
            expected = scores.argmax(0)
        found = label_maps(answers(learner, [image]))[0]
        assert found.shape == (image.height, image.width)
        assert (found == expected.numpy()).mean() > 0.999  # all but ties


def test_texts_of_a_class_all_speak_for_it() -> None:
    assert class_prompts(SEVERAL).class_of_text == (0, 0, 1)
    assert class_prompts(Classes(("person", "tv"))).texts == ("person", "tv")
    with pytest.raises(UsageError, match="no classes"):
        class_prompts(Classes())


def test_texts_and_their_classes_move_with_the_learner(checkpoint: Folders) -> None:
    for name, buffer in (("owlvit", "queries"), ("clipseg", "embeddings")):
        learner = build(checkpoint(name), classes(*REGIONS))
        assert buffer in dict(learner.named_buffers())
        assert buffer not in learner.state_dict()
