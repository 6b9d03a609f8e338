"""Who may write to a results folder at once: many runs, where files can be made so that one of them wins each."""

from __future__ import annotations

import json
import os
import platform
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from harness.errors import StoreError
from harness.files import open_lock
from harness.record import now
from harness.records.store import Store

_WRITERS = ".writers"


@contextmanager
def only_one(store: Store) -> Iterator[None]:
    """Keep runs out of a local results folder whose files are moved; the lock goes with the process."""
    with _locked(store, alone=True):
        yield


@contextmanager
def beside_other_runs(store: Store) -> Iterator[None]:
    """Write to a results folder that other runs may write to as well, and keep out who would move its files."""
    with _locked(store, alone=False):
        yield


@contextmanager
def _locked(store: Store, *, alone: bool) -> Iterator[None]:
    if store.local is None:
        with _announced(store):
            yield
        return
    import fcntl

    lock = open_lock(store.local / ".lock")
    if lock is None:
        raise StoreError(f"{store.url}/.lock can be neither read nor written. Give permission there, or --results.")
    with lock:
        try:
            fcntl.flock(lock, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            other = "A bench run is writing to" if alone else "`bench pack` or `bench unpack` is moving the files of"
            raise StoreError(f"{other} {store.url}. Wait for it, or give another folder with --results.") from None
        yield


@contextmanager
def _announced(store: Store) -> Iterator[None]:
    """Keep a second run out of a URL of a protocol that cannot make a file only where there is none.

    Each run leaves a file before it looks for those of others: of two that begin at once none goes on.
    """
    if store.takes_many_writers:
        yield
        return
    own = f"{_WRITERS}/{uuid.uuid4().hex}.json"
    store.write_bytes(own, json.dumps({"host": platform.node(), "process": os.getpid(), "began": now()}).encode())
    try:
        others = [name for name in store.names(f"{_WRITERS}/*.json") if name != own]
        if others:
            raise StoreError(
                f"Another bench run is writing to {store.url} ({store.url}/{others[0]}); only s3://, gs:// and local "
                "folders take several at once. Wait for it, or give another folder with --results; delete that file "
                "where its run has ended without doing so."
            )
        yield
    finally:
        store.remove(own)
