"""What ends a command early -> one message and an exit code; what is left over is a fault of ours, with its traceback.

Codes: 1 not done, 2 asked for wrongly or data that cannot be read, 3 a place (results, cache, disk) that cannot be
written, 130 interrupted.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass

import typer

from harness.errors import BenchError
from harness.text.outside_text import visible

_PLACES = {
    errno.ENOSPC: "Free space there",
    errno.EDQUOT: "Free space there",
    errno.EROFS: "Make it writable",
    errno.EACCES: "Give permission there",
    errno.EPERM: "Give permission there",
}
"""What to do about a place that refuses, by the error that it gives."""
_WORDS_REFUSED: type[Exception] = typer.BadParameter.__mro__[2]
"""The class of all that typer refuses: Click's `ClickException`, which typer has kept in several modules."""
_LONGEST = 300


@dataclass(frozen=True)
class Ending:
    """What is said, and with which exit code the command ends."""

    message: str
    exit_code: int


def ending_of(error: BaseException, cache: str | None) -> Ending | None:
    """Say how a command ends that raised `error`; None where it is a fault of ours.

    `cache` is the cache folder where it is known: what lies in it has a remedy of its own.
    """
    if isinstance(error, BenchError):
        return Ending(str(error), error.exit_code)
    if isinstance(error, _WORDS_REFUSED):
        return _refused(error)
    if isinstance(error, typer.Abort):
        return Ending(f"Ended before it was done ({error.__cause__ or 'no input'}).", 1)
    if isinstance(error, UnicodeError):
        return Ending(_undecodable(error), 2)
    if isinstance(error, OSError):
        return _refused_by_system(error, cache)
    if isinstance(error, MemoryError):
        return Ending("Memory was too small. Take fewer or smaller data, or give the process more (ulimit -v).", 1)
    if isinstance(error, RuntimeError) and "home directory" in str(error):  # of Path.expanduser, for `~`
        return Ending("'~' cannot be resolved: HOME is not set, and this user has no entry in passwd. Set HOME.", 2)
    return None


def _refused(error: Exception) -> Ending:
    """What typer says of a wrong word, in the style of all other messages; a bare command prints its help."""
    message: str = error.format_message()  # type: ignore[attr-defined]
    context = getattr(error, "ctx", None)
    if message.lstrip().startswith("Usage:"):
        return Ending(message, 2)
    command = "bench" if context is None else context.command_path
    return Ending(f"{message.rstrip('.')}. See '{command} --help'.", 2)


def _refused_by_system(error: OSError, cache: str | None) -> Ending:
    path = error.filename if error.filename is not None else error.filename2
    if isinstance(path, bytes):
        path = path.decode("utf-8", "surrogateescape")
    where = "" if path is None else f"{path}: "
    reason = error.strerror or str(error) or type(error).__name__
    in_cache = cache is not None and path is not None and str(path).startswith(cache)
    remedy = _PLACES.get(error.errno or 0, "")
    if in_cache:
        remedy = f"{remedy or 'Mend it'}, or set BENCH_CACHE to another folder"
    code = 3 if in_cache or error.errno in _PLACES else 2
    return Ending(f"{where}{reason}.{f' {remedy}.' if remedy else ''}", code)


def _undecodable(error: UnicodeError) -> str:
    """Name the text that is no UTF-8: a file's name mostly, with its raw bytes as half characters."""
    if isinstance(error, UnicodeEncodeError):
        return (
            f"'{visible(error.object[:_LONGEST])}' cannot be written as {error.encoding} ({error.reason}). "
            "Where it is a file's name, rename the file in UTF-8."
        )
    if isinstance(error, UnicodeDecodeError):
        shown = bytes(error.object[max(0, error.start - 20) : error.start + 20])
        return f"Text that is not {error.encoding} was met: {shown!r} ({error.reason}). Convert the file to UTF-8."
    return str(error)
