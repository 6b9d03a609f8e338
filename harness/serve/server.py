"""`bench serve`: takes its port, loads the model, and answers until it is told to end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.serve.batching import BatchLimits
from harness.serve.key import KEY
from harness.serve.served_model import MOST_PIXELS, load_served

if TYPE_CHECKING:
    from fastapi import FastAPI

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class ServeRequest:
    """How to serve: where, in which batches, and what is accepted."""

    folder: Path
    host: str = "127.0.0.1"
    port: int = 8000
    device: str = "cpu"
    threads: int = 1
    batches: BatchLimits = field(default_factory=BatchLimits)
    most_bytes: int = 10 * 2**20
    most_pixels: int = MOST_PIXELS


def serve_export(request: ServeRequest, cache: Path, say: Callable[[str], None], tell: Callable[[str], None]) -> None:
    """Serve an export until SIGINT or SIGTERM; `tell` gets the address once it answers, `say` what a user must know.

    Raises UsageError for a port in use or without the extra `serve`, CheckpointError for an export that is refused.
    """
    _require_extra()
    from harness.serve.app import ServeLimits, make_app

    key = os.environ.get(KEY) or None
    listening = _bound(request.host, request.port)
    with listening:
        served = load_served(
            request.folder, cache, request.device, threads=request.threads, most_pixels=request.most_pixels
        )
        if key is None and request.host not in _LOOPBACK:
            say(f"Anybody who reaches {request.host} may ask: set {KEY} to a key that requests must show.")
        app = make_app(served, ServeLimits(request.most_bytes, request.batches), key)
        _listen(listening, request)
        port = listening.getsockname()[1]
        shown = f"[{request.host}]" if ":" in request.host else request.host
        name = f"{served.bundle.name} of {served.bundle.task}"
        ready = f"Serving {name} at http://{shown}:{port} (POST /predict; GET /health, /contract, /metrics)"
        asyncio.run(_answer(app, listening, lambda: tell(ready)))
        app.state.batcher.stop()


def require_device(wish: str) -> str:
    """Settle `auto`; raises UsageError for a GPU that is not there."""
    import torch

    if wish == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wish != "cpu" and not torch.cuda.is_available():
        raise UsageError(f"--device {wish}: torch sees no GPU here. Take --device cpu, or see `bench doctor`.")
    return wish


def _require_extra() -> None:
    try:
        import fastapi
        import prometheus_client
        import uvicorn
    except ImportError as error:
        raise UsageError(
            f"bench serve needs the package {error.name}. Install it with `uv sync --extra serve` or "
            "`pip install 'fusemark[serve]'`."
        ) from None
    del fastapi, prometheus_client, uvicorn


def _bound(host: str, port: int) -> socket.socket:
    """Take a port before minutes go into loading; raises UsageError where it is taken or the host is not ours."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UsageError(f"--host {host}: {error.strerror or error}. Give an address of this machine.") from None
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind(address)
    except OSError as error:
        found.close()
        raise _taken(host, port, error) from None
    return found


def _listen(listening: socket.socket, request: ServeRequest) -> None:
    try:
        listening.listen(2048)
    except OSError as error:
        raise _taken(request.host, request.port, error) from None


def _taken(host: str, port: int, error: OSError) -> UsageError:
    return UsageError(
        f"Port {port} of {host} cannot be taken ({error.strerror}). Give another with --port; 0 takes any that is free."
    )


async def _answer(app: FastAPI, listening: socket.socket, started: Callable[[], None]) -> None:
    import uvicorn

    class Server(uvicorn.Server):  # type: ignore[misc]  # an extra, whose types are not followed
        """Ends in good order on a signal, which is not raised again afterwards: to be told to end is no failure."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            loop = asyncio.get_running_loop()
            for name in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(name, self._leave)
            yield

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            started()

        def _leave(self) -> None:
            self.should_exit = True

    options = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=10)
    await Server(options).serve(sockets=[listening])
