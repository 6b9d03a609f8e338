"""The message of an exception from a plugin's code as it may stand in a record: of bounded length, printable, whole."""

from __future__ import annotations

import traceback

from harness.text.outside_text import visible

LONGEST_MESSAGE = 2_000
LONGEST_TRACEBACK = 100_000


def error_text(error: BaseException) -> str:
    """Return what an exception says, `shortened`; one whose own `__str__` fails says so."""
    try:
        text = str(error)
    except Exception as other:
        text = f"(its message cannot be read: its __str__ raises {type(other).__name__})"
    return shortened(text)


def named_error(error: BaseException) -> str:
    """Return an exception's type and message: `ValueError: no such layer`."""
    return f"{type(error).__name__}: {error_text(error)}"


def traceback_text() -> str:
    """Return the traceback of the exception that is being handled, with both of its ends where it is too long."""
    return shortened(traceback.format_exc(), LONGEST_TRACEBACK)


def shortened(text: str, longest: int = LONGEST_MESSAGE) -> str:
    """Leave the middle out of a text that is too long and say so; what is left is `visible`.

    >>> shortened("a" * 30, 10)
    'aaaaaaaa … (20 characters left out) … aa'
    """
    if len(text) > longest:
        head = longest * 4 // 5
        tail = longest - head
        text = f"{text[:head]} … ({len(text) - longest:,} characters left out) … {text[len(text) - tail :]}"
    return visible(text)
