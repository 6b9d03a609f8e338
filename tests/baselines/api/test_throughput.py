"""An api model keeps a server busy across batches (the rate itself: tests/benchmarks/bench_api_throughput.py)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from harness.inputs.visual_tokens import VisualTokens
from harness.jobs.predict import answer_split
from harness.sample import Sample
from tests.baselines.api.conftest import picture
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
