"""A probe says what a server does: servers of every kind, each found out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from baselines.api.address import EndpointError
from baselines.api.probe import Probe, reads_image
from baselines.api.replies import Reply
from tests.baselines.api.conftest import batch, picture
from tests.chat_server import STATUS, Asked, ChatServer, Fault, Said, chat_server, looking


def probed(learner: Any, server: ChatServer, **settings: Any) -> dict[str, Any]:
    """What stands on the record of a row that this server answers."""
    mine = learner(server.name, "answers", **settings)
    mine.predict(batch([picture("red")], ["What colour?"]))
    return dict(mine.service_report()["probe"])


def test_a_server_that_sees_and_always_says_the_same(learner: Any) -> None:
    with chat_server() as server:
        found = probed(learner, server)
        assert server.count == found["requests"] + 1
        assert (found["deterministic"], found["reads_image"]) == ("yes", "yes")
        assert (found["log_probabilities"], found["top_logprobs"], found["order"]) == ("top", 20, "follows the text")
        probed(learner, server)
        assert server.count == found["requests"] + 1  # within the hour it is not probed again, nor asked again


def test_a_server_that_drops_images_is_refused_and_marked_where_it_is_allowed(learner: Any) -> None:
    with chat_server(lambda asked: looking(replace(asked, image=None))) as server:
        server.sees = False
        with pytest.raises(EndpointError, match=r"drops images.*blind_server=allowed"):
            probed(learner, server)
        assert probed(learner, server, blind_server="allowed")["reads_image"] == "no"
        blind = learner(server.name, control="C5")  # its control is shown no image in any case
        assert blind.predict(batch([None])) == ["none"]
        assert blind.service_report()["images"] is False


def test_a_server_that_answers_otherwise_each_time(learner: Any) -> None:
    numbers = itertools.count()
    with chat_server(lambda asked: f"{looking(asked)} I think, {next(numbers)}") as server:
        found = probed(learner, server)
    assert (found["deterministic"], found["reads_image"]) == ("no", "yes")
    assert found["remarks"] == ["3 equal requests had different answers"]


def test_a_server_whose_answer_is_always_the_first_option(learner: Any) -> None:
    def first(asked: Asked) -> Said:
        return asked.text.rpartition(": ")[2].split(",")[0] if "one of these" in asked.text else str(looking(asked))

    with chat_server(first) as server:
        assert probed(learner, server)["order"] == "follows the place"


def test_a_server_without_log_probabilities_or_that_refuses_to_be_asked_for_them(learner: Any) -> None:
    with chat_server() as server:
        server.logprobs = False
        assert probed(learner, server)["log_probabilities"] == "none"

    def picky(most: int) -> Callable[[Asked], Said]:
        return lambda asked: (
            Fault(STATUS, 400, "too many") if asked.body.get("top_logprobs", 0) > most else looking(asked)
        )

    with chat_server(picky(5)) as server:
        assert probed(learner, server)["top_logprobs"] == 5
    with chat_server(picky(0)) as server:
        found = probed(learner, server)
    assert found["log_probabilities"] == "none" and "refuses requests for log-probabilities" in found["remarks"][0]


def test_a_server_that_refuses_every_image_is_no_server_of_images(learner: Any) -> None:
    def refusing(asked: Asked) -> Said:
        return Fault(STATUS, 400, "no multimodal model") if asked.image else "none"

    with chat_server(refusing) as server, pytest.raises(EndpointError, match="status 400: no multimodal model"):
        probed(learner, server)


def _reply(text: str, tokens: int | None = None, **first: float) -> Reply:
    return Reply(text, "stop", {name: math.log(chance) for name, chance in first.items()}, (), tokens, 1)


@pytest.mark.parametrize(
    ("first", "second", "without", "deterministic", "found"),
    [
        (_reply("a"), _reply("b"), _reply("a"), True, "yes"),
        (_reply("a", a=0.9), _reply("a", a=0.8), _reply("a", a=0.9), True, "yes"),
        (_reply("a", 300), _reply("a", 300), _reply("a", 40), True, "gets them"),
        (_reply("a", 41), _reply("a", 41), _reply("a", 40), True, "no"),
        (_reply("a"), _reply("a"), _reply("a"), True, "no"),
        (_reply("a"), _reply("a"), None, True, "gets them"),
        (_reply("a"), _reply("b"), _reply("c"), False, "unknown"),
        (_reply("a", 40), _reply("b", 40), _reply("c", 40), False, "no"),
        (_reply("It is red."), _reply("green"), _reply("c", 40), False, "yes"),
    ],
)
def test_the_judgement_by_hand(
    first: Reply, second: Reply, without: Reply | None, deterministic: bool, found: str
) -> None:
    others = {"second": second, "blank": first}
    assert reads_image([first] * 3, others, without, deterministic=deterministic) == found


def test_log_probabilities_of_requests_are_found(learner: Any, tmp_path: Any) -> None:
    from baselines.api.address import parse_endpoint
    from baselines.api.request_body import RequestBodies
    from baselines.api.settings import ApiSettings

    def send(body: bytes, *, may_be_empty: bool = False) -> dict[str, Any]:
        token = {"7": {"decoded_token": "red", "logprob": -0.5}}
        prompt = {"prompt_logprobs": [None, token]} if may_be_empty else {}
        return {"choices": [{"message": {"content": "red"}, "finish_reason": "stop"}], **prompt}

    bodies = RequestBodies(parse_endpoint("api:http://localhost/v1#m"), ApiSettings(), 5, 0)
    assert Probe(send, bodies, 20, images=False, wants_prompt=True).run().log_probabilities == "prompt"
    assert Probe(send, bodies, 20, images=False).run().log_probabilities == "none"
