"""What the tables of a results folder are called."""

from __future__ import annotations

import hashlib
import re

from harness.errors import StoreError

_LONGEST_LABEL = 200
"""Bytes of a file's name, which has 255 at most with its ending and what a temporary name adds."""
_SHA256 = re.compile("[0-9a-f]{64}")


def outcomes_name(task: str, fingerprint: str, condition: str | None = None) -> str:
    """Name the table of a cell's predictions, clean or under a condition's label."""
    if condition is None:
        return f"{task}/outcomes/{fingerprint}"
    return f"{task}/robustness/{fingerprint}/{_file_part(condition)}"


def beside_name(name: str, digest: object) -> str:
    """Name a table beside the one that has its name already, as when two runs answered otherwise: by its sha256.

    Raises StoreError for what is none, as a record made elsewhere may hold: it would become a part of a path.
    """
    if not (isinstance(digest, str) and _SHA256.fullmatch(digest)):
        raise StoreError(f"A record vouches for {name} by {str(digest)[:80]!r}, which is no sha256. Make it again.")
    return f"{name}-{digest[:16]}"


def scores_name(task: str, fingerprint: str, condition: str | None = None) -> str:
    """Name the table of what each sample contributes to a cell's metrics, clean or under a condition's label."""
    if condition is None:
        return f"{task}/scores/{fingerprint}"
    return f"{task}/robustness/{fingerprint}/scores/{_file_part(condition)}"


def _file_part(condition: str) -> str:
    """A condition's label as a file's name: what is longer than file systems take is cut, with a digest of all."""
    whole = condition.encode("utf-8", "surrogateescape")
    if len(whole) <= _LONGEST_LABEL:
        return condition
    return f"{whole[:120].decode('utf-8', 'ignore')}-{hashlib.sha256(whole).hexdigest()[:32]}"


def examples_folder(task: str, data_digest: str, split: str) -> str:
    """Name the folder of the example images of one split of one data set."""
    return f"{task}/robustness/examples/{hashlib.sha256(f'{data_digest} {split}'.encode()).hexdigest()[:16]}"
