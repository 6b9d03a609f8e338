"""One training in several processes: each takes a share of every batch, and gradients are summed over all of them.

What they agree upon goes over gloo, on the CPU, before any gradients do: a process that has ended is noticed there by
the others, who would wait for it in vain in NCCL.
"""

from __future__ import annotations

import os
import pickle
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from harness.errors import BenchError, OutOfMemory, UsageError
from harness.files import replace_atomically
from harness.protocols import HasLossParts, HasMeanLoss, Learner, SupportsFit

if TYPE_CHECKING:
    from torch import Tensor

_CHUNK = 16 * 2**20
"""Gradients are sent in pieces of so many numbers, so that no second copy of all of them is held."""
_PATIENCE = timedelta(days=7)
"""A process that works is waited for: one that has ended is noticed by its connection, a hang by `--job-timeout`."""

Result = TypeVar("Result")


class PeerLost(Exception):
    """Another process of the training has ended; why is told by itself."""


@dataclass(frozen=True)
class Processes:
    """The processes of one training, as the one with this `rank` sees them; rank 0 leads: it validates and reports."""

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process validates, keeps the state and reports."""
        return self.rank == 0

    def share(self, size: int) -> range:
        """Say which places of a batch of `size` are this process's: as many as the others', give or take one."""
        return range(size * self.rank // self.count, size * (self.rank + 1) // self.count)

    def summed(self, numbers: Sequence[float]) -> list[float]:
        """Add up numbers over all processes, place by place, in float64; raises PeerLost."""
        if self.count == 1:
            return list(numbers)
        together = torch.tensor(numbers, dtype=torch.float64)
        with _noticing():
            torch.distributed.all_reduce(together)
        return [float(number) for number in together]

    def told(self, value: Any) -> Any:
        """Give what the leading process says, everywhere; raises PeerLost."""
        if self.count == 1:
            return value
        box = [value]
        with _noticing():
            torch.distributed.broadcast_object_list(box, device=torch.device("cpu"))
        return box[0]

    def gathered(self, value: Any) -> list[Any]:
        """Give the values of all processes by rank, to each of them; raises PeerLost."""
        if self.count == 1:
            return [value]
        found = []
        for rank in range(self.count):
            box = [value]
            with _noticing():
                torch.distributed.broadcast_object_list(box, rank, device=torch.device("cpu"))
            found.append(box[0])
        return found

    def make_equal(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite tensors with those of the leading process; raises PeerLost."""
        if self.count > 1:
            with _noticing():
                for tensor in tensors:
                    torch.distributed.broadcast(tensor, 0)

    def sum_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Add up the gradients of all processes; a weight without one here and with one elsewhere counts as 0 here."""
        if self.count == 1:
            return
        have = self.summed([parameter.grad is not None for parameter in parameters])
        used = [parameter for parameter, number in zip(parameters, have, strict=True) if number]
        for parameter in used:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            flat = parameter.grad.contiguous().view(-1)
            with _noticing():
                for start in range(0, len(flat), _CHUNK):
                    torch.distributed.all_reduce(flat[start : start + _CHUNK])
            parameter.grad.copy_(flat.view_as(parameter.grad))


ONE_PROCESS = Processes()
"""A training in the one process of its job."""


def device_of(processes: Processes, device: str) -> str:
    """Name the device of a process: the next ones after the job's own; raises UsageError where there are too few."""
    kind, _, index = device.partition(":")
    if kind == "cpu" or processes.count == 1:
        return device
    first, seen = int(index or 0), torch.cuda.device_count()
    if first + processes.count > seen:
        raise UsageError(
            f"train.processes={processes.count} takes a device for each process from {kind}:{first} on, and this job "
            f"sees {seen} of them. Take fewer processes, or a machine and an executor that give a job more devices."
        )
    return f"{kind}:{first + processes.rank}"


def is_mean(learner: Learner) -> bool:
    """Whether a learner's loss is a mean over samples."""
    return isinstance(learner, HasMeanLoss) and learner.loss_is_mean_over_samples


