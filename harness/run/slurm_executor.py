"""Runs jobs on a SLURM cluster: what is asked for at about the same time goes as one array of single jobs.

A job whose machine is taken away, or that reaches the time limit, is put into the queue again; one that has filled its
memory, failed or was cancelled is not. Results and reports come through files, so the cache must be on a disk that the
machines share.
"""

from __future__ import annotations

import json
import shutil
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from harness.errors import ClusterLost, UsageError
from harness.plan.environment import cache_wish
from harness.protocols import Progress
from harness.run.choose_executor import Workload
from harness.run.cluster_calls import ClusterCalls, tell_run
from harness.run.executor import CPU, JobRequest
from harness.run.executor_address import GPUS, ExecutorAddress
from harness.run.job_server import Arguments, JobFailure, Result, Workers
from harness.run.reported import LOST, NO_MEMORY, RESULT
from harness.run.slurm_job import SentJob
from harness.text.error_text import error_text

_TAKEN_AWAY = ("PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "TIMEOUT", "REVOKED", "REQUEUED")
_ATTEMPTS = 20
_GATHER_SECONDS, _POLL_SECONDS = 0.5, 1.0
_REQUEUE_SECONDS, _RESULT_SECONDS = 60.0, 15.0
"""So long a pre-empted job may be on its way into the queue, and a result on its way through a shared disk."""
_SHARDS = "gres"
_PASSED_ON = ("account", "qos", "constraint", "comment", _SHARDS)
_OPTIONS = ("time", GPUS, "mem", *_PASSED_ON)


def open_slurm(workload: Workload, workers: Workers) -> SlurmExecutor:
    """Open the partition that `--executor slurm://…` names; raises UsageError."""
    address = ExecutorAddress.parse(workers.executor, _OPTIONS)
    if not address.place:
        raise UsageError(
            f"--executor {workers.executor}: wanted slurm://PARTITION, as in slurm://gpu?time=120&gpus=1 (`sinfo` "
            "lists partitions; time is in minutes, mem in GB)."
        )
    gpus = 0.0 if workload.device == CPU else address.gpus_a_cell(workload.processes, spreads=workload.spreads)
    if gpus != int(gpus) and _SHARDS not in address.options:
        raise UsageError(
            f"--executor {workers.executor}: SLURM gives parts of GPUs only where its gres.conf has shards or MIG. "
            f"Name them beside, as gres=shard:1 or gres=gpu:1g.10gb:1; gpus={gpus:g} then says how much of a GPU's "
            "memory a cell may fill. Or take gpus=1."
        )
    cache = cache_wish()
    if cache is None or shutil.which("srun") is None:
        raise UsageError(
            f"--executor {workers.executor}: `srun` is not on PATH, so this is no machine of a SLURM cluster. Run it "
            "on a login node."
        )
    wanted: dict[str, Any] = {
        "slurm_partition": address.place,
        "slurm_time": address.whole("time", 24 * 60),
        "cpus_per_task": workload.threads,
        "gpus_per_node": 0 if _SHARDS in address.options else int(gpus),
        "name": "bench",
        **{f"slurm_{name}": address.options[name] for name in _PASSED_ON if name in address.options},
    }
    if "mem" in address.options:
        wanted["mem_gb"] = address.whole("mem", 0)
    if workers.jobs:
        wanted["slurm_array_parallelism"] = workers.jobs
    return SlurmExecutor(Path(cache) / "slurm", wanted)


@dataclass(eq=False)
class _Call:
    """A job that was sent: what waits for it, and how far its reports were read."""

    sent: SentJob
    request: JobRequest
    future: Future[Any] = field(default_factory=Future)
    job: Any = None
    read: int = 0
    attempts: int = 0
    gone_since: float | None = None


class SlurmExecutor:
    """Runs jobs on a partition; a context manager that cancels what is left when it is closed."""

    def __init__(self, folder: Path, wanted: dict[str, Any], cluster: str = "slurm") -> None:
        """`folder` is seen by all machines, `wanted` are parameters of submitit's executor for that `cluster`."""
        self._folder, self._wanted, self._cluster = folder / uuid.uuid4().hex, wanted, cluster
        self._calls = ClusterCalls[_Call]()
        self._listener = threading.Thread(target=self._listen, daemon=True, name="slurm")
        self._executor: Any = None

    @property
    def slots(self) -> int:
        """How many jobs run at once is the cluster's business."""
        return int(self._wanted.get("slurm_array_parallelism", 1))

    @property
    def held_back(self) -> int:
        """No measurement waits here: each machine takes its own turns."""
        return 0

    def working_here(self) -> AbstractContextManager[None]:
        """Nothing is measured on this machine by this executor."""
        return nullcontext()

    def __enter__(self) -> Self:
        import submitit

        self._folder.mkdir(parents=True, exist_ok=True)
        self._executor = submitit.AutoExecutor(self._folder, cluster=self._cluster)
        self._executor.update_parameters(**self._wanted)
        self._listener.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._calls.close()
        self._listener.join()
        for call in self._calls.give_up():
            with suppress(Exception):
                call.job.cancel(check=False)
        if error is None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def submit(
        self, job: Callable[[*Arguments, Progress], Result], arguments: tuple[*Arguments], request: JobRequest
    ) -> Future[Result]:
        """Put a job into SLURM's queue; see `harness.run.executor.Executor`."""
        sent = SentJob(job, arguments, self._folder / f"{uuid.uuid4().hex}.jsonl")
        return self._calls.ask(_Call(sent, request))

    def _listen(self) -> None:
        """Send what waits as one array, and look after what was sent, until the executor is closed."""
        while True:
            with self._calls.changed:
                self._calls.changed.wait_for(lambda: self._calls.closed or self._calls.waiting or self._calls.sent)
                if self._calls.closed:
                    return
            time.sleep(_GATHER_SECONDS if self._calls.waiting else _POLL_SECONDS)
            try:
                self._send_waiting()
            except Exception as error:  # sbatch refuses: then it refuses all
                self._calls.fail_all(UsageError(f"SLURM takes no job: {error_text(error)}"))
                continue
            try:
                for call in tuple(self._calls.sent):
                    self._look_after(call)
            except Exception as error:  # whoever waits for a job must not wait for ever
                self._calls.fail_all(ClusterLost(f"SLURM: {error_text(error)} Run again: finished cells are kept."))

    def _send_waiting(self) -> None:
        with self._calls.changed:
            sent, self._calls.waiting = self._calls.waiting, []
            self._calls.sent += sent
        if not sent:
            return
        with self._executor.batch():
            for call in sent:
                call.job = self._executor.submit(call.sent)
                call.attempts, call.gone_since = call.attempts + 1, None

    def _look_after(self, call: _Call) -> None:
        self._pass_reports_on(call)
        if not call.job.paths.result_pickle.exists():
            if self._is_gone(call):
                self._lost(call)
            return
        self._pass_reports_on(call)
        try:
            kind, told = call.job.result()
        except Exception as error:  # it could not even be begun: the job's own failures are results
            self._calls.fail(call, JobFailure(f"The job cannot be run there: {error_text(error)}", LOST))
            return
        if kind == RESULT:
            self._calls.end(call, told)
        else:
            self._calls.fail(call, JobFailure(*told))

    @staticmethod
    def _is_gone(call: _Call) -> bool:
        """Whether a job has ended with no result, or was pre-empted for good: one that is queued again is pending."""
        preempted = call.job.state.upper().startswith("PREEMPTED")
        if not (preempted or call.job.done()):
            call.gone_since = None
            return False
        call.gone_since = call.gone_since or time.monotonic()
        return time.monotonic() - call.gone_since > (_REQUEUE_SECONDS if preempted else _RESULT_SECONDS)

    def _pass_reports_on(self, call: _Call) -> None:
        """Tell what the job has written since; a line that is not whole is read next time."""
        try:
            with call.sent.reports.open("rb") as file:
                file.seek(call.read)
                content = file.read()
        except OSError:
            return
        whole = content[: content.rfind(b"\n") + 1]
        call.read += len(whole)
        for line in whole.splitlines():
            what, done, total = json.loads(line)
            call.request.progress(what, done, total)

    def _lost(self, call: _Call) -> None:
        state = str(call.job.state).partition(" ")[0].upper()
        if state.startswith("OUT_OF_ME"):
            message = f"SLURM ended the job: its machine's share of memory was full ({state})."
            self._calls.fail(call, JobFailure(message, NO_MEMORY))
        elif state in _TAKEN_AWAY and call.attempts < _ATTEMPTS:
            tell_run(call, f"its machine was taken away ({state}); it runs again.")
            with self._calls.changed:
                self._calls.sent.remove(call)
                self._calls.waiting.append(call)
        else:
            last = ((call.job.stderr() or "").strip().splitlines() or ["it printed no error"])[-1]
            self._calls.fail(call, JobFailure(f"SLURM ended the job ({state}): {last}", LOST))
