"""The command in a fresh process that has its imports behind it: forked from one that has read all packages once.

A `bench run` spends some ten seconds of processor time on imports, its own and its fork server's, where the tiny run
of a test takes one. Such a process differs from a real one in that alone: it has its own arguments, environment,
folder, streams, session and end. Tests of starting and of what is imported use `Bench.fresh`.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import pkgutil
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from importlib import import_module, invalidate_caches
from importlib.metadata import entry_points
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any, NoReturn

PACKAGES = ("harness", "tasks", "baselines")
EARLY = ("torch._dynamo", "torch.utils.flop_counter", "PIL.Image", "altair", "pandas", "scipy.stats", "pyarrow.parquet")
READ_LATE = ("BENCH_", "PYTEST_", "RAY_", "AWS_")
"""Environment variables with these beginnings are looked at when they are needed, and so are COLUMNS and the like:
with others a process must be started anew, since libraries read them while they are imported."""
READ_LATE_NAMES = {"PATH", "PYTHONPATH", "COLUMNS", "TMPDIR", "OPENAI_API_KEY", "MY_KEY", "CUBLAS_WORKSPACE_CONFIG"}
"""The last one is set, for the rest of a session, by a test that trains deterministically in its own process."""
SET_BY_IMPORTS = ("KMP_", "LD_LIBRARY_PATH", "TOKENIZERS_PARALLELISM", "TORCHINDUCTOR_CACHE_DIR", "_MLFLOW_")
"""scikit-learn, OpenCV, open_clip, timm and mlflow set these where a test imports them, and then in the server too."""


Request = tuple[tuple[str, ...], str, dict[str, str]]
"""What a process is to be: the arguments of `bench`, its folder and its whole environment."""


class WarmProcess:
    """A forked process, used as `subprocess.Popen` is: its output, its end, and signals to it."""

    def __init__(self, pid: int, output: int, error: int, status: int) -> None:
        self.args = ("bench",)
        self.pid = pid
        self.returncode: int | None = None
        self.stdout: IO[str] = os.fdopen(output, encoding="utf-8", errors="surrogateescape")
        self.stderr: IO[str] = os.fdopen(error, encoding="utf-8", errors="surrogateescape")
        self._status = status

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._status, selectors.EVENT_READ)
                if not selector.select(timeout):
                    raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            content = os.read(self._status, 16)
            os.close(self._status)
            assert content, "the server of warm processes has ended"
            self.returncode = int(content)
        return self.returncode

    def poll(self) -> int | None:
        """Return how it ended, or None while it lives."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0.0)
        return self.returncode

    def kill(self) -> None:
        """End it."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Read what it says until nobody can say more, and wait for its end; raises subprocess.TimeoutExpired."""
        told = ["", ""]

        def read(place: int, stream: IO[str]) -> None:
            told[place] = stream.read()
            stream.close()

        readers = [threading.Thread(target=read, args=pair, daemon=True) for pair in enumerate(self._streams())]
        end = None if timeout is None else time.monotonic() + timeout
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(None if end is None else max(0.0, end - time.monotonic()))
            if reader.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        self.wait(None if end is None else max(0.1, end - time.monotonic()))
        return told[0], told[1]

    def _streams(self) -> tuple[IO[str], IO[str]]:
        return self.stdout, self.stderr


class WarmServer:
    """Starts processes of `bench` by forking; starts itself when first asked, and ends with `close`."""

    def __init__(self) -> None:
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._environment: dict[str, str] = {}

    def serves(self, environment: Mapping[str, str]) -> bool:
        """Whether a process with this environment may be forked, or must be started anew."""
        own = self._environment or dict(os.environ)
        changed = {name for name in own.keys() | environment.keys() if own.get(name) != environment.get(name)}
        return all(name in READ_LATE_NAMES or name.startswith((*READ_LATE, *SET_BY_IMPORTS)) for name in changed)

    def start(self, request: Request) -> WarmProcess:
        """Fork a process that leads a session of its own."""
        control = self._started()
        pipes = [os.pipe() for _ in range(3)]
        theirs = [write for _, write in pipes]
        content = pickle.dumps(request)
        socket.send_fds(control, [len(content).to_bytes(4, "big")], theirs)
        control.sendall(content)
        for descriptor in theirs:
            os.close(descriptor)
        pid = int.from_bytes(_exactly(control, 4), "big")
        return WarmProcess(pid, *(read for read, _ in pipes))

    def close(self) -> None:
        """End the server."""
        if self._control is not None and self._process is not None:
            self._control.close()
            self._process.wait(20)

    def _started(self) -> socket.socket:
        if self._control is None:
            self._environment = dict(os.environ)
            self._control, theirs = socket.socketpair()
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, str(Path(__file__)), str(theirs.fileno())], pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                )  # fmt: skip
            assert _exactly(self._control, 1) == b"r"
        return self._control


def _exactly(stream: socket.socket, count: int) -> bytes:
    content = b""
    while len(content) < count:
        more = stream.recv(count - len(content))
        if not more:
            raise EOFError("the server of warm processes has ended")
        content += more
    return content


# ------------------------------------------------------------- the server's side


