"""Every family of chat models answers alike whatever the batch, sees its image, and scores options as it should."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch

from baselines.chat.conversation import messages
from baselines.chat.option_likelihood import answer_log_likelihoods
from baselines.prompts.prompt import RenderedPrompt
from harness.answers import CAPTIONS, CHOICES, LABELS
from harness.errors import CheckpointError
from harness.sample import Batch, NoAnswer

from .tiny_chats import FAMILIES

pytestmark = pytest.mark.filterwarnings("ignore:.*__array__.*:DeprecationWarning")  # PaliGemma's processor
Ask = Callable[..., Batch]
Chat = Callable[..., Any]
OPTIONS = ("a", "a red circle", "blue", "two small squares on the left")
PREFIX_READERS = ("paligemma",)
"""They read a question in both directions and an answer in one: read whole, both would be read in both."""


@pytest.fixture(params=list(FAMILIES))
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def alone(learner: Any, batch_of: Ask, count: int, **more: Any) -> list[Any]:
    with torch.inference_mode():
        return [learner.predict(batch_of(1, number, **more))[0] for number in range(count)]


def test_words_do_not_depend_on_the_batch_and_hold_no_prompt(family: str, chat: Chat, asked: Ask) -> None:
    learner = chat(family, CAPTIONS)
    with torch.inference_mode():
        together = learner.predict(asked(5))
    assert together == alone(learner, asked, 5)
    said = [answer for answer in together if not isinstance(answer, NoAnswer)]
    assert said, "five samples, and nothing is said"
    assert not any("Describe" in answer or "<|" in answer for answer in said)


def test_an_image_makes_a_difference_and_c5_sees_none(family: str, chat: Chat, asked: Ask) -> None:
    with torch.inference_mode():
        seen = chat(family, CHOICES).predict(asked(4, choices=OPTIONS))
        if family in PREFIX_READERS:  # whose processor wants an image with every text
            with pytest.raises(CheckpointError, match=r"no control C5.*blank-image"):
                chat(family, CHOICES, control="C5").predict(asked(1, choices=OPTIONS))
            return
        blind = chat(family, CHOICES, control="C5").predict(asked(4, choices=OPTIONS))
    assert seen[0] != seen[3], "the same text beside another image"
    assert blind[0] == blind[3]
    assert blind[0] != blind[1], "another text"
    assert not chat(family, CHOICES, control="C5").takes_pictures


def test_likelihoods_by_cache_are_those_of_reading_all_again(family: str, chat: Chat, asked: Ask) -> None:
    """The second implementation reads question and answer at once, without a cache, one answer at a time."""
    learner = chat(family, CHOICES)
    template, batch = learner._template, asked(1)
    rendered, image = RenderedPrompt("", "What is it?"), learner._image(batch.pictures[0])
    inputs = learner._inputs([rendered], [image])
    ids = template.answer_ids(OPTIONS, template.text(rendered))
    assert max(map(len, ids)) > 5
    with torch.inference_mode():
        found = answer_log_likelihoods(learner.model, inputs, ids)
        in_parts = answer_log_likelihoods(learner.model, inputs, ids, most_tokens=1)
    assert [len(each) for each in found] == [len(each) for each in ids]
    for one, other in zip(found, in_parts, strict=True):
        assert one == pytest.approx(other, abs=1e-4)
    if family not in PREFIX_READERS:
        for one, answer in zip(found, ids, strict=True):
            assert one == pytest.approx(read_again(learner.model, inputs, answer), abs=1e-4)


def read_again(model: Any, inputs: dict[str, Any], answer: list[int]) -> list[float]:
    length, more = inputs["input_ids"].shape[1], torch.tensor([answer])
    whole = {**inputs, "input_ids": torch.cat([inputs["input_ids"], more], 1)}
    whole["attention_mask"] = torch.ones_like(whole["input_ids"])
    for name in ("mm_token_type_ids", "token_type_ids"):
        if name in inputs:
            whole[name] = torch.cat([inputs[name], torch.zeros_like(more)], 1)
    if "cross_attention_mask" in inputs:
        seen = inputs["cross_attention_mask"]
        whole["cross_attention_mask"] = torch.cat([seen, seen[:, -1:].expand(-1, len(answer), -1, -1)], 1)
    with torch.inference_mode():
        logs = model(**whole, use_cache=False).logits[0].float().log_softmax(-1)
    return [float(logs[length - 1 + place, token]) for place, token in enumerate(answer)]


def test_classes_get_probabilities_by_sum_and_mean(family: str, chat: Chat, asked: Ask) -> None:
    by_sum, by_mean = chat(family, LABELS), chat(family, LABELS, option_score="mean")
    with torch.inference_mode():
        summed, meant = by_sum.predict(asked(2)), by_mean.predict(asked(2))
    assert summed == alone(by_sum, asked, 2)
    for answer in (*summed, *meant):
        assert len(answer) == 4
        assert sum(answer) == pytest.approx(1)
    assert summed != meant


def test_the_record_says_what_was_read(family: str, chat: Chat, asked: Ask) -> None:
    learner = chat(family, LABELS)
    with torch.inference_mode():
        learner.predict(asked(1))
    told = learner.checkpoint_settings()
    json.dumps(told, allow_nan=False)
    assert "cat, red fox, dog, traffic light" in told["first_prompt"]
    assert {"input_ids", "pixel_values"} <= set(told["first_tensors"])
    assert told["ends_at"] == ["<|end|>"]
    assert messages(RenderedPrompt("", "x"), image=True)[0]["content"][0] == {"type": "image"}
