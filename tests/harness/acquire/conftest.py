"""A server on loopback that behaves as badly as servers of data do."""

from __future__ import annotations

import re
import select
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Served:
    """What a path holds, and how its server misbehaves."""

    content: bytes
    etag: str | None = '"v1"'
    ranges: bool = True
    cut_after: list[int] = field(default_factory=list)
    """Bytes after which each of the next answers ends."""
    status: list[int] = field(default_factory=list)
    """Statuses of the next answers that give nothing."""
    hold_at: int | None = None
    """The byte at which the server waits until the client is gone, or until it may go on."""


@dataclass
class BadServer:
    """Serves contents by path; keeps the ranges that were asked for."""

    url: str
    served: dict[str, Served] = field(default_factory=dict)
    asked: list[str | None] = field(default_factory=list)

    def put(self, name: str, content: bytes, **how: object) -> str:
        """Serve a content; returns its URL."""
        self.served[f"/{name}"] = Served(content, **how)  # type: ignore[arg-type]
        return f"{self.url}/{name}"


class _Handler(BaseHTTPRequestHandler):
    owner: BadServer

    def do_GET(self) -> None:
        wish = self.headers.get("Range")
        self.owner.asked.append(wish)
        found = self.owner.served.get(self.path)
        if found is None:
            self.send_error(404)
            return
        if found.status:
            self.send_error(found.status.pop(0))
            return
        begin = int(re.fullmatch(r"bytes=(\d+)-", wish)[1]) if wish else 0  # type: ignore[index]
        validator = self.headers.get("If-Range")
        if not found.ranges or (validator is not None and validator != found.etag):
            begin = 0
        if begin and begin >= len(found.content):
            self.send_error(416)
            return
        part = found.content[begin:]
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(found.content) - 1}/{len(found.content)}")
        if found.etag:
            self.send_header("ETag", found.etag)
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        part = part[: found.cut_after.pop(0)] if found.cut_after else part
        with suppress(BrokenPipeError, ConnectionResetError):  # the client was killed
            self._send(part, begin, found)

    def _send(self, part: bytes, begin: int, found: Served) -> None:
        sent = 0
        while sent < len(part):
            held = len(part) if found.hold_at is None else min(len(part), found.hold_at - begin)
            if held > sent:
                self.wfile.write(part[sent:held])
                self.wfile.flush()
                sent = held
            elif select.select([self.connection], [], [], 0.001)[0] and not self.connection.recv(1):
                return

    def log_message(self, *told: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[BadServer]:
    owner = BadServer("")
    handler = type("Handler", (_Handler,), {"owner": owner})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        running.daemon_threads = True
        owner.url = f"http://127.0.0.1:{running.server_address[1]}"
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield owner
        running.shutdown()
        thread.join()
