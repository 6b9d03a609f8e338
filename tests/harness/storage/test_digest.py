"""A digest on stored JSON: what changes it, what does not, and what is said."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.storage.digest import DigestError, vouched_content, with_digest, without_digest

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


TRICKY = (
    ": x",
    '": x',
    'a": "b',
    "ends in \\",
    '\\": ',
    '\\\\": ',
    " ",
    "\n",
    "\n \t",
    '{": 1}',
    '": ": "',
    "\ud800",
    "é",
)


@pytest.mark.parametrize("text", TRICKY)
def test_the_text_that_is_stored_is_the_one_that_was_digested(text: str):
    content = {"a": text, text: [text, {"digest": text, "x": 1e-7}], "z": {}, "n": [[], [1.0, -0.0, 10**30]]}
    stored = with_digest(content)
    slowly = vouched_content(json.loads(stored))
    rest, digested = vouched_content(json.loads(stored), stored)
    assert (rest, digested if isinstance(digested, str) else digested.decode()) == slowly


@given(st.text(alphabet='": \\,[{}]x\n', max_size=12), st.text(alphabet='": \\,[{}]x\n', max_size=12))
def test_no_change_of_a_text_goes_unseen_where_the_stored_text_is_at_hand(before: str, after: str):
    stored, other = with_digest({"a": [before], before: "b"}), with_digest({"a": [after], after: "b"})
    forged = other.replace(json.loads(other)["digest"].encode(), json.loads(stored)["digest"].encode())
    if before == after:
        assert vouched_content(json.loads(forged), forged)[0] == {"a": [before], before: "b"}
        return
    with pytest.raises(DigestError, match="changed by hand"):
        vouched_content(json.loads(forged), forged)


def test_the_stored_text_is_taken_as_it_is_where_it_was_laid_out_as_it_is_written():
    stored = with_digest({**CONTENT, "error": None})  # as in records, keys stand behind the digest
    assert isinstance(vouched_content(json.loads(stored), stored)[1], bytes)
    line = json.dumps(json.loads(stored), sort_keys=True, separators=(",", ":")).encode()  # as packed records are
    assert isinstance(vouched_content(json.loads(line), line)[1], bytes)
    other = json.dumps(json.loads(stored), indent=3, separators=(" ,", " : ")).encode()
    assert isinstance(vouched_content(json.loads(other), other)[1], str)