def require_shares(learner: Learner, processes: Processes, accumulation: int = 1) -> None:
    """Raise UsageError unless a learner's training is the same when its batches are split."""
    if processes.count == 1 or (is_mean(learner) and not isinstance(learner, SupportsFit)):
        return
    name, wish = type(learner).__name__, f"train.processes={processes.count}"
    if isinstance(learner, SupportsFit):
        raise UsageError(f"{wish}: {name} is not trained in steps, so that there is nothing to split. Leave it out.")
    if not (isinstance(learner, HasLossParts) and learner.loss_has_parts):
        raise UsageError(
            f"{wish}: the loss of {name} is no mean over samples, nor over words, boxes or pixels: it compares samples "
            "of a batch, remembers them, or does not say. In shares of a batch it would be another training. Leave it "
            "out for this model."
        )
    if accumulation > 1:
        raise UsageError(
            f"{wish}: the loss of {name} is a mean over words, boxes or pixels, which is taken over the shares of all "
            f"processes at once. Leave train.accumulation={accumulation} out, or take more processes."
        )


def in_processes(count: int, device: str, work: Callable[[Processes], Result]) -> Result:
    """Call `work` in this process, which leads, and in `count` - 1 forks of it; returns what the leading one made.

    To be called before CUDA is started and before torch computes in threads. An error of a fork is raised here in the
    place of what it causes.
    """
    if count == 1:
        return work(ONE_PROCESS)
    backend = "gloo" if device.partition(":")[0] == "cpu" else "cpu:gloo,cuda:nccl"
    with tempfile.TemporaryDirectory() as folder:
        place = _Meeting(Path(folder), backend)
        children = [place.fork(Processes(rank, count), work) for rank in range(1, count)]
        try:
            return place.join(Processes(0, count), work)
        except PeerLost as lost:
            for child in children:
                _end(child)
            raise place.told() or OutOfMemory(
                f"A process of train.processes={count} was killed, most often for lack of memory ({lost}). Take fewer "
                "processes, or a smaller model or train.batch_size."
            ) from None
        finally:
            for child in children:
                _end(child)


@dataclass(frozen=True)
class _Meeting:
    """Where the processes of a training find one another, and leave what they fail by."""

    folder: Path
    backend: str

    def fork(self, processes: Processes, work: Callable[[Processes], Any]) -> int:
        """Fork a process that works along and ends."""
        child = os.fork()
        if child:
            return child
        code = 1
        try:
            self.join(processes, work)
            code = 0
        except PeerLost:
            pass
        except BaseException as error:
            told = error if isinstance(error, BenchError) else RuntimeError("".join(traceback.format_exception(error)))
            with replace_atomically(self.folder / f"{processes.rank}.error") as temporary:
                temporary.write_bytes(pickle.dumps(told))
        finally:
            os._exit(code)

    def join(self, processes: Processes, work: Callable[[Processes], Result]) -> Result:
        """Wait for the others and work with them; raises PeerLost where one of them ends first."""
        with _noticing():
            torch.distributed.init_process_group(
                self.backend, f"file://{self.folder}/meeting", _PATIENCE, processes.count, processes.rank
            )
        try:
            return work(processes)
        finally:
            torch.distributed.destroy_process_group()

    def told(self) -> BaseException | None:
        """Find the error that a fork has left; none where it was killed."""
        paths = sorted(self.folder.glob("*.error"))
        error: BaseException | None = pickle.loads(paths[0].read_bytes()) if paths else None
        return error


@contextmanager
def _noticing() -> Iterator[None]:
    """Tell that another process has ended from what torch raises then."""
    try:
        yield
    except RuntimeError as error:
        raise PeerLost(str(error).partition("\n")[0]) from None


def _end(child: int) -> None:
    """Wait a little for a fork to end, and kill it when it does not."""
    for pause in (0.01, 0.1, 0.5, 1.0, 3.0, 0.0):
        try:
            if os.waitpid(child, os.WNOHANG)[0]:
                return
        except ChildProcessError:  # it was waited for before
            return
        time.sleep(pause)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
