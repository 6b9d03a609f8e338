"""What a forked process does: takes its one job, runs it, reports, and ends with its runner."""

from __future__ import annotations

import errno
import os
import pickle
import signal
import threading
from multiprocessing import connection

from harness.errors import BenchError
from harness.run.job_server import LOST_DEVICE
from harness.run.messages import Receiver, Sender
from harness.text.error_text import error_text, named_error, traceback_text

_NOT_WRITABLE = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EFBIG)


def run_job(requests: int, reports: int) -> None:
    """Call `job(*arguments, progress)` as asked on one pipe, and send its result or failure on the other.

    The environment that comes with it is laid over the process's own first.
    """
    receiver, sender = Receiver(requests), Sender(reports)
    content = receiver.wait(None)
    if content is None:  # the runner has let go of this process: it was never needed
        return
    threading.Thread(target=_end_with_runner, args=(receiver,), daemon=True).start()

    def progress(what: str, done: int, total: int) -> None:
        sender.send(("progress", (what, done, total)))

    try:
        environment, asked = pickle.loads(content)
        os.environ.update(environment)  # before anything can ask which devices there are
        job, arguments = pickle.loads(asked)
        sender.send(("result", job(*arguments, progress)))
    except Exception as error:
        sender.send(("failure", _explained(error)))


def _explained(error: Exception) -> tuple[str, str, str | None]:
    """Message, kind and, for a bug, the traceback; a full disk and too little memory are no bugs."""
    from harness.jobs.device_errors import lost_device, refused_operation
    from harness.measure.out_of_memory import is_out_of_memory

    if lost := lost_device(error):  # also where a deliberate error was made of it
        return named_error(lost), LOST_DEVICE, traceback_text()
    error = refused_operation(error) or error
    if isinstance(error, BenchError):
        return error_text(error), type(error).__name__, None
    if is_out_of_memory(error):
        return f"Out of memory ({error_text(error)}). Take a smaller model, image or batch.", "OutOfMemory", None
    if isinstance(error, OSError) and error.errno in _NOT_WRITABLE:
        remedy = "Free space or permissions there; BENCH_CACHE and --results say where files go."
        return f"{error_text(error)}. {remedy}", "OSError", None
    return named_error(error), type(error).__name__, traceback_text()


def _end_with_runner(requests: Receiver) -> None:
    """Kill this process and all that it has started as soon as the runner is gone, even when that was killed."""
    connection.wait([requests.fileno()])
    os.killpg(os.getpgid(0), signal.SIGKILL)