def serve(control: socket.socket) -> None:
    """Import everything, then fork on each request until the other side has gone."""
    gc.disable()
    sys.path[0] = str(Path(sys.executable).parent)  # as the console script has it
    for name in (*EARLY, *_modules()):
        with contextlib.suppress(Exception):  # an extra that is not installed; who needs it is told
            import_module(name)
    _take_sources_apart()
    gc.freeze()  # what the collector does not visit is not copied
    gc.enable()
    control.sendall(b"r")
    children: dict[int, tuple[int, int]] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not control:
                    selector.unregister(key.fileobj)
                    _tell_end(*children.pop(key.fd), key.fd)
                    continue
                header, descriptors, _, _ = socket.recv_fds(control, 4, 3)
                if not header:
                    os._exit(0)
                request = pickle.loads(_exactly(control, int.from_bytes(header, "big")))
                output, error, status = descriptors
                pid = os.fork()
                if pid == 0:
                    control.close()
                    selector.close()
                    for descriptor in (status, *children, *(told for _, told in children.values())):
                        os.close(descriptor)
                    _become(request, output, error)
                os.close(output)
                os.close(error)
                watch = os.pidfd_open(pid)
                children[watch] = (pid, status)
                selector.register(watch, selectors.EVENT_READ)
                control.sendall(pid.to_bytes(4, "big"))


def _modules() -> list[str]:
    found = []
    for package in PACKAGES:
        path = import_module(package).__path__
        found += [module.name for module in pkgutil.walk_packages(path, f"{package}.", onerror=lambda _: None)]
    return [name for name in found if not name.endswith("__main__")]


def _take_sources_apart() -> None:
    """Parse the project's own files, for code digests: a run whose cache is empty takes more than a second for that."""
    from harness.plan.parsed_sources import ParsedSources

    sources = ParsedSources()
    for name in (*PACKAGES, *_modules()):
        if (place := getattr(sys.modules.get(name), "__file__", None)) is not None:
            sources.read(Path(place), name)


def _tell_end(pid: int, status: int, watch: int) -> None:
    _, code = os.waitpid(pid, 0)
    with contextlib.suppress(BrokenPipeError):
        os.write(status, str(os.waitstatus_to_exitcode(code)).encode())
    os.close(status)
    os.close(watch)


def _become(request: Request, output: int, error: int) -> NoReturn:
    """Be `bench` as if this process had just been started with it."""
    arguments, folder, environment = request
    code: object = 1
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for descriptor, stream in ((output, 1), (error, 2)):
            os.dup2(descriptor, stream)
            os.close(descriptor)
        for number, name in ((1, "stdout"), (2, "stderr")):  # the old ones stood at some place of a file
            text = _text(number)
            for place in (name, f"__{name}__"):
                setattr(sys, place, text)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        sys.argv = [str(Path(sys.executable).with_name("bench")), *arguments]
        sys.path[1:1] = [entry for entry in environment.get("PYTHONPATH", "").split(os.pathsep) if entry]
        invalidate_caches()
        import tempfile

        tempfile.tempdir = None
        _keep_a_fork_server_ready()
        (command,) = entry_points(group="console_scripts", name="bench")
        command.load()()
        code = 0
    except SystemExit as ending:
        code = ending.code
        if isinstance(code, str):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 130 if isinstance(sys.exception(), KeyboardInterrupt) else 1
    finally:
        _end(code)


def _text(descriptor: int) -> TextIOWrapper:
    stream = os.fdopen(descriptor, "wb", closefd=False)
    return TextIOWrapper(stream, encoding="utf-8", errors="backslashreplace", line_buffering=descriptor == 2)


def _end(code: object) -> NoReturn:
    """End as an interpreter does: exit functions, then what is buffered."""
    import atexit
    import logging

    with contextlib.suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined]
        logging.shutdown()
        atexit._run_exitfuncs()
    with contextlib.suppress(BaseException):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0)


# ------------------------------------------------------------- the fork server of such a process


def _keep_a_fork_server_ready() -> None:
    """Fork what will be the run's own fork server, before this process has threads; a second one is a real process."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        _await_program(theirs)
    theirs.close()
    from harness.run import fork_server

    real, left = subprocess.Popen, [_ForkedServer(pid, ours)]

    class Subprocesses:
        """What `harness.run.fork_server` uses of the module `subprocess`."""

        DEVNULL, TimeoutExpired = subprocess.DEVNULL, subprocess.TimeoutExpired

        @staticmethod
        def Popen(command: Sequence[str], *, env: Mapping[str, str], pass_fds: Sequence[int], **streams: Any) -> Any:
            if not left:
                return real(command, env=env, pass_fds=pass_fds, **streams)
            return left.pop().begin(command, env, pass_fds[0])

    vars(fork_server)["subprocess"] = Subprocesses


class _ForkedServer:
    """What a `Popen` of the fork server would be."""

    def __init__(self, pid: int, control: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._control = control

    def begin(self, command: Sequence[str], environment: Mapping[str, str], descriptor: int) -> _ForkedServer:
        """Let it run the program of a command line that ends with `-c PROGRAM DESCRIPTOR`."""
        content = pickle.dumps((command[-2], dict(environment)))
        socket.send_fds(self._control, [len(content).to_bytes(4, "big")], [descriptor])
        self._control.sendall(content)
        return self

    def poll(self) -> int | None:
        if self.returncode is None:
            found, status = os.waitpid(self.pid, os.WNOHANG)
            if found:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        end = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired("fork server", timeout or 0.0)
            time.sleep(0.005)
        return code

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def _await_program(control: socket.socket) -> NoReturn:
    """Run the program that comes on a socket, or end with the process that might have sent it."""
    try:
        header, descriptors, _, _ = socket.recv_fds(control, 4, 1)
        if header:
            program, environment = pickle.loads(_exactly(control, int.from_bytes(header, "big")))
            control.close()
            os.environ.clear()
            os.environ.update(environment)
            sys.argv = ["-c", str(descriptors[0])]
            exec(program, {"__name__": "__main__"})
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(1)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
