"""Whole messages over a pipe, pickled by value, read without ever waiting in the middle of one.

`multiprocessing` would do neither: it hands tensors over in memory that goes with the process which made them, and a
reader that has begun a message waits for its end, though its writer be stopped.
"""

from __future__ import annotations

import os
import pickle
import struct
import threading
from contextlib import suppress
from multiprocessing import connection
from typing import Any

_LENGTH = struct.Struct("!Q")
_CHUNK_BYTES = 1 << 20


class Sender:
    """The writing end of a pipe; threads may share it. It owns the file descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def send(self, message: Any) -> None:
        """Write a message whole; raises what pickling it raises, and OSError when nobody reads any more."""
        content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        with self._lock:
            for part in (_LENGTH.pack(len(content)), content):
                view = memoryview(part)
                while view:
                    view = view[os.write(self._descriptor, view) :]

    def close(self) -> None:
        """Let go of the pipe; safe to call twice."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)


class Receiver:
    """The reading end of a pipe. It owns the file descriptor."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._received = bytearray()
        self.ended = False
        """Whether all writers have let go of the pipe, so that what is read already is the last of it."""

    def fileno(self) -> int:
        """The file descriptor, to wait for it among others."""
        return self._descriptor

    def read(self) -> bool:
        """Take in what is there, without waiting; False when nothing was."""
        try:
            content = os.read(self._descriptor, _CHUNK_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            content = b""
        self.ended = not content
        self._received += content
        return bool(content)

    def message(self) -> bytes | None:
        """Take the oldest whole message, still pickled; None where there is none yet."""
        size = _LENGTH.size
        if len(self._received) < size:
            return None
        end = size + _LENGTH.unpack_from(self._received)[0]
        if len(self._received) < end:
            return None
        content = bytes(self._received[size:end])
        del self._received[:end]
        return content

    def wait(self, seconds: float | None) -> bytes | None:
        """Wait for a whole message, still pickled; None when the pipe has ended, or after so long without a byte."""
        while (content := self.message()) is None and not self.ended:
            if not connection.wait([self._descriptor], seconds):
                return None
            self.read()
        return content

    def close(self) -> None:
        """Let go of the pipe; safe to call twice."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)
