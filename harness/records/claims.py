"""Which run makes which cell: runs that share a results folder leave each other what they are at.

In a local folder a claim is a lock on <task>/claims/<fingerprint>.lock, which goes with its process, however it ends.
On a URL it is <task>/claims/<fingerprint>-<turn>.json, which its run writes anew every few seconds. One that has stood
still for a minute, or whose process is seen to be gone, is of a run that was killed: whoever makes the file of the next
turn has the cell. Claims save work and nothing depends on them: of two records of one cell one stands anyway.
"""

from __future__ import annotations

import json
import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from harness.errors import StoreError
from harness.files import open_lock
from harness.records.store import Store

BEAT_SECONDS, PATIENCE_SECONDS = 10.0, 60.0
_LOOK_SECONDS = 2.0


class Claims(Protocol):
    """What a run is at; closed, it is at nothing."""

    def take(self, task: str, fingerprint: str) -> str | None:
        """Claim a cell for this run; returns None, or who is at it."""
        ...

    def free(self, fingerprint: str) -> None:
        """Give a cell back, if it was taken."""
        ...

    def close(self) -> None:
        """Give all back."""
        ...


@contextmanager
def open_claims(store: Store) -> Iterator[Claims]:
    """Claim cells of a results folder within the block."""
    claims = _Locks(store.local) if store.local is not None else _Beats(store)
    try:
        yield claims
    finally:
        claims.close()


def _self() -> str:
    return f"process {os.getpid()} on {platform.node()}"


@dataclass
class _Locks:
    """Claims in a local folder."""

    folder: Path
    _held: dict[str, tuple[Path, IO[bytes]]] = field(default_factory=dict)

    def take(self, task: str, fingerprint: str) -> str | None:
        import fcntl

        path = self.folder / task / "claims" / f"{fingerprint}.lock"
        while (lock := open_lock(path)) is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                return _read_holder(path)
            if _is_at(path, lock):
                self._held[fingerprint] = path, lock
                lock.truncate(0)
                lock.write(_self().encode())
                lock.flush()
                return None
            lock.close()  # whoever had it has just taken it away
        return None  # nothing can be written there: then nobody claims anything

    def free(self, fingerprint: str) -> None:
        if fingerprint in self._held:
            path, lock = self._held.pop(fingerprint)
            path.unlink(missing_ok=True)
            lock.close()

    def close(self) -> None:
        for fingerprint in tuple(self._held):
            self.free(fingerprint)


def _is_at(path: Path, lock: IO[bytes]) -> bool:
    try:
        return os.path.samestat(os.fstat(lock.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _read_holder(path: Path) -> str:
    with suppress(OSError):
        if told := path.read_text("utf-8", "replace").strip():
            return told
    return "another run"


@dataclass
class _Beats:
    """Claims on a URL."""

    store: Store
    beat_s: float = BEAT_SECONDS
    patience_s: float = PATIENCE_SECONDS
    _held: dict[str, str] = field(default_factory=dict)
    _seen: dict[str, tuple[bytes, float]] = field(default_factory=dict)
    """What claims of others held, and when that was seen first: no two clocks are compared."""
    _names: tuple[float, dict[str, list[str]]] = (-1e9, {})
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closed: threading.Event = field(default_factory=threading.Event)
    _beater: threading.Thread | None = None

    def take(self, task: str, fingerprint: str) -> str | None:
        if not self.store.takes_many_writers:
            return None  # one run alone may write there
        with self._lock:
            names = self._claims_of(task, fingerprint)
            if names and (holder := self._alive(names[-1])) is not None:
                return holder
            turn = 1 + (int(names[-1].rpartition("-")[2].partition(".")[0]) if names else 0)
            name = f"{task}/claims/{fingerprint}-{turn:06d}.json"
            if not self.store.create_only(name, _beat(0)):
                self._names = -1e9, {}
                return "another run"
            self._held[fingerprint] = name
        for old in names:
            self.store.remove(old)
        if self._beater is None:
            self._beater = threading.Thread(target=self._beat, daemon=True, name="claims")
            self._beater.start()
        return None

    def _claims_of(self, task: str, fingerprint: str) -> list[str]:
        """List a cell's claims by turn; all are listed at once, and that is remembered for a moment."""
        looked, found = self._names
        if time.monotonic() - looked > _LOOK_SECONDS:
            found = {}
            for name in self.store.names(f"{task}/claims/*.json"):
                found.setdefault(name.rpartition("/")[2].rpartition("-")[0], []).append(name)
            self._names = time.monotonic(), found
        return sorted(found.get(fingerprint, []))

    def _alive(self, name: str) -> str | None:
        """Say who holds a claim; None where it is gone or has stood still for too long."""
        content = self.store.read_if_there(name)
        if content is None:
            return None
        if self._seen.get(name, (b"", 0.0))[0] != content:
            self._seen[name] = content, time.monotonic()
        if time.monotonic() - self._seen[name][1] > self.patience_s:
            return None
        try:
            told = json.loads(content)
            return None if _has_ended(told["processes"], told["process"]) else str(told["run"])
        except (ValueError, KeyError, TypeError):
            return "another run"

    def _beat(self) -> None:
        beats = 0
        while not self._closed.wait(self.beat_s):
            beats += 1
            with self._lock, suppress(StoreError):  # it may answer next time
                for name in self._held.values():
                    self.store.write_bytes(name, _beat(beats))

    def free(self, fingerprint: str) -> None:
        with self._lock:
            name = self._held.pop(fingerprint, None)
            if name is not None:
                with suppress(StoreError):
                    self.store.remove(name)

    def close(self) -> None:
        self._closed.set()
        for fingerprint in tuple(self._held):
            self.free(fingerprint)
        if self._beater is not None:
            self._beater.join()


def _beat(number: int) -> bytes:
    told = {"run": _self(), "processes": _processes(), "process": os.getpid(), "beat": number}
    return json.dumps(told).encode()


def _processes() -> str:
    """Name the processes that have numbers of their own: those of this start of the machine, or of a container."""
    try:
        start = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{start} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # no Linux
        return ""


def _has_ended(processes: str, process: int) -> bool:
    """Whether a process has ended, as far as that can be seen from here."""
    if not processes or processes != _processes():
        return False
    try:
        state = Path(f"/proc/{process}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    except (OSError, IndexError):
        return False
    return state in "ZX"  # nobody has waited for it yet
