"""Whatever goes wrong between here and a server ends in a message or a failed sample, never in an answer."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from baselines.api.address import EndpointError
from harness.errors import BadSample, UsageError
from harness.sample import NoAnswer
from tests.baselines.api.conftest import FAST, batch, picture
from tests.chat_server import CUT, HANG, RAW, STATUS, Asked, ChatServer, Fault, Said, chat_server, looking

KEY = "sk-this-is-a-key-4711"
PROBES = "Which colour fills"


def of_samples(said: Callable[[Asked], Said] | Said) -> Callable[[Asked], Said]:
    """Answer a probe as a model that sees, and samples otherwise."""
    return lambda asked: looking(asked) if PROBES in asked.text else said(asked) if callable(said) else said


def failed(learner: Any, *images: Any) -> list[str]:
    """Ask about images; the reasons of those without an answer."""
    answers = learner.predict(batch(images or [picture("red")]))
    return [answer.reason for answer in answers if isinstance(answer, NoAnswer)]


def test_an_unreachable_endpoint(learner: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with pytest.raises(EndpointError, match=f"127.0.0.1:{port} is not reached"):
        failed(learner(f"api:http://127.0.0.1:{port}/v1#m", **FAST))


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_ends_it_at_once(learner: Any, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with chat_server(lambda asked: Fault(STATUS, status, f'{{"error": {{"message": "no key {KEY}"}}}}')) as server:
        server.models = Fault(STATUS, 404)
        with pytest.raises(EndpointError, match=rf"status {status}: no key \*\*\*.*key is missing or refused"):
            failed(learner(server.name))
        assert server.count == 1
        assert server.asked[0].headers["Authorization"] == f"Bearer {KEY}"
        server.models = Fault(STATUS, status, f"<html>{KEY}</html>")
        with pytest.raises(EndpointError, match=f"status {status}") as caught:
            failed(learner(server.name))
        assert KEY not in str(caught.value) and server.count == 1


@pytest.mark.parametrize("key", [f"sk-proj-{'aZ09-_' * 26}", "ab/cd+ef=" * 20])
def test_a_long_key_is_hidden_before_a_message_is_cut(learner: Any, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 164 characters a message of 160 would show both ends."""
    monkeypatch.setenv("OPENAI_API_KEY", key)
    told = json.dumps({"error": {"message": f"Incorrect API key provided: {key}. Look it up"}})
    bodies = [
        Fault(STATUS, 400, told), Fault(STATUS, 400, told.replace("/", "\\/")), Fault(RAW, body=told),
        Fault(RAW, body=f"<html>{'x' * 1950}{key}"), Fault(STATUS, 400, "x" * 1950 + key),
    ]  # fmt: skip
    with chat_server() as server:
        mine = learner(server.name, **FAST)
        for body in bodies:
            server.answer = of_samples(body)
            (reason,) = failed(mine, picture("red", 20 + bodies.index(body)))
            assert key[:6] not in reason and key[-6:] not in reason, reason


def test_a_pause_longer_than_anybody_waits_holds_nobody_up(learner: Any) -> None:
    for wish in ("3600", "inf", "1e999", "Fri, 31 Dec 9999 23:59:59 GMT"):
        with chat_server(of_samples(Fault(STATUS, 429, headers={"Retry-After": wish}))) as server:
            begun = time.monotonic()
            reasons = failed(learner(server.name, **FAST), *[picture("red", 20 + n) for n in range(3)])
            assert len(reasons) == 3 and time.monotonic() - begun < 20
    assert "asks for a pause of" in reasons[0]


def test_an_unknown_model_is_named_with_the_nearest(learner: Any) -> None:
    with chat_server() as server:
        server.models = [{"id": "smolvlm-2b"}, {"id": "other"}]
        with pytest.raises(EndpointError, match=r"serves no model 'smolvlm2b'. Did you mean 'smolvlm-2b'\?"):
            failed(learner(server.name.replace("#model", "#smolvlm2b")))
        server.models = Fault(STATUS, 404)
        server.answer = lambda asked: Fault(STATUS, 404, '{"detail": "no such model"}')
        with pytest.raises(EndpointError, match="status 404: no such model"):
            failed(learner(server.name))


