"""Answers of a server that are kept: what was asked once, by every byte of the request, is not asked again."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
import weakref
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

from baselines.api.address import Endpoint
from harness.errors import StoreError

_TABLES = """
create table if not exists replies (request text primary key, reply text not null, seconds real, at real) without rowid;
create table if not exists probes (request text primary key, findings text not null, at real) without rowid;
"""
_PROBE_LASTS_S = 3600.0


class KeptReplies:
    """The replies of one endpoint in a file of the cache, which processes may share; a kill loses none that was kept.

    `identity` is what the server says of the model: another one there has no answers yet.
    """

    def __init__(self, cache: Path, endpoint: Endpoint, identity: str) -> None:
        name = hashlib.sha256(endpoint.url.encode()).hexdigest()[:16]
        self._prefix = f"{endpoint.url}\n{identity}\n".encode()
        self._path = cache / "endpoints" / f"{name}.sqlite"
        self._lock = Lock()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(self._path, timeout=60, isolation_level=None, check_same_thread=False)
            with suppress(sqlite3.OperationalError):  # a network drive may have no write-ahead log
                self._file.execute("pragma journal_mode=wal")
            self._file.execute("pragma synchronous=normal")
            self._file.executescript(_TABLES)
            weakref.finalize(self, self._file.close)
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(error) from None

    def key(self, body: bytes) -> str:
        """Name a request by the digest of its body, its address and what the server is."""
        return hashlib.sha256(self._prefix + body).hexdigest()

    def find(self, key: str) -> dict[str, Any] | None:
        """Find the reply to a request."""
        row = self._one("select reply from replies where request = ?", key)
        return None if row is None else dict(json.loads(row[0]))

    def keep(self, key: str, reply: dict[str, Any], seconds: float) -> None:
        """Keep a reply; it is on disk when this returns."""
        self._put("insert or replace into replies values (?, ?, ?, ?)", key, json.dumps(reply), seconds, time.time())

    def find_probe(self, key: str) -> dict[str, Any] | None:
        """Find what a probe found within the last hour."""
        row = self._one("select findings, at from probes where request = ?", key)
        return dict(json.loads(row[0])) if row is not None and time.time() - row[1] < _PROBE_LASTS_S else None

    def keep_probe(self, key: str, findings: dict[str, Any]) -> None:
        """Keep what a probe found."""
        self._put("insert or replace into probes values (?, ?, ?)", key, json.dumps(findings), time.time())

    def _one(self, query: str, key: str) -> Any:
        try:
            with self._lock:
                return self._file.execute(query, (key,)).fetchone()
        except sqlite3.Error as error:
            raise self._unusable(error) from None

    def _put(self, query: str, *values: Any) -> None:
        try:
            with self._lock:
                self._file.execute(query, values)
        except sqlite3.Error as error:
            raise self._unusable(error) from None

    def _unusable(self, error: Exception) -> StoreError:
        return StoreError(
            f"Answers of the endpoint cannot be kept in {self._path}: {error}. Make room, or delete the file: what it "
            "held is then asked again."
        )
