"""Python's collector of reference cycles, kept from work that makes many containers and no cycle."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collection_paused() -> Iterator[None]:
    """Let no collection begin within: each would walk all the containers made so far, several times what making costs.

    The whole process pauses, so that what is within should take seconds at most.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
