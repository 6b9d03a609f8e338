"""JSON files as they come: plain or packed by gzip, whatever their suffix says."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

from harness.collector import collection_paused
from harness.errors import DataError

GZIP = b"\x1f\x8b"


def read_json(path: Path) -> Any:
    """Read a JSON file; raises DataError that names the file and the place."""
    content = read_bytes(path)
    try:
        text = gzip.decompress(content) if content.startswith(GZIP) else content
        with collection_paused():
            return json.loads(text)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is packed by gzip and broken: {error}. Fetch it again.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {error}. Fetch it again.") from None


def read_bytes(path: Path) -> bytes:
    """Read a file as it is; raises DataError where it is none or cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"No file {path}. Check the path.") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder; wanted a JSON file.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Mend its permissions or fetch it again.") from None


def json_kind_of(content: Any) -> str:
    """Word what JSON holds, for messages."""
    names: dict[type, str] = {dict: "an object", list: "a list", str: "a string"}
    return names.get(type(content), type(content).__name__)
