"""A loopback server that speaks as OpenAI-compatible ones do: it counts, remembers what it was sent, and can go wrong.

It really looks at images: by default it names the colour that most of one has, or says that there is none.
"""

from __future__ import annotations

import base64
import io
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

TEXT, STATUS, CUT, RAW, HANG = "text", "status", "cut", "raw", "hang"


@dataclass(frozen=True)
class Fault:
    """What a server does instead of answering."""

    kind: str
    status: int = 500
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class Asked:
    """A request: its body as sent and parsed, the bytes of its image if it has one, all that its user says in text."""

    raw: bytes
    body: Mapping[str, Any]
    image: bytes | None
    text: str
    headers: Mapping[str, str]


Said = str | dict[str, float] | Fault
"""A text; or tokens with their probabilities, of which the most probable one is said; or a fault."""


def colour_of(image: bytes | None) -> str:
    """Name the channel that is strongest in an image."""
    from PIL import Image

    if image is None:
        return "none"
    with Image.open(io.BytesIO(image)) as opened:
        red, green, blue = opened.convert("RGB").resize((1, 1)).getpixel((0, 0))  # type: ignore[misc]
    if max(red, green, blue) - min(red, green, blue) < 20:
        return "grey"
    return {red: "red", green: "green", blue: "blue"}[max(red, green, blue)]


def looking(asked: Asked) -> Said:
    """Answer as a model that sees: the colour, as a letter where letters are asked for."""
    return colour_of(asked.image)


class ChatServer:
    """Answers at `url` until it is closed; `answer` may be replaced at any time."""

    def __init__(self, answer: Callable[[Asked], Said] = looking, *, seconds: float = 0.0) -> None:
        self.answer, self.seconds = answer, seconds
        self.models: list[dict[str, Any]] | Fault = [{"id": "model", "owned_by": "test"}]
        self.asked: list[Asked] = []
        self.count = self.inside = self.most_inside = 0
        self.keeps = True
        self.logprobs = True
        self.sees = True
        self.lock = Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

            def do_GET(self) -> None:
                if isinstance(server.models, Fault):
                    _fail(self, server.models)
                else:
                    _send(self, 200, json.dumps({"object": "list", "data": server.models}))

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                server.serve(self, raw)

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass

        self._http = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/v1"
        self._thread = Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        """What `--model` takes."""
        return f"api:{self.url}#model"

    def close(self) -> None:
        """End it."""
        self._http.shutdown()
        self._http.server_close()

    def serve(self, handler: BaseHTTPRequestHandler, raw: bytes) -> None:
        """Answer one request."""
        asked = _read(raw, dict(handler.headers))
        with self.lock:
            self.count += 1
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
            if self.keeps:
                self.asked.append(asked)
        try:
            if self.seconds:
                time.sleep(self.seconds)
            said = self.answer(asked)
            if isinstance(said, Fault):
                _fail(handler, said)
            else:
                _send(handler, 200, json.dumps(self._completion(asked, said)))
        finally:
            with self.lock:
                self.inside -= 1

    def _completion(self, asked: Asked, said: str | Mapping[str, float]) -> dict[str, Any]:
        chances = {said: 1.0} if isinstance(said, str) else said
        text = max(chances.items(), key=lambda pair: pair[1])[0]
        choice: dict[str, Any] = {
            "index": 0,
            "message": {"role": "assistant", "content": text},
            "finish_reason": "stop",
        }
        if self.logprobs and asked.body.get("logprobs"):
            top = sorted(chances.items(), key=lambda pair: -pair[1])[: asked.body["top_logprobs"]]
            listed = [{"token": token, "logprob": math.log(chance)} for token, chance in top]
            choice["logprobs"] = {"content": [{**listed[0], "top_logprobs": listed}]}
        tokens = len(asked.text.split()) + (256 if asked.image and self.sees else 0)
        usage = {"prompt_tokens": tokens, "completion_tokens": len(text.split())}
        return {"id": "1", "object": "chat.completion", "model": "model", "choices": [choice], "usage": usage}


@contextmanager
def chat_server(answer: Callable[[Asked], Said] = looking, *, seconds: float = 0.0) -> Iterator[ChatServer]:
    """Run a server for the length of a block."""
    server = ChatServer(answer, seconds=seconds)
    try:
        yield server
    finally:
        server.close()


def _read(raw: bytes, headers: Mapping[str, str]) -> Asked:
    body = json.loads(raw)
    image, texts = None, []
    for message in body["messages"]:
        content: Any = message["content"]
        parts: list[Any] = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for part in parts:
            if part["type"] == "image_url":
                image = base64.b64decode(part["image_url"]["url"].partition(",")[2])
            elif message["role"] != "system":
                texts.append(part["text"])
    return Asked(raw, body, image, "\n".join(texts), headers)


def _send(handler: BaseHTTPRequestHandler, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
    content = text.encode()
    handler.send_response(status)
    for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def _fail(handler: BaseHTTPRequestHandler, fault: Fault) -> None:
    if fault.kind == HANG:
        time.sleep(fault.seconds)
    if fault.kind in (CUT, HANG):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"choices": [')
        handler.close_connection = True
        return
    _send(handler, fault.status if fault.kind == STATUS else 200, fault.body, fault.headers)
