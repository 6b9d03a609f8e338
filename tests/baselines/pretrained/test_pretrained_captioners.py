"""Pretrained captioners with tiny random checkpoints: what they see, answer and refuse."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from baselines.pretrained import transformers_captioner
from baselines.pretrained.catalog import parse_model_name
from harness.cell import DecodeOptions, ModelOptions, TrainOptions
from harness.errors import BenchError, CheckpointError, UsageError
from harness.inputs.images import fit_image
from harness.protocols import BuildContext, HasCheckpointSettings, Learner
from harness.sample import Batch, TaskSpec

FIXED = ("blip", "git", "blip2", "instructblip", "llava")
ANY_SIZE = ("idefics3", "smolvlm")
EVERY = (*FIXED, *ANY_SIZE)
Folders = Callable[[str], Path]


def build(name: str, *, beams: int = 1, **settings: Any) -> Any:
    context = BuildContext(
        ModelOptions(settings=settings),
        TrainOptions(),
        DecodeOptions(max_tokens=6, beams=beams),
        seed=0,
        cache=Path("unused"),
    )
    return parse_model_name(name).build(TaskSpec("coco-caption", ()), context)


def pixels(learner: Any, images: Sequence[Image.Image]) -> torch.Tensor:
    fitted = [np.asarray(fit_image(image, learner.vision.preprocessing)) for image in images]
    return torch.from_numpy(np.stack(fitted)).permute(0, 3, 1, 2)


def answers(learner: Any, images: Sequence[Image.Image]) -> list[str]:
    names = tuple(str(index) for index in range(len(images)))
    with torch.inference_mode():
        visual = learner.vision(pixels(learner, images))
        sizes = tuple(image.size for image in images)
        return list(learner.predict(Batch(names, visual, (None,) * len(images), sizes=sizes)))


@pytest.mark.parametrize("name", FIXED)
def test_the_model_sees_what_its_own_processor_would_give(
    name: str, checkpoint: Folders, pictures: list[Image.Image]
) -> None:
    from transformers import AutoImageProcessor

    folder = checkpoint(name)
    learner = build(f"hf:{folder}")
    own = AutoImageProcessor.from_pretrained(folder, backend="pil")
    for image in pictures:
        expected = own(image, return_tensors="pt")["pixel_values"]
        torch.testing.assert_close(learner.vision(pixels(learner, [image])), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", EVERY)
def test_answers_are_clean_text_and_do_not_depend_on_the_batch(
    name: str, checkpoint: Folders, pictures: list[Image.Image]
) -> None:
    learner = build(f"hf:{checkpoint(name)}")
    together = answers(learner, pictures)
    alone = [answers(learner, [image])[0] for image in pictures]
    assert together == alone == answers(learner, pictures)
    assert any(together)
    assert not any(mark in text for text in together for mark in ("[", "]", "<", "\n", "  "))
    assert all(len(text.split()) <= 6 for text in together)


@pytest.mark.parametrize("name", ANY_SIZE)
def test_a_processor_of_any_size_is_given_the_upright_image_as_it_is(
    name: str, checkpoint: Folders, pictures: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = build(f"hf:{checkpoint(name)}", image_size=80)
    given: list[Any] = []
    process = transformers_captioner.process
    monkeypatch.setattr(
        transformers_captioner,
        "process",
        lambda own, images, prompt: given.extend(images) or process(own, images, prompt),
    )
    answers(learner, pictures)
    assert [image.size for image in given] == [(64, 48), (48, 72), (40, 40), (80, 40)], "only the last is too long"
    for seen, image in zip(given[:3], pictures[:3], strict=True):
        assert np.array_equal(np.asarray(seen), np.asarray(image))


@pytest.mark.parametrize("name", ANY_SIZE)
def test_answers_of_any_size_equal_the_librarys_own(
    name: str, checkpoint: Folders, pictures: list[Image.Image]
) -> None:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    folder = checkpoint(name)
    model, processor = AutoModelForImageTextToText.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    learner = build(f"hf:{folder}")
    expected = []
    for image in pictures:
        text = learner._prompt
        inputs = processor(images=[image], text=[text], return_tensors="pt")
        ids = model.generate(**inputs, do_sample=False, max_new_tokens=6)
        expected.append(processor.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
    assert answers(learner, pictures) == [" ".join(text.split()) for text in expected]


def test_the_generation_settings_of_a_checkpoint_are_told(checkpoint: Folders, tmp_path: Path) -> None:
    folder = tmp_path / "blip"
    shutil.copytree(checkpoint("blip"), folder)
    file = folder / "generation_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "repetition_penalty": 1.5}))
    learner = build(f"hf:{folder}")
    assert isinstance(learner, HasCheckpointSettings)
    told = learner.checkpoint_settings()
    assert told["repetition_penalty"] == 1.5 and "transformers_version" not in told
    assert "repetition_penalty" not in build(f"hf:{checkpoint('blip')}").checkpoint_settings()


@pytest.mark.parametrize("name", ["blip", "llava"])
def test_answers_equal_the_librarys_own_generation(name: str, checkpoint: Folders, pictures: list[Image.Image]) -> None:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    folder = checkpoint(name)
    model, processor = (
        AutoModelForImageTextToText.from_pretrained(folder),
        AutoProcessor.from_pretrained(folder),
    )
    text = {"text": "<image> Describe the image in one short sentence."} if name == "llava" else {}
    learner = build(f"hf:{folder}")
    for image in pictures:
        inputs = processor(images=image, return_tensors="pt", **text)
        inputs["pixel_values"] = learner.vision(pixels(learner, [image]))
        ids = model.generate(**inputs, do_sample=False, max_new_tokens=6)
        start = inputs["input_ids"].shape[1] if text else 0
        assert answers(learner, [image]) == [processor.decode(ids[0, start:], skip_special_tokens=True)]


@pytest.mark.parametrize("name", ["blip", "blip2", "instructblip", "llava"])
def test_a_prompt_is_obeyed_and_not_repeated(name: str, checkpoint: Folders, pictures: list[Image.Image]) -> None:
    folder = checkpoint(name)
    prompted = answers(build(f"hf:{folder}", prompt="the red circle"), pictures)
    assert not any(text.startswith("the red circle") for text in prompted)
    recipe = parse_model_name(f"hf:{folder}").recipe(ModelOptions(settings={"prompt": "the red circle"}))
    assert recipe["prompt"] == "the red circle"


def test_beams_are_passed_on(checkpoint: Folders, coca_folder: Path, pictures: list[Image.Image]) -> None:
    for name in (f"hf:{checkpoint('blip')}", f"open_clip:local-dir:{coca_folder}"):
        learner = build(name, beams=3)
        assert answers(learner, pictures) == [answers(learner, [image])[0] for image in pictures]


def test_coca_sees_open_clips_own_preprocessing(coca_folder: Path, pictures: list[Image.Image]) -> None:
    import open_clip

    learner = build(f"open_clip:local-dir:{coca_folder}")
    _, _, own = open_clip.create_model_and_transforms(f"local-dir:{coca_folder}")
    for image in pictures:
        torch.testing.assert_close(learner.vision(pixels(learner, [image]))[0], own(image), atol=1e-5, rtol=0)


def test_coca_answers_are_greedy_and_do_not_depend_on_the_batch(coca_folder: Path, pictures: list[Image.Image]) -> None:
    learner = build(f"open_clip:local-dir:{coca_folder}")
    together = answers(learner, pictures)
    assert together == [answers(learner, [image])[0] for image in pictures]
    assert any(together)
    assert not any("_of_text" in text for text in together)
    with torch.inference_mode():
        image = learner.vision(pixels(learner, pictures[:1]))
        first = learner.model(image, torch.tensor([[49406]]), output_labels=False)["logits"][0, -1].clone()
        first[[0, 49406, 49407]] = -torch.inf
    word = learner._vocabulary.decode([int(first.argmax())])
    assert together[0].replace(" ", "").startswith(word.replace(" ", ""))


def test_an_architecture_with_a_local_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import open_clip

    file = tmp_path / "weights.pt"
    torch.save({"a": torch.zeros(1)}, file)
    with pytest.raises(CheckpointError, match="this very architecture"):
        build(f"open_clip:coca_ViT-B-32/{file}")
    monkeypatch.setattr(open_clip, "create_model_and_transforms", lambda *_, **__: (torch.nn.Linear(1, 1), 0, 0))
    with pytest.raises(UsageError, match="only CoCa writes text"):
        build(f"open_clip:ViT-B-32/{file}")


def test_code_in_a_pickle_is_not_run(tmp_path: Path) -> None:
    file, marker = tmp_path / "weights.pt", tmp_path / "it ran"
    torch.save(Trap(marker), file)
    with pytest.raises(CheckpointError, match=r"safely|very architecture"):
        build(f"open_clip:coca_ViT-B-32/{file}")
    assert not marker.exists()


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


def test_nothing_is_trained(checkpoint: Folders) -> None:
    from harness.jobs.train import trained_state

    learner = build(f"hf:{checkpoint('git')}")
    assert isinstance(learner, Learner)
    assert not learner.vision_frozen
    groups = learner.parameter_groups()
    assert (groups.language, groups.vision, groups.new) == ((), (), ())
    with pytest.raises(BenchError, match="cannot be trained"):
        learner.loss(Batch(("0",), None, (None,)), torch.Generator())
    learner.train()
    assert not learner.training
    assert not learner.model.training
    weights = sum(parameter.numel() for parameter in learner.parameters())
    assert sum(tensor.numel() for tensor in trained_state(learner).values()) < weights


def test_a_folder_that_is_no_captioner_is_refused(tmp_path: Path, checkpoint: Folders) -> None:
    from transformers import BertConfig, BertModel

    BertModel(BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, vocab_size=9)).save_pretrained(
        tmp_path
    )
    with pytest.raises(UsageError, match=r"is BertModel .*Served are captioners \(hf:Salesforce/blip"):
        build(f"hf:{tmp_path}")
