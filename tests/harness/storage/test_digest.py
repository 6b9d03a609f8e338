"""A digest on stored JSON: what changes it, what does not, and what is said."""

from __future__ import annotations

import json

import pytest

from harness.storage.digest import DigestError, with_digest, without_digest

CONTENT = {"b": 1.5, "a": {"low": None, "names": ["x", "y"]}}


def test_what_was_sealed_comes_back():
    assert without_digest(json.loads(with_digest(CONTENT))) == CONTENT


def test_layout_and_order_of_keys_do_not_matter():
    stored = json.loads(with_digest(CONTENT))
    again = json.loads(json.dumps(dict(reversed(stored.items()))))
    assert without_digest(again) == CONTENT


def test_a_number_changed_by_hand_is_seen():
    stored = json.loads(with_digest(CONTENT))
    stored["b"] = 1.6
    with pytest.raises(DigestError, match="changed by hand"):
        without_digest(stored)


def test_a_missing_digest_is_not_taken_for_a_right_one():
    with pytest.raises(DigestError, match="no digest"):
        without_digest(CONTENT)


def test_nan_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        with_digest({"a": float("nan")})
