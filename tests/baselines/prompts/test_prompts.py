"""Files of prompts and what becomes of them: slots, listed options, and what is refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baselines.api.answering import Answering
from baselines.api.replies import Reply
from baselines.api.settings import GENERATION, ApiSettings
from baselines.prompts.prompt import Prompt, render, said_in_own_order
from baselines.prompts.prompt_file import choose_prompt, read_prompts
from harness.errors import UsageError

KINDS = ("captions", "labels", "labels:unseen", "answers", "choices")


@pytest.mark.parametrize("kind", KINDS)
def test_the_tools_own_file_has_several_prompts_of_each_kind(kind: str) -> None:
    every, first = read_prompts("builtin", kind), read_prompts("", kind)
    assert len(every) >= 3
    assert first == every[:1]
    for prompt in every:
        rendered = render(prompt, question="Is it red?", options=("yes", "no"), text="A remark.")
        assert rendered.user
        assert "{" not in rendered.user + rendered.system
        assert len(set(rendered.answers)) == 2


def test_options_are_listed_as_texts_or_letters_in_either_order() -> None:
    texts, letters = Prompt("t", "{options}?"), Prompt("l", "{options}", options="letters")
    back = Prompt("b", "{options}", options="letters", reversed=True)
    options = ("cat", "dog", "owl")
    assert render(texts, options=options).user == "cat, dog, owl?"
    assert render(texts, options=options).answers == options
    assert render(letters, options=options).user == "(A) cat\n(B) dog\n(C) owl"
    assert render(letters, options=options).answers == ("A", "B", "C")
    assert render(back, options=options).user == "(A) owl\n(B) dog\n(C) cat"
    assert render(back, options=options).answers == ("C", "B", "A")


def test_a_line_whose_slot_is_empty_is_left_out() -> None:
    prompt = Prompt("p", "{text}\nLook. {question}\nOne of {options}.", "Be {{brief}}. {text}")
    assert render(prompt, question="Red?").user == "Look. Red?"
    assert render(prompt, question="Red?").system == ""
    assert render(prompt, question="Red?", text="Night.", options=("a", "b")).user == "Night.\nLook. Red?\nOne of a, b."
    assert render(prompt, text="Night.").system == "Be {brief}. Night."
    assert render(Prompt("p", "a {options}", without_options="b")).user == "b"


@given(st.text(max_size=30))
def test_what_stands_in_a_slot_is_no_template(text: str) -> None:
    said = text.strip()
    assert render(Prompt("p", "Ask: {question}"), question=text).user == (f"Ask: {said}".strip() if said else "")


def test_too_many_letters_are_refused() -> None:
    with pytest.raises(UsageError, match="27 of them"):
        render(Prompt("p", "{options}", options="letters"), options=[str(n) for n in range(27)])


def file(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_file_of_ones_own_is_taken_whole(tmp_path: Path) -> None:
    text = '[[labels]]\nname="a"\nuser="What? {options}"\n[[labels]]\nname="b"\nuser="Which? {options}"\n'
    path = file(tmp_path, text + '[["labels:unseen"]]\nname="c"\nuser="New?"\n')
    assert [prompt.name for prompt in read_prompts(path, "labels")] == ["a", "b"]
    assert [prompt.name for prompt in read_prompts(path, "labels:unseen")] == ["c"]
    assert choose_prompt(read_prompts(path, "labels"), "b").user == "Which? {options}"
    assert choose_prompt(read_prompts(path, "labels"), "").name == "a"
    with pytest.raises(UsageError, match=r"no prompt for choices \(it has: labels, labels:unseen\)"):
        read_prompts(path, "choices")
    with pytest.raises(UsageError, match=r"no prompt 'bb'\. Did you mean"):
        choose_prompt(read_prompts(path, "labels"), "bb")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[caption]]\nname="a"\nuser="b"', "'caption' is no kind of answer. Did you mean 'captions'"),
        ('captions = "b"', "wanted tables"),
        ('[[captions]]\nname="a"', "has no user"),
        ('[[captions]]\nname=" "\nuser="b"', "has no name"),
        ('[[captions]]\nname="a"\nuser="b"\nsytem="c"', "unknown key 'sytem'. Did you mean 'system'"),
        ('[[captions]]\nname="a"\nuser=3', "user = 3; wanted text"),
        ('[[labels]]\nname="a"\nuser="b"\nreversed="yes"', "wanted true or false"),
        ('[[labels]]\nname="a"\nuser="b"\noptions="numbers"', "options = 'numbers'"),
        ('[[labels]]\nname="a"\nuser="b"\noptions="letters"', r"user has no \{options\}"),
        ('[[labels]]\nname="a"\nuser="{option}"', r"slot \{option\}. Did you mean 'options'"),
        ('[[captions]]\nname="a"\nuser="{options}"', r"slot \{options\}"),
        ('[[answers]]\nname="a"\nuser="{options}"', "nothing would be asked"),
        ('[[answers]]\nname="a"\nuser="{question}"\nwithout_options="Say."', "nothing would be asked"),
        ('[[labels]]\nname="a"\nuser="b {"', "write a brace as"),
        ('[[labels]]\nname="a"\nuser="{}"', "is no slot"),
        ('[[labels]]\nname="a"\nuser="{text:>9}"', "is no slot"),
        ('[[labels]]\nname="a"\nuser="b"\n[[labels]]\nname="a"\nuser="c"', "two prompts of labels are called 'a'"),
        ("[[labels]", "cannot be read as TOML"),
    ],
)
def test_a_wrong_file_is_refused_wherever_it_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_prompts(file(tmp_path, text), "labels")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"No file .*none\.toml"):
        read_prompts(str(tmp_path / "none.toml"), "labels")


def test_a_letter_of_a_reversed_list_is_read_as_the_option_that_stood_there() -> None:
    """The scorer of questions knows the options' own order alone."""
    reply = SimpleNamespace(reply=lambda body: Reply("(A)", "stop", {}, (), None, None))
    bodies: Any = SimpleNamespace(ask=lambda *asked: b"")
    for prompt, said in [
        (Prompt("a", "{question} {options}", options="letters", reversed=True), "dog"),
        (Prompt("b", "{question} {options}", options="letters"), "(A)"),
        (Prompt("c", "{question} {options}", reversed=True), "(A)"),
    ]:
        answering = Answering("answers", prompt, GENERATION, 0, bodies, reply, ApiSettings())  # type: ignore[arg-type]
        assert answering.answer(None, "Which?", ("cat", "dog")) == said
    reversed_letters = Prompt("a", "{options}", options="letters", reversed=True)
    assert said_in_own_order(reversed_letters, "neither", ("cat", "dog")) == "neither"
    assert said_in_own_order(reversed_letters, "a cat", ()) == "a cat"
