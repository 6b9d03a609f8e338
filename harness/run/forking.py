"""The program of the fork server: imports the heavy packages once, then forks itself whenever it is asked.

It never touches torch's threads or CUDA, so that forking it is safe; where an import starts CUDA it gives no process
and says whose import that was. Each forked process leads a session of its own and is waited for here: when it ends,
whatever it has started and left behind is killed, and only then is its end told. When the runner has gone, however it
went, everything is killed and the server ends; also during imports.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from types import FrameType
from typing import Any

from harness.jobs.torchao_import import unwarned_of_torchao
from harness.run.cuda_guard import accusation, cuda_started
from harness.run.messages import Sender

_DESCRIPTORS = 3
"""Of a request: the end of a pipe on which the forked process reads its job, writes reports, and its end is told."""
_SET_CHILD_SUBREAPER = 36
"""Linux, prctl(2): whoever loses its parent becomes the server's own child, and can be found."""


def serve(control: int, entry: str, modules: Sequence[str]) -> None:
    """Import modules, and fork on each request that comes on a socket, until the runner closes it.

    `entry` is MODULE:FUNCTION, which each forked process calls with the descriptors of its two pipes.
    """
    with suppress(OSError):
        os.dup2(2, 1)  # nothing that is imported or run here may write to the standard output of the command
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asked = socket.socket(fileno=control)
    with _ending_with(asked):
        unsafe = _preload(modules)
        module, _, function = entry.partition(":")
        run = getattr(import_module(module), function)
    _Server(asked, run, unsafe).serve()
    os._exit(0)  # nothing here is worth the seconds that an interpreter full of libraries takes to end


def _preload(modules: Sequence[str]) -> str | None:
    """Import modules; say which of them has made forks useless for CUDA, None where all is well."""
    for name in modules:
        with suppress(Exception), unwarned_of_torchao():  # whoever needs it is told why
            import_module(name)
        if started := cuda_started():
            return accusation(name, started)
    return None


@contextmanager
def _ending_with(asked: socket.socket) -> Iterator[None]:
    """While the block runs, end this process at once when the other end of a socket is closed."""

    def look(number: int, frame: FrameType | None) -> None:
        with suppress(BlockingIOError):
            if not asked.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
                os._exit(1)

    signal.signal(signal.SIGIO, look)
    fcntl.fcntl(asked, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(asked, fcntl.F_GETFL)
    fcntl.fcntl(asked, fcntl.F_SETFL, flags | os.O_ASYNC)
    look(signal.SIGIO, None)  # it may have been closed before
    yield
    fcntl.fcntl(asked, fcntl.F_SETFL, flags)
    signal.signal(signal.SIGIO, signal.SIG_DFL)


@dataclass
class _Server:
    """Forks on request and waits for what it has forked."""

    asked: socket.socket
    run: Callable[[int, int], None]
    unsafe: str | None = None
    """Why no process that is forked here could use CUDA: then none is given."""
    children: dict[int, Sender] = field(default_factory=dict)

    def serve(self) -> None:
        """Serve until the runner has gone, then kill all that is left."""
        _become_subreaper()
        read, write = os.pipe()
        os.set_blocking(read, False)
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        with selectors.DefaultSelector() as selector:
            selector.register(self.asked, selectors.EVENT_READ)
            selector.register(read, selectors.EVENT_READ)
            going = True
            while going:
                for key, _ in selector.select():
                    if key.fileobj is self.asked:
                        going = self._answer((read, write)) and going
                    else:
                        with suppress(BlockingIOError):
                            os.read(read, 4096)
                self._collect()
        self._end()

    def _answer(self, own: Sequence[int]) -> bool:
        """Fork once; False when the runner has gone."""
        try:
            content, descriptors, _, _ = socket.recv_fds(self.asked, 1, _DESCRIPTORS)
        except OSError:
            return False
        if not content:
            return False
        requests, reports, ends = descriptors
        end = Sender(ends)
        try:
            child = self._fork()
        except OSError as error:
            end.send(("refused", f"{error.strerror or error}"))
            end.close()
        else:
            if child == 0:
                self._become_child((requests, reports), end, own)
            self.children[child] = end
        os.close(requests)
        os.close(reports)
        return True

    def _fork(self) -> int:
        """Fork, unless that would be in vain; raises OSError."""
        if self.unsafe is not None:
            raise OSError(self.unsafe)
        return os.fork()

    def _become_child(self, pipes: tuple[int, int], end: Sender, own: Sequence[int]) -> None:
        """Lead a session, say who this is, keep nothing of the server's, do the job and end."""
        code = 1
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            end.send(("forked", os.getpid()))
            for other in (end, *self.children.values()):
                other.close()
            self.asked.close()
            for descriptor in own:
                os.close(descriptor)
            self.run(*pipes)
            code = 0
        except SystemExit as ending:
            code = ending.code if isinstance(ending.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            with suppress(Exception):
                sys.stderr.flush()
            os._exit(code)

    def _collect(self) -> None:
        """Tell the end of each forked process, after whatever it has left behind was killed."""
        for child in list(self.children):
            # It stays a zombie until its group is killed: nobody else can have got its number.
            if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                continue
            _kill_group(child)
            _, status = os.waitpid(child, 0)
            self._tell(self.children.pop(child), os.waitstatus_to_exitcode(status))
        with suppress(ChildProcessError):
            while self._adopted():
                pass

    def _adopted(self) -> bool:
        """Clear one ended process away that had lost its parent; False when there is none."""
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if found is None or found.si_pid in self.children:
            return False
        os.waitpid(found.si_pid, 0)
        return True

    @staticmethod
    def _tell(end: Sender, code: int) -> None:
        with suppress(OSError):
            end.send(("ended", code))
        end.close()

    def _end(self) -> None:
        """Kill what has been forked with its groups, and whatever has left its group."""
        for child in self.children:
            _kill_group(child)
        for _ in range(10):  # killing a process makes its own children this one's
            left = _descendants()
            for process in left:
                with suppress(OSError):
                    os.kill(process, signal.SIGKILL)
            with suppress(ChildProcessError):
                while os.waitpid(-1, 0 if left else os.WNOHANG)[0]:
                    pass
            if not left:
                return


def _kill_group(leader: int) -> None:
    for kill in (os.killpg, os.kill):  # a process that was forked just now may not lead its group yet
        with suppress(OSError):
            kill(leader, signal.SIGKILL)


def _descendants() -> list[int]:
    import psutil  # type: ignore[import-untyped]

    return [process.pid for process in psutil.Process().children(recursive=True)]


def _become_subreaper() -> None:
    """Become the parent of orphans, where the system offers that."""
    with suppress(Exception):
        import ctypes

        libc: Any = ctypes.CDLL(None)
        libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
