"""What a record may tell of the machine that made it: files by content, places by their last name, no secrets.

A path in a setting names a file, and what counts is what it holds: the same file elsewhere is the same setting, and
another one at the same place is not. User names in paths, passwords and tokens are nobody's business.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.storage.content import file_digest

HIDDEN = "***"
_SECRET = r"(?:[\w.-]*[._-])?(?:token|secret|passw(?:or)?d|passphrase|credentials?|(?:api|access|secret)[_-]?key|auth)"
"""The last word of a name: `max_tokens` is none."""
_SECRET_VALUE = re.compile(rf"(?P<name>(?<![\w.-]){_SECRET}\s*[=:]\s*)(?P<value>[^\s&;,'\"]+)", re.IGNORECASE)
_SECRET_FLAG = re.compile(rf"(?P<name>--{_SECRET}\s+)(?P<value>[^\s'\"]+)", re.IGNORECASE)
_QUERY = re.compile(
    r"(?P<name>[?&](?:sig|signature|key|code|pwd|x-amz-[\w-]+|sv|se)=)(?P<value>[^\s&'\"]+)", re.IGNORECASE
)
_USER = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)[^\s/@'\"]+@", re.IGNORECASE)
_KNOWN_TOKEN = re.compile(r"\b(?:hf_|ghp_|gho_|github_pat_|glpat-|sk-|AKIA)[A-Za-z0-9_-]{12,}")
_PLACE = re.compile(r"(?<![\w.…~:/-])(?:~(?:\w[\w.-]*)?)?/(?:[^\s/:'\",;()=]+/+)*(?=[^\s/:'\",;()=]*)")
_FILE_URL = re.compile(r"\bfile://(?:[^\s/'\"]*/)+")
_WINDOWS = re.compile(r"(?<![\w])[A-Za-z]:[\\/](?:[^\s\\/:'\",;]+[\\/])*")


def by_content(value: Any) -> Any:
    """Replace every text that is the path of a file here by its name and the digest of its content, in JSON-able data.

    A folder keeps its name only: what models and tasks take from one enters fingerprints through their recipes and the
    data's digest.
    """
    return _mapped(value, _content_of)


def without_places(value: Any) -> Any:
    """Reduce absolute paths in all texts of JSON-able data to their last names, and hide what looks like a secret."""
    return _mapped(value, scrubbed)


def scrubbed(text: str) -> str:
    """Reduce absolute paths in a text to `…/NAME`, and write `***` for passwords and tokens."""
    text = _USER.sub(rf"\g<scheme>{HIDDEN}@", text)
    text = _KNOWN_TOKEN.sub(HIDDEN, text)
    for pattern in (_SECRET_VALUE, _SECRET_FLAG, _QUERY):
        text = pattern.sub(rf"\g<name>{HIDDEN}", text)
    text = _FILE_URL.sub("file:…/", text)
    return _WINDOWS.sub("…/", _PLACE.sub(_shortened, text))


def portable_command(command: str, working_directory: Path) -> str:
    """Write a command as anybody could give it: paths below its working directory relative, others by their last name.

    Credentials become `***`.
    """
    prefix = f"{working_directory}/"
    try:
        words = [word.replace(prefix, "") for word in shlex.split(command)]
    except ValueError:  # not a shell's words: scrub the text as it is
        return scrubbed(command)
    return scrubbed(shlex.join(words))


def _shortened(match: re.Match[str]) -> str:
    """A lone slash is no place, as in `and / or`."""
    return match[0] if match[0] == "/" and not _names_something(match) else "…/"


def _names_something(match: re.Match[str]) -> bool:
    following = match.string[match.end() : match.end() + 1]
    return bool(following) and (following.isalnum() or following in "_.")


def _content_of(text: str) -> str:
    if "/" not in text and "\\" not in text:
        return text
    try:
        path = Path(text).expanduser()
        if path.is_file():
            return f"{path.name} sha256:{file_digest(path)[:16]}"
        return path.resolve().name if path.is_dir() and path.is_absolute() else text
    except (OSError, ValueError, RuntimeError):  # no path after all, or nobody's home
        return text


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {_mapped(key, change): _mapped(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(item, change) for item in value]
    return value
