"""Texts scored as captions by pretrained captioners: against each network's own forward pass, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from baselines.pretrained.catalog import parse_model_name
from harness.answers import CHOICES
from harness.cell import DecodeOptions, ModelOptions, TrainOptions
from harness.errors import CheckpointError, DataError, UsageError
from harness.protocols import BuildContext
from harness.sample import Batch, TaskSpec

from .taking import fitted

Folders = Callable[[str], Path]
TEXTS = ("a red cat", "the blue circle on a square", "dog")


def build(folder: Path, **settings: Any) -> Any:
    options = ModelOptions(settings=settings, answers=CHOICES)
    context = BuildContext(options, TrainOptions(), DecodeOptions(), seed=0, cache=Path("unused"))
    model = parse_model_name(f"hf:{folder}")
    model.recipe(options)
    return model.build(TaskSpec("compositional-foils", (), CHOICES), context).eval()


@torch.inference_mode()
def scores(learner: Any, images: Sequence[Image.Image], choices: Sequence[tuple[str, ...]]) -> Any:
    visual = learner.vision(fitted(learner, images))
    names = tuple(str(row) for row in range(len(images)))
    sizes = tuple(image.size for image in images)
    return learner.predict(Batch(names, visual, (None,) * len(images), sizes=sizes, choices=tuple(choices)))


def by_forward(learner: Any, image: Image.Image, text: str) -> float:
    """The same by one call of the network's forward: what it reads, and the logits of the last places."""
    ids = [3] if not text else [*learner._processor.tokenizer(text, add_special_tokens=False)["input_ids"], 3]
    batch = Batch(("0",), learner.vision(fitted(learner, [image])), (None,), sizes=(image.size,))
    inputs = dict(learner.network_inputs(batch, [0]))
    network = type(learner.model).__name__
    if network == "VisionEncoderDecoderModel":
        read = {**inputs, "decoder_input_ids": torch.tensor([[2, *ids[:-1]]])}
    else:
        known = inputs.pop("input_ids", torch.tensor([[2]]))
        if network == "Blip2ForConditionalGeneration":  # without a prompt: the queries' places, then the first token
            known = torch.tensor([[4, 4, 4, 4, 2]])
        inputs = {name: value for name, value in inputs.items() if name == "pixel_values"}
        whole = torch.cat([known, torch.tensor([ids[:-1]], dtype=torch.long)], dim=1)
        read = {**inputs, "input_ids": whole, "attention_mask": torch.ones_like(whole)}
    logits = learner.model(**read).logits[0, -len(ids) :].float().log_softmax(-1)
    return float(logits[torch.arange(len(ids)), torch.tensor(ids)].sum())


@pytest.mark.parametrize("name", ["blip", "git", "blip2", "vision_encoder_decoder", "llava"])
def test_a_text_scores_as_the_networks_forward_says(name: str, checkpoint: Folders, pictures: Any) -> None:
    learner = build(checkpoint(name))
    learner._likelihood._lead = []
    choices = (TEXTS, TEXTS[:1], (TEXTS[2], ""), TEXTS)
    found = scores(learner, pictures, choices)
    with torch.inference_mode():
        for image, texts, own in zip(pictures, choices, found, strict=True):
            assert own == pytest.approx([by_forward(learner, image, text) for text in texts], abs=2e-3)
    assert abs(found[0][0] - found[3][0]) > 1e-6, "images make a difference"


@pytest.mark.parametrize("name", ["instructblip", "smolvlm"])
def test_scores_do_not_depend_on_the_batch(name: str, checkpoint: Folders, pictures: Any) -> None:
    learner = build(checkpoint(name), option_score="mean")
    together = scores(learner, pictures, [TEXTS] * len(pictures))
    for image, own in zip(pictures, together, strict=True):
        alone = [scores(learner, [image], [(text,)])[0][0] for text in TEXTS]
        assert own == pytest.approx(alone, abs=2e-3)


def test_settings_of_generation_do_not_enter_and_the_record_says_what_stands_around_a_text(
    checkpoint: Folders, pictures: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "blip"
    shutil.copytree(checkpoint("blip"), folder)
    file = folder / "generation_config.json"
    more = {"repetition_penalty": 5.0, "no_repeat_ngram_size": 1, "min_length": 9}
    file.write_text(json.dumps({**json.loads(file.read_text()), **more}))
    plain, odd = build(checkpoint("blip")), build(folder)
    twice = [("cat cat cat", *TEXTS)] * 2
    assert scores(odd, pictures[:2], twice) == scores(plain, pictures[:2], twice)
    assert plain.checkpoint_settings()["text_ends_with"] == "[SEP]"
    by_mean = build(folder, option_score="mean", prompt="the red")
    assert not by_mean.checkpoint_settings()["text_begins_with"]
    by_mean = build(folder, option_score="mean")
    total, mean = (scores(each, pictures[:1], [TEXTS])[0] for each in (plain, by_mean))
    assert mean == pytest.approx([total[0] / 4, total[1] / 7, total[2] / 2], abs=1e-5)
    assert parse_model_name(f"hf:{folder}").recipe(ModelOptions(answers=CHOICES))["option_score"] == "sum"
    assert "option_score" not in parse_model_name(f"hf:{folder}").recipe(ModelOptions(answers="captions"))


def test_what_has_no_likelihood_is_refused(checkpoint: Folders, pictures: Any, tmp_path: Path) -> None:
    learner = build(checkpoint("blip"))
    with pytest.raises(DataError, match=r"choice of sample 0 holds \[SEP\], which this model's tokenizer"):
        scores(learner, pictures[:1], [("a [SEP] cat", "a cat")])
    with pytest.raises(UsageError, match=r"model\.option_score=max: wanted sum or mean"):
        build(checkpoint("blip"), option_score="max")
    learner.model.generate = lambda **_: torch.zeros(1, 3)
    with pytest.raises(CheckpointError, match="does not give the logits of each step"):
        scores(learner, pictures[:1], [TEXTS])
    with pytest.raises(UsageError, match="is a classifier and answers with labels, not with choices"):
        build(checkpoint("vit"))
