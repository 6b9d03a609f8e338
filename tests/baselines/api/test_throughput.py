"""An api model keeps a server busy across batches (the rate itself: tests/benchmarks/bench_api_throughput.py)."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

from harness.inputs.visual_tokens import VisualTokens
from harness.jobs.predict import answer_split
from harness.sample import Sample
from tests.baselines.api.conftest import batch, picture
from tests.chat_server import Asked, Said, chat_server, looking

AT_ONCE, SECONDS, SAMPLES = 8, 0.15, 160


def test_as_many_requests_are_on_their_way_as_may_be_while_batches_come_and_go(learner: Any, tmp_path: Path) -> None:
    """Were batches of 8 waited for, each would take as long as its slowest request."""
    from PIL import Image

    Image.fromarray(picture("red")).save(tmp_path / "red.png")
    split = tuple(Sample(str(n), tmp_path / "red.png", None, text=f"Question {n}?") for n in range(SAMPLES))
    wait = {"now": 0.0}

    def answer(asked: Asked) -> Said:
        """Take four times as long for each eighth sample."""
        number = asked.text.partition("?")[0].removeprefix("Question ")
        time.sleep(wait["now"] * (4 if number.isdigit() and int(number) % 8 == 0 else 1))
        return looking(asked)

    with chat_server(answer) as server:
        mine = learner(server.name, "answers", concurrency=AT_ONCE)
        mine.service_report()
        wait["now"] = SECONDS
        started = time.monotonic()
        found = answer_split(mine, VisualTokens(mine, None, split, None, "cpu"), AT_ONCE, lambda *_: None)
        spent = time.monotonic() - started
    assert [outcome.prediction for outcome in found.outcomes] == ["red"] * SAMPLES
    work = SECONDS * SAMPLES * (1 + 3 / 8) / AT_ONCE
    waiting = SECONDS * 4 * SAMPLES / AT_ONCE
    assert spent < (work + waiting) / 2, (spent, work, waiting)
    assert server.most_inside == AT_ONCE


def test_perturbed_batches_are_begun_before_those_before_are_done_and_models_share_the_places(learner: Any) -> None:
    """Two models of one endpoint are asked about batches of two side by side, by no more requests than one may make."""
    from contextlib import ExitStack

    from harness.jobs.loaded_model import LoadedModel

    with chat_server(seconds=0.05) as server:
        mine = [LoadedModel(None, learner(server.name, concurrency=6), ()) for _ in range(2)]  # type: ignore[arg-type]
        with ExitStack() as stack:
            for number in range(12):
                for loaded in mine:
                    pictures = [picture("red", 20 + number), picture("blue", 20 + number)]
                    loaded.begin("fog-1", batch(pictures), stack)
            for loaded in mine:
                loaded.finish(lambda: None)
        assert [loaded.answers for loaded in mine] == [{"fog-1": ["red", "blue"] * 12}] * 2
        assert server.most_inside == 6


def test_a_body_is_what_a_writer_of_json_makes_of_the_whole_request() -> None:
    import json

    from baselines.api.address import Endpoint
    from baselines.api.request_body import RequestBodies
    from baselines.api.settings import ApiSettings
    from baselines.prompts.prompt import RenderedPrompt

    png = bytes(range(256))
    bodies = RequestBodies(Endpoint("http://localhost", "m"), ApiSettings(), 30, 0)
    body = bodies.ask(RenderedPrompt('sys "é"', "what?\n\\"), png, 3)
    content = json.loads(body)
    url = content["messages"][1]["content"][0]["image_url"]["url"]
    assert base64.b64decode(url.removeprefix("data:image/png;base64,")) == png
    assert json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode() == body
