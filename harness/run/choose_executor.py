"""Opens the executor that `--executor` names: by its scheme, what comes before `://`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType

from harness.errors import UsageError
from harness.measure.device import VISIBLE
from harness.measure.gpu_probe import probe_gpu
from harness.plan.plugins import load_model, package_of
from harness.plan.run_plan import Plan
from harness.plan.run_request import RunRequest
from harness.processors import usable_processors
from harness.protocols import SpreadsOverGpus
from harness.run.executor import CPU, Executor
from harness.run.fork_server import ForkServer
from harness.run.job_server import JobServer, Workers
from harness.run.local_executor import Device, LocalExecutor
from harness.run.shared_machine import SharedMachine


@dataclass(frozen=True)
class Workload:
    """What an executor is opened for: a kind of device, its threads a job, and the packages whose plugins will run.

    `gpus` are those of this machine that take jobs, as CUDA_VISIBLE_DEVICES names each. A job takes one for each of its
    `processes`, all of them where a model `spreads` over them.
    """

    device: str
    threads: int
    packages: Collection[str]
    gpus: Sequence[str] = ()
    processes: int = 1
    spreads: bool = False


@dataclass(frozen=True)
class _Scheme:
    """How an executor is written, and the function of (Workload, Workers) that opens it, as MODULE:FUNCTION.

    One of other machines takes `whole_cells`, not their jobs: `harness.run.whole_cell` says why.
    """

    form: str
    opener: str
    whole_cells: bool = False
    package: str | None = None
    """What it imports, of the extra of the executor's name."""


SCHEMES: Mapping[str, _Scheme] = MappingProxyType(
    {
        "local": _Scheme("local", "harness.run.choose_executor:open_local"),
        "ray": _Scheme("ray://HOST:PORT, ray://auto, ray://local", "harness.run.ray_executor:open_ray", True, "ray"),
        "slurm": _Scheme("slurm://PARTITION", "harness.run.slurm_executor:open_slurm", True, "submitit"),
    }
)
"""An executor of an extra stands here too: its module imports the extra's packages when it is opened."""


def workers_of(request: RunRequest, server: ForkServer) -> Workers:
    """Say how the jobs of a run are run, forked from this server where they run here; raises UsageError."""
    check_executor(request.executor)
    return Workers(request.jobs, request.job_timeout, server, request.executor, request.job_limit)


def workload_of(plan: Plan) -> Workload:
    """Say what the jobs of a plan need."""
    models = {cell.training.model: load_model(cell.training.model) for cell in plan.cells}
    packages = {package_of(plan.task), *map(package_of, models.values())}
    loaded = [(models[cell.training.model], cell.training.options) for cell in plan.cells]
    spreads = any(isinstance(model, SpreadsOverGpus) and model.spreads_over_gpus(options) for model, options in loaded)
    job = plan.cells[0].training
    threads, processes = job.train.threads, job.train.processes
    return Workload(job.device, threads * processes, packages, plan.devices.gpus, processes, spreads)


def jobs_side_by_side(request: RunRequest, plan: Plan) -> int:
    """How many jobs of a plan run at once on this machine: those asked for, else one a core, or one a GPU."""
    if request.jobs:
        return request.jobs
    threads = max((cell.training.train.threads for cell in plan.cells), default=1)
    return _jobs_a_machine(threads) if plan.devices.kind == CPU else max(1, len(plan.devices.gpus))


def check_executor(wish: str) -> None:
    """Raise UsageError where `--executor` names none, or one whose extra is not installed."""
    name = wish.partition("://")[0]
    if name not in SCHEMES:
        known = ", ".join(scheme.form for scheme in SCHEMES.values())
        raise UsageError(f"--executor {wish}: there is no such executor. Known: {known}.")
    package = SCHEMES[name].package
    if package is not None and find_spec(package) is None:
        raise UsageError(
            f"--executor {wish} needs the package {package}, which is not installed here: "
            f"`pip install 'fusemark[{name}]'`, on each machine that is to run cells."
        )


def takes_whole_cells(wish: str) -> bool:
    """Whether an executor is one of other machines, which are sent whole cells; raises UsageError."""
    check_executor(wish)
    return SCHEMES[wish.partition("://")[0]].whole_cells


def open_executor(workload: Workload, workers: Workers) -> Executor:
    """Open the executor that the workers are asked for; it starts when it is entered. Raises UsageError."""
    check_executor(workers.executor)
    module, _, name = SCHEMES[workers.executor.partition("://")[0]].opener.partition(":")
    opener: Callable[[Workload, Workers], Executor] = getattr(import_module(module), name)
    executor = opener(workload, workers)
    return executor if workers.gpu_part is None else SharedMachine(executor, workers.gpu_part)


def open_local(workload: Workload, workers: Workers) -> Executor:
    """Run jobs on this machine, each forked from a server: one a core, or one on each GPU."""
    if workers.executor != "local":
        raise UsageError(f"--executor {workers.executor}: the local executor takes no address. Use --executor local.")
    if workload.device == CPU:
        devices = [Device(CPU, workers.jobs or _jobs_a_machine(workload.threads))]
    else:
        size = max(workload.processes, len(workload.gpus) if workload.spreads else 1)
        devices = devices_of(_grouped(workload.gpus, size), workers.jobs)
    return LocalExecutor(JobServer(workload.packages, workers), devices, _why_unusable)


def _why_unusable(device: Device) -> str | None:
    """Try a GPU in a child process; None where it can compute."""
    probe = probe_gpu(device.name, visible=device.environment.get(VISIBLE))
    return None if probe.failure is None else probe.reason


def devices_of(gpus: Sequence[str], jobs: int) -> list[Device]:
    """Spread so many jobs over GPUs, or give each GPU one where `jobs` is 0; a job sees its own GPU alone.

    >>> [(device.name, device.places) for device in devices_of(["0", "1", "GPU-7"], 5)]
    [('cuda:0', 2), ('cuda:1', 2), ('cuda:2', 1)]
    """
    whole, rest = divmod(jobs or len(gpus), len(gpus))
    return [Device(f"cuda:{i}", whole + (i < rest), {VISIBLE: gpu}) for i, gpu in enumerate(gpus)]


def _grouped(gpus: Sequence[str], size: int) -> list[str]:
    """Put so many GPUs together for one job, as CUDA_VISIBLE_DEVICES lists them; raises UsageError where there are not.

    >>> _grouped(["0", "1", "2", "GPU-7", "8"], 2)
    ['0,1', '2,GPU-7']
    """
    if size > len(gpus):
        raise UsageError(f"train.processes={size} takes a GPU for each process, and this run has {len(gpus)}.")
    return [",".join(gpus[start : start + size]) for start in range(0, len(gpus) - size + 1, size)]


def _jobs_a_machine(threads: int) -> int:
    cores = usable_processors()
    return max(1, cores // threads)
