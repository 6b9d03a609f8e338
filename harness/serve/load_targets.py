"""What is put under load: a server over HTTP, or an exported model called in this process."""

from __future__ import annotations

import contextlib
import http.client
import os
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from harness.errors import UsageError
from harness.measure.open_loop import FAILED, LOST, SHED, Ending
from harness.serve.batching import Batcher, BatchLimits, QueueFull
from harness.serve.bundle import MANIFEST, read_bundle
from harness.serve.key import KEY
from harness.serve.served_model import Question, ServedModel, golden_questions

_IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_SHED = (429, 503)
_MOST_INPUTS = 256


@dataclass(frozen=True)
class HttpTarget:
    """A server's /predict; each thread keeps a connection of its own."""

    url: str
    questions: Sequence[Question]
    timeout_s: float
    _own: threading.local
    _requests: tuple[tuple[str, bytes], ...]

    @staticmethod
    def of(url: str, questions: Sequence[Question], timeout_s: float) -> HttpTarget:
        """Check the address, and prepare each request once; raises UsageError."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"--url {url}: wanted http://HOST:PORT of a `bench serve`.")
        if any(question.image is None for question in questions):
            raise UsageError("--url puts servers of models under load that look at images; these inputs have none.")
        prepared = tuple((_path(parts.path, question), question.image or b"") for question in questions)
        return HttpTarget(url, questions, timeout_s, threading.local(), prepared)

    def ask(self, number: int) -> Ending:
        """Make a request and read its answer."""
        path, body = self._requests[number % len(self._requests)]
        try:
            status = self._post(path, body)
        except (OSError, http.client.HTTPException) as error:
            self._drop()
            return Ending(LOST, _reason(error))
        if status == 200:
            return Ending()
        return Ending(SHED if status in _SHED else FAILED, f"status {status}")

    def require_answer(self) -> None:
        """Make one request of each kind; raises UsageError where the server does not answer it."""
        for number in range(len(self._requests)):
            ending = self.ask(number)
            if ending.reason:
                key = f" Set {KEY} to the server's key." if ending.reason == "status 401" else ""
                raise UsageError(f"{self.url} does not answer an input of this load ({ending.reason}).{key}")

    def _post(self, path: str, body: bytes) -> int:
        kept = getattr(self._own, "connection", None)
        if kept is not None:
            with contextlib.suppress(http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                return _exchange(kept, path, body)  # a server may have closed a connection that was idle
            self._drop()
        self._own.connection = _connection(self.url, self.timeout_s)
        return _exchange(self._own.connection, path, body)

    def _drop(self) -> None:
        kept = getattr(self._own, "connection", None)
        if kept is not None:
            kept.close()
            self._own.connection = None


@contextmanager
def in_process(
    served: ServedModel, questions: Sequence[Question], limits: BatchLimits
) -> Iterator[Callable[[int], Ending]]:
    """Give what asks a model here by the batcher of `bench serve`, without HTTP."""
    batcher = Batcher(served.answer, limits)
    batcher.start()

    def ask(number: int) -> Ending:
        try:
            batcher.submit(served.read(questions[number % len(questions)])).result()
        except QueueFull:
            return Ending(SHED, "queue full")
        except Exception as error:
            return Ending(FAILED, type(error).__name__)
        return Ending()

    try:
        yield ask
    finally:
        batcher.stop()


def bare_call(served: ServedModel, questions: Sequence[Question], batch: int) -> Callable[[int], Ending]:
    """Give what answers a batch in this thread and nothing else: the loop that a server is compared with."""

    def ask(number: int) -> Ending:
        first = number * batch
        served.answer([served.read(questions[place % len(questions)]) for place in range(first, first + batch)])
        return Ending()

    return ask


def load_inputs(place: Path) -> list[Question]:
    """Read what is asked: an export's golden inputs, or the images of a folder; raises UsageError for none."""
    if (place / MANIFEST).is_file():
        return golden_questions(read_bundle(place), place)
    found = image_files(place)
    if not found:
        raise UsageError(f"--inputs {place}: no export and no folder with images ({', '.join(_IMAGES)}).")
    return [Question(path.read_bytes()) for path in found[:_MOST_INPUTS]]


def image_files(folder: Path) -> list[Path]:
    """List the images right in a folder, by the ends of their names; empty where it is none."""
    return sorted(path for path in folder.glob("*") if path.suffix.lower() in _IMAGES) if folder.is_dir() else []


def _path(prefix: str, question: Question) -> str:
    pairs = [("text", question.text)] if question.text is not None else []
    query = urlencode([*pairs, *(("choice", choice) for choice in question.choices)])
    return f"{prefix.rstrip('/')}/predict{f'?{query}' if query else ''}"


def _connection(url: str, timeout_s: float) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    assert parts.hostname is not None
    if parts.scheme == "https":
        return http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=timeout_s, context=ssl.create_default_context()
        )
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout_s)


def _exchange(connection: http.client.HTTPConnection, path: str, body: bytes) -> int:
    headers = {"Content-Type": "image/*"}
    if key := os.environ.get(KEY):
        headers["Authorization"] = f"Bearer {key}"
    connection.request("POST", path, body, headers)
    reply = connection.getresponse()
    reply.read()
    return reply.status


def _reason(error: BaseException) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionError | http.client.HTTPException):
        return "connection broken"
    return getattr(error, "strerror", None) or type(error).__name__
