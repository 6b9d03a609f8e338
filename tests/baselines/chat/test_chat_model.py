"""What a chat model is asked and how its words are read; folders that cannot be asked end in messages."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from baselines.chat.model import parse_chat_name
from baselines.prompts.prompt import RenderedPrompt
from harness.answers import CAPTIONS, CHOICES, LABELS, NO_CLASS
from harness.cell import ModelOptions
from harness.errors import BenchError, CheckpointError, DataError, UsageError
from harness.sample import Batch, NoAnswer

from .tiny_chats import FAMILIES

Ask = Callable[..., Batch]
Chat = Callable[..., Any]
Folder = Callable[[str], Path]


@pytest.fixture
def copied(chat_folder: Folder, tmp_path: Path) -> Path:
    return Path(shutil.copytree(chat_folder("smolvlm"), tmp_path / "model"))


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (None, "has no chat template"),
        ("{% for m in messages %}{{ m['content'][-1]['text'] }}{% endfor %}", "has no slot for an image"),
        ("{% for m in messages %}<image>hello{% endfor %}", "leaves out what the user says"),
        ("{{ raise_exception('no') }}", "cannot be filled with user"),
        ("{% for m in messages %}{{ m.content[-1].text }", "cannot be filled with user"),
    ],
)
def test_a_template_that_cannot_ask_is_refused(copied: Path, chat: Chat, template: str | None, message: str) -> None:
    place = copied / "chat_template.jinja"
    assert place.is_file()
    place.unlink() if template is None else place.write_text(template, encoding="utf-8")
    with pytest.raises(CheckpointError, match=message):
        chat(copied)
    with pytest.raises(CheckpointError, match=message.removesuffix(" with user")):
        parse_chat_name(f"chat:{copied}").recipe(ModelOptions(answers=CAPTIONS))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_template_that_can_ask_passes_while_a_run_is_planned(family: str, chat_folder: Folder) -> None:
    parse_chat_name(f"chat:{chat_folder(family)}").recipe(ModelOptions(answers=CAPTIONS))


def test_what_only_the_processor_knows_is_left_to_it(copied: Path) -> None:
    template = copied / "chat_template.jinja"
    for source in ("{{ a_mark.of_its_own.that_is_nowhere }}", "{% generation %}<image>Zebras say 7{% endgeneration %}"):
        template.write_text(source + template.read_text(encoding="utf-8"), encoding="utf-8")
        parse_chat_name(f"chat:{copied}").recipe(ModelOptions(answers=CAPTIONS))


def test_a_folder_without_a_processor_is_refused(copied: Path, chat: Chat) -> None:
    for name in ("processor_config.json", "preprocessor_config.json"):
        (copied / name).unlink(missing_ok=True)
    with pytest.raises(CheckpointError, match="processor"):
        chat(copied)
    model = parse_chat_name(f"chat:{copied}")
    with pytest.raises(CheckpointError, match=r"has no processor.*it has none of processor_config"):
        model.recipe(ModelOptions(answers=CAPTIONS))
    (copied / "processor_config.json").write_text("{}", encoding="utf-8")
    for path in copied.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(CheckpointError, match="it has no tokenizer"):
        model.recipe(ModelOptions(answers=CAPTIONS))


@pytest.mark.parametrize(
    ("name", "message"),
    [("chat:", "neither a folder"), ("chat:three/parts/long", "neither a folder"), ("chat:./gone", "no folder")],
)
def test_names_that_mean_nothing_are_told(name: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        parse_chat_name(name).recipe(ModelOptions(answers=CAPTIONS))


def test_names_of_folders_and_repositories(chat_folder: Folder) -> None:
    assert parse_chat_name(f"chat:{chat_folder('smolvlm')}").folder == chat_folder("smolvlm")
    assert parse_chat_name("chat:org/name@v1").repository == "org/name@v1"


def test_the_number_format_is_the_checkpoints_own(copied: Path) -> None:
    model = parse_chat_name(f"chat:{copied}")
    assert "dtype" not in model.settled(ModelOptions(answers=LABELS), "cpu", lambda wish: wish).settings
    path = copied / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "dtype": "bfloat16"}))
    options = model.settled(ModelOptions(answers=LABELS), "cpu", lambda wish: wish)
    assert options.settings["dtype"] == "bf16"
    assert model.recipe(options)["dtype"] == "bfloat16"
    wish = model.settled(ModelOptions(answers=LABELS, settings={"dtype": "fp32"}), "cpu", lambda wish: wish)
    assert "dtype" not in wish.settings


def test_prompts_are_those_of_the_file_or_the_first_of_the_tool(chat_folder: Folder, tmp_path: Path) -> None:
    model, own = parse_chat_name(f"chat:{chat_folder('smolvlm')}"), tmp_path / "mine.toml"
    own.write_text('[[labels]]\nname="x"\nuser="X?"\n[[labels]]\nname="y"\nuser="Y?"\n')

    def names(**settings: Any) -> tuple[str, ...]:
        return tuple(model.prompt_names(ModelOptions(answers=LABELS, settings=settings)))

    assert names() == ("one-of",)
    assert names(prompts="builtin")[:2] == ("one-of", "best-name")
    assert names(prompts=str(own)) == ("x", "y")
    assert names(prompts=str(own), prompt_name="y") == ("y",)
    assert names(prompt_name="reversed") == ("reversed",)
    chosen = ModelOptions(answers=LABELS, settings={"prompts": str(own), "prompt_name": "y"})
    assert model.recipe(chosen)["prompt"] == {"name": "y", "user": "Y?"}
    with pytest.raises(UsageError, match=r"no prompt 'z'"):
        names(prompts=str(own), prompt_name="z")
    whole = ModelOptions(answers=LABELS, settings={"prompts": "builtin", "prompt_name": "one-of"})
    alone = ModelOptions(answers=LABELS, settings={"prompt_name": "one-of"})
    assert model.settled(whole, "cpu", lambda w: w) == model.settled(alone, "cpu", lambda w: w), "one cell, not two"


def test_classes_in_words_are_read_or_unparsed_and_counted(chat: Chat, asked: Ask) -> None:
    learner = chat("smolvlm", LABELS, options_by="generation")
    rendered = RenderedPrompt("", "Which?", ("cat", "red fox", "dog", "traffic light"))
    said = {"It is a dog.": 2, "(B)": 1, "not a dog": NO_CLASS, "a cat or a dog": NO_CLASS, "hm": NO_CLASS}
    assert [learner._read(each, rendered, ()) for each in said] == list(said.values())
    assert isinstance(learner._read("", rendered, ()), NoAnswer)
    told = learner.checkpoint_settings()
    assert (told["answers_read"], told["unparsed"]) == (5, 3)
    with torch.inference_mode():
        found = learner.predict(asked(4))
        assert found == [learner.predict(asked(1, row))[0] for row in range(4)]
    assert all(isinstance(each, int | NoAnswer) for each in found)


def test_questions_are_scored_where_they_have_options_and_said_where_not(chat: Chat, asked: Ask) -> None:
    learner = chat("smolvlm", "answers")
    with torch.inference_mode():
        scored = learner.predict(asked(3, choices=("yes", "no")))
        said = learner.predict(asked(3))
    assert all(len(scores) == 2 and max(scores) < 0 for scores in scored)
    assert all(isinstance(each, str | NoAnswer) for each in said)
    assert learner.reads == ("text",)
    assert "Is it red?" in learner.checkpoint_settings()["first_prompt"]


def test_letters_are_scored_in_the_order_of_the_options(chat: Chat, asked: Ask) -> None:
    forward = chat("smolvlm", CHOICES, prompt_name="letters")
    choices = ("one", "two", "three")
    with torch.inference_mode():
        scores = forward.predict(asked(1, choices=choices))[0]
    assert len(scores) == 3
    backward = chat("smolvlm", CHOICES, prompt_name="letters-reversed")
    with torch.inference_mode():
        turned = backward.predict(asked(1, choices=choices[::-1]))[0]
    assert turned[::-1] == pytest.approx(scores, abs=1e-5), "the same is shown, and the same letters are right"


def test_a_mark_of_the_template_in_a_question_is_refused(chat: Chat, asked: Ask) -> None:
    batch = asked(1)
    marked = Batch(batch.sample_ids, None, ("<image> What?",), choices=((),), pictures=batch.pictures)
    with pytest.raises(DataError, match="sample s0 holds <image>"):
        chat("smolvlm", "answers").predict(marked)


def test_a_template_with_a_blank_before_answers_scores_the_blank_too(chat: Chat) -> None:
    template = chat("llava", CAPTIONS)._template
    opened = template.text(RenderedPrompt("", "Which?"))
    assert (opened[-10:], template.lead, template.end.strip()) == ("ASSISTANT:", " ", "<|end|>")
    (ids,) = template.answer_ids(["a dog"], opened)
    assert template.tokenizer.decode(ids) == " a dog"
    assert template.clean(" a dog<|end|> USER: more") == "a dog"


def test_a_model_that_is_placed_or_offloaded_answers_as_one_in_memory(chat: Chat, asked: Ask) -> None:
    """`device_map=auto` of what fits stays where it is; weights that lie elsewhere come in for each layer."""
    from copy import deepcopy

    from accelerate import cpu_offload

    batch = asked(2, choices=("a", "a red circle"))
    with torch.inference_mode():
        plain = chat("smolvlm", CHOICES).predict(batch)
        placed = chat("smolvlm", CHOICES, device_map="auto")
        assert placed.predict(batch) == plain
        away = deepcopy(placed)
        cpu_offload(away.model, execution_device=torch.device("cpu"))
        assert next(away.model.parameters()).device.type == "meta"
        assert away.predict(batch) == plain
        question = [0], [away._asked(batch, 0)], [away._image(batch.pictures[0])]
        assert away._said(*question) == placed._said(*question)


def test_quantised_loading_is_refused_without_a_gpu(chat_folder: Callable[[str], Path]) -> None:
    model = parse_chat_name(f"chat:{chat_folder('smolvlm')}")
    with pytest.raises(UsageError, match=r"model\.quantise=8bit: bitsandbytes needs a GPU, not cpu"):
        model.settled(ModelOptions(answers=CAPTIONS, settings={"quantise": "8bit"}), "cpu", lambda wish: wish)
