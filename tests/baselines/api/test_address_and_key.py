"""Addresses and keys that cannot be right are refused before anything is sent, and no message tells a key."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from baselines.api.address import parse_endpoint
from baselines.api.secret import Secret, read_key
from baselines.api.settings import read_api_settings
from harness.errors import UsageError
from harness.plan.plugins import load_model

KEY = "sk-this-is-a-key-4711"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("api:http://localhost:8000/v1", "names no model"),
        ("api:http://localhost:8000/v1#", "names no model"),
        ("api:localhost:8000/v1#m", "no URL"),
        ("api:ftp://host/v1#m", "no URL of http"),
        ("api:http://#m", "no URL"),
        ("api:http://host:80x/v1#m", "no URL"),
        ("api:http://ho st/v1#m", "no URL"),
        ("api:#m", "no URL"),
        (f"api:http://me:{KEY}@host/v1#m", "environment variable"),
        (f"api:https://host/v1?key={KEY}#m", "environment variable"),
    ],
)
def test_what_is_no_address_is_said_so(name: str, told: str) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        load_model(name)
    assert KEY not in str(caught.value)


def test_addresses_are_taken_with_and_without_the_last_part() -> None:
    for url in ("http://host:1/v1", "http://host:1/v1/", "http://host:1/v1/chat/completions"):
        assert parse_endpoint(f"api:{url}#org/m#2").url == "http://host:1/v1"
    assert parse_endpoint("api:http://host/v1#org/m#2").model == "org/m#2"


@pytest.mark.parametrize(
    ("host", "local"),
    [("localhost", True), ("127.0.0.1", True), ("[::1]", True), ("10.1.2.3", True), ("server", True), ("a.local", True),
     ("api.example.com", False), ("8.8.8.8", False)],
)  # fmt: skip
def test_a_far_server_wants_a_key_and_a_near_one_does_not(
    host: str, local: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = parse_endpoint(f"api:http://{host}/v1#m")
    monkeypatch.delenv("A_KEY", raising=False)
    if local:
        assert read_key("A_KEY", endpoint).header() == {}
    else:
        with pytest.raises(UsageError, match=r"wants a key and \$A_KEY is not set"):
            read_key("A_KEY", endpoint)
    monkeypatch.setenv("A_KEY", f" {KEY}\n")
    assert read_key("A_KEY", endpoint).header() == {"Authorization": f"Bearer {KEY}"}


@pytest.mark.parametrize("value", ["two words", "kéy", "a\nb"])
def test_a_key_that_no_header_holds_is_refused_without_being_told(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", value)
    with pytest.raises(UsageError, match=r"\$A_KEY") as caught:
        read_key("A_KEY", parse_endpoint("api:http://localhost/v1#m"))
    assert value not in str(caught.value)


def test_a_key_is_neither_shown_nor_written() -> None:
    secret = Secret(KEY)
    assert KEY not in f"{secret!r} {secret} {vars(type(secret))}"
    assert secret.hide(f"no such key: {KEY}") == "no such key: ***"
    with pytest.raises(TypeError):
        pickle.dumps(secret)


@pytest.mark.parametrize(
    "given",
    [{"temperature": -1}, {"temperature": "hot"}, {"concurrency": 0}, {"concurrency": 1.5}, {"options_by": "luck"},
     {"option_score": "max"}, {"extra": "[1]"}, {"extra": "{"}, {"blind_server": "yes"}, {"retry_s": float("inf")}],
)  # fmt: skip
def test_settings_that_do_not_fit_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"model.{next(iter(given))}"):
        read_api_settings(given)