def test_a_refused_image_is_a_failed_sample_and_the_others_have_answers(learner: Any) -> None:
    def answer(asked: Asked) -> Said:
        said = looking(asked)
        return Fault(STATUS, 400, '{"message": "image too small"}') if said == "blue" else str(said)

    with chat_server(of_samples(answer)) as server:
        answers = learner(server.name).predict(batch([picture("red"), picture("blue"), picture("green")]))
    assert answers == ["red", NoAnswer("status 400: image too small"), "green"]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("  ", "the answer is empty"),
        (Fault(RAW, body="<html><b>Gateway</b></html>"), "replies with HTML and not with JSON"),
        (Fault(RAW, body='{"choices": []}'), "no chat completion"),
        (Fault(RAW, body="[1]"), "not with JSON"),
        (Fault(RAW, body='{"error": {"message": "overloaded"}}'), "the server says: overloaded"),
        (
            Fault(RAW, body='{"choices": [{"message": {"content": null, "refusal": "I must not"}}]}'),
            "refuses: I must not",
        ),
        (Fault(CUT), "the connection to .* broke"),
        (Fault(STATUS, 500, "oops"), "status 500: oops"),
        (Fault(STATUS, 301, "moved"), "status 301"),
    ],
)
def test_what_is_no_answer_is_a_failed_sample_with_its_reason(learner: Any, said: Said, reason: str) -> None:
    with chat_server(of_samples(said)) as server:
        (told,) = failed(learner(server.name, **FAST))
    import re

    assert re.search(reason, told), told


def test_a_server_that_hangs_is_given_up(learner: Any) -> None:
    with chat_server(of_samples(Fault(HANG, seconds=1.5))) as server:
        (told,) = failed(learner(server.name, timeout_s=0.3, retry_s=0.1))
    assert "no answer within 0.3 s" in told


def test_it_is_asked_again_where_that_helps_and_as_late_as_the_server_wishes(learner: Any) -> None:
    times: list[float] = []

    def answer(asked: Asked) -> Said:
        times.append(time.monotonic())
        faults = [Fault(STATUS, 429, headers={"Retry-After": "1"}), Fault(STATUS, 503), Fault(CUT)]
        return faults[len(times) - 1] if len(times) <= len(faults) else "a red wall"

    with chat_server(of_samples(answer)) as server:
        mine = learner(server.name)
        assert mine.predict(batch([picture("red")])) == ["a red wall"]
    assert len(times) == 4 and times[1] - times[0] >= 1.0
    report = mine.service_report()
    assert report["requests"]["retries"] == 3 and report["latency"]["halvings"] == 2


def test_after_many_failures_in_a_row_nothing_more_is_asked(learner: Any) -> None:
    with chat_server(of_samples(Fault(STATUS, 500))) as server:
        mine = learner(server.name, retry_s=0, give_up_after=3, concurrency=1)
        reasons = failed(mine, *[picture("red", 20 + n) for n in range(8)])
        asked = sum(PROBES not in each.text for each in server.asked)
    assert asked == 3 and len(reasons) == 8
    assert reasons[-1] == "not asked: the 3 before it failed (status 500)"


def test_tls_that_fails_is_said_so(learner: Any, tmp_path: Path) -> None:
    with chat_server() as server, pytest.raises(EndpointError, match=r"TLS failed.*Is it http://"):
        failed(learner(server.name.replace("http://", "https://"), **FAST))
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days",
         "1", "-subj", "/CN=localhost"],
        cwd=tmp_path, capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("openssl is not installed: no certificate of one's own can be made")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def greet() -> None:
            taken, _ = listening.accept()
            try:
                context.wrap_socket(taken, server_side=True).close()
            except (ssl.SSLError, OSError):
                taken.close()

        Thread(target=greet, daemon=True).start()
        port = listening.getsockname()[1]
        with pytest.raises(EndpointError, match=r"TLS failed.*CERTIFICATE_VERIFY_FAILED"):
            failed(learner(f"api:https://127.0.0.1:{port}/v1#m", **FAST))


def test_a_far_server_without_a_key_is_not_asked(learner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(UsageError, match=r"\$OPENAI_API_KEY is not set"):
        learner("api:https://api.example.com/v1#m")


def test_a_broken_image_file_is_named(learner: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n no")
    with chat_server() as server, pytest.raises(BadSample, match=r"broken\.png"):
        learner(server.name).predict(batch([broken]))


def test_a_full_disk_is_a_message(learner: Any, tmp_path: Path) -> None:
    from harness.errors import StoreError

    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "endpoints").write_text("a file where a folder should be")
    with chat_server() as server, pytest.raises(StoreError, match="cannot be kept"):
        failed(learner(server.name))


def test_no_proxy_stands_between_here_and_a_loopback_server() -> None:
    assert not os.environ.get("ALL_PROXY"), "the tests above would ask the proxy"


def test_requests_at_once_grow_to_the_most_and_halve_when_refused(learner: Any) -> None:
    crowd = ChatServer(seconds=0.02)
    try:
        crowd.answer = of_samples(
            lambda asked: Fault(STATUS, 429, headers={"Retry-After": "0"}) if crowd.inside > 6 else looking(asked)
        )
        mine = learner(crowd.name, concurrency=16, retry_s=60)
        answers = mine.predict(batch([picture("red", 20 + n) for n in range(120)]))
        report = mine.service_report()
    finally:
        crowd.close()
    assert answers == ["red"] * 120
    assert report["latency"]["halvings"] >= 1 and 6 < crowd.most_inside <= 16
