"""What is sent, what comes of replies for each kind of answer, and that nothing is asked twice."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from baselines.api.image_bytes import png_bytes
from harness.answers import NO_CLASS
from harness.errors import UsageError
from harness.plan.plugins import load_model
from harness.sample import NoAnswer
from tests.baselines.api.conftest import batch, picture
from tests.chat_server import Asked, Said, chat_server, colour_of, looking

CLASSES = ("red", "green", "blue")


def lettered(asked: Asked) -> Said:
    """Answer by letters where they are asked for, three parts in four sure of the right one."""
    colour = colour_of(asked.image)
    letters = {line[1]: line for line in asked.text.splitlines() if line.startswith("(") and line[2:3] == ")"}
    right = next((letter for letter, line in letters.items() if line.endswith(colour)), None)
    if not letters or right is None:
        return colour
    return {letter: 0.75 if letter == right else 0.25 / (len(letters) - 1) for letter in letters}


def test_a_png_is_sent_byte_for_byte_and_other_formats_without_loss(learner: Any, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (30, 20, 3), np.uint8)
    png, jpeg, clear, palette = (tmp_path / name for name in ("a.png", "b.jpg", "c.png", "d.png"))
    Image.fromarray(noise).save(png, compress_level=9)
    Image.fromarray(noise).save(jpeg)
    Image.fromarray(noise).convert("RGBA").save(clear)
    Image.fromarray(noise).convert("P").save(palette)
    with chat_server(lambda asked: looking(asked)) as server:
        learner(server.name).predict(batch([png, jpeg, clear, palette, noise]))
        sent = {each.raw: each.image for each in server.asked if "Which colour" not in each.text}
    images = list(sent.values())
    assert len(images) == 4 and png.read_bytes() in images  # clear, with its alpha dropped, is `noise` itself
    decoded = [np.asarray(Image.open(io.BytesIO(image or b""))) for image in images]
    wanted = [noise, np.asarray(Image.open(jpeg)), np.asarray(Image.open(palette).convert("RGB"))]
    assert all(any(np.array_equal(one, other) for other in decoded) for one in wanted)
    assert all(image is not None and image.startswith(b"\x89PNG") for image in images)


def test_a_turned_photograph_is_sent_upright(tmp_path: Path) -> None:
    pixels = np.zeros((4, 8, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("a.jpg", "a.png"):
        Image.fromarray(pixels).save(tmp_path / name, exif=exif)
        with Image.open(io.BytesIO(png_bytes(tmp_path / name))) as sent:
            assert sent.size == (4, 8)


def test_every_parameter_of_sampling_is_sent_and_recorded(learner: Any) -> None:
    with chat_server() as server:
        mine = learner(server.name, temperature=0.5, extra='{"top_k": 1, "seed": null}')
        mine.predict(batch([picture("red")]))
        sent = dict(server.asked[-1].body)
        report = mine.service_report()
    messages = sent.pop("messages")
    assert sent == report["sent"] == {
        "model": "model", "max_tokens": 30, "temperature": 0.5, "top_p": 1.0, "frequency_penalty": 0.0,
        "presence_penalty": 0.0, "n": 1, "stream": False, "top_k": 1,
    }  # fmt: skip
    assert [part["type"] for part in messages[0]["content"]] == ["image_url", "text"]
    assert report["key"] == "none was sent"


@pytest.mark.parametrize("kind", ["labels", "labels:unseen"])
def test_classes_by_log_probabilities_of_letters_and_by_words(learner: Any, kind: str) -> None:
    images = batch([picture(colour) for colour in CLASSES])
    with chat_server(lettered) as server:
        mine = learner(server.name, kind, CLASSES)
        answers = mine.predict(images)
        assert np.allclose(answers, np.full((3, 3), 0.125) + np.eye(3) * 0.625)
        assert mine.service_report()["options_by"] == "first-token"
        server.logprobs = False
        by_words = learner(server.name, kind, CLASSES, options_by="generation")
        assert by_words.predict(images) == [0, 1, 2]
        server.answer = lambda asked: "It is not red." if "Which colour" not in asked.text else looking(asked)
        unsure = learner(server.name, kind, ("red", "pink"), options_by="generation")
        assert unsure.predict(batch([picture("red")])) == [NO_CLASS]
        assert unsure.service_report()["unparsed"] == 1


def test_choices_and_answers(learner: Any) -> None:
    images = [picture("red"), picture("blue")]
    with chat_server(lettered) as server:
        chosen = learner(server.name, "choices").predict(batch(images, choices=[("a green", "a red"), ("red", "blue")]))
        assert [int(np.argmax(scores)) for scores in chosen] == [1, 1]
        said = learner(server.name, "answers").predict(
            batch(images, ["Which colour?", "Is it blue?"], [("red", "blue"), ()])
        )
        assert int(np.argmax(said[0])) == 0 and said[1] == "blue"
        server.logprobs = False
        plain = learner(server.name, "answers", options_by="generation")
        assert plain.predict(batch(images, ["Which colour?"] * 2, [("red", "blue")] * 2)) == ["red", "blue"]
        by_words = learner(server.name, "choices", options_by="generation")
        assert by_words.predict(batch(images[:1], choices=[("a green", "a red")])) == [[0.0, 1.0]]


def test_reworded_classes_are_offered_by_their_new_names(learner: Any) -> None:
    with chat_server() as server:
        mine = learner(server.name, "labels", ("red", "green"), options_by="generation")
        mine.reword([("a photo of a green",), ("a phto of a gren",)])
        mine.predict(batch([picture("red")]))
        assert "green, a phto of a gren." in server.asked[-1].text


def test_what_was_asked_is_not_asked_again_but_every_byte_counts(learner: Any) -> None:
    images = batch([picture("red", 20), picture("red", 21), picture("red", 20)])
    with chat_server() as server:
        learner(server.name, price_in=2.0, price_out=4.0).predict(images)
        asked = server.count
        again = learner(server.name, price_in=2.0, price_out=4.0)
        assert again.predict(images) == ["red"] * 3 and server.count == asked
        report = again.service_report()
        assert report["requests"] == {"asked": 0, "cached": 3, "failed": 0, "retries": 0, "cut": 0}
        tokens = 3 * (256 + 7), 3
        assert (report["tokens"]["prompt"], report["tokens"]["completion"]) == tokens
        assert report["cost"]["total"] == pytest.approx((tokens[0] * 2 + tokens[1] * 4) / 1e6)
        assert report["cost"]["this_run"] == 0 and report["latency"] == {}
        changed = np.array(picture("red", 20))
        changed[0, 0, 0] += 1
        again.predict(batch([changed]))
        assert server.count == asked + 1
        server.models = [{"id": "model", "owned_by": "test", "max_model_len": 99}]  # another model under the same name
        learner(server.name).predict(batch([picture("red", 20)]))
        assert server.count > asked + 2


def test_answers_come_in_order_whatever_is_done_first(learner: Any) -> None:
    import time

    def slow_first(asked: Asked) -> Said:
        time.sleep(0.3 if asked.image and Image.open(io.BytesIO(asked.image)).size[0] == 20 else 0)
        return str(Image.open(io.BytesIO(asked.image or b"")).size[0]) if asked.image else "none"

    parts = [batch([picture("red", 20 + 3 * n + m) for m in range(3)]) for n in range(4)]
    with chat_server(slow_first) as server, learner(server.name).answering() as begin:
        found = [wait() for wait in [begin(part) for part in parts]]
    assert found == [[str(20 + 3 * n + m) for m in range(3)] for n in range(4)]


def test_what_no_request_can_ask_for_is_refused(learner: Any) -> None:
    with chat_server() as server:
        model = load_model(server.name)
        assert model.controls_for("captions") == ("C5",)
        with pytest.raises(UsageError, match="has the control C5"):
            model.with_control("C2")
        many = learner(server.name, "labels", [f"class {n}" for n in range(40)], options_by="first-token")
        with pytest.raises(Exception, match="for 40 options"):
            many.predict(batch([picture("red")]))
        with pytest.raises(UsageError, match=r"shows no \{options\}"):
            learner(server.name, "choices", prompt_name="sentence").predict(
                batch([picture("red")], choices=[("a", "b")])
            )
        assert not any(isinstance(answer, NoAnswer) for answer in learner(server.name).predict(batch([picture("red")])))


def test_the_recipe_holds_what_is_asked_and_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.cell import ModelOptions

    monkeypatch.setenv("OPENAI_API_KEY", "sk-this-is-a-key-4711")
    recipe = load_model("api:http://localhost:1/v1#m").recipe(ModelOptions(answers="labels"))
    text = json.dumps(recipe)
    assert "sk-this" not in text and recipe["url"] == "http://localhost:1/v1" and recipe["temperature"] == 0.0
    assert next(prompt["name"] for prompt in recipe["prompts"]) == "one-of"


def test_each_prompt_of_a_file_is_a_cell_and_without_one_the_server_decides(tmp_path: Path) -> None:
    from harness.cell import ModelOptions

    model: Any = load_model("api:http://localhost:1/v1#m")
    wish = ModelOptions(answers="captions", settings={"prompts": "builtin"})
    assert model.prompt_names(wish) == ("sentence", "caption", "shown")
    assert model.prompt_names(ModelOptions(answers="captions")) == ("",)
    one = ModelOptions(answers="captions", settings={"prompts": "builtin", "prompt_name": "shown"})
    assert model.prompt_names(one) == ("shown",) and model.recipe(one)["prompt"]["name"] == "shown"
