"""Jobs in a queue: with a `sbatch`, `srun`, `sacct` and `scancel` on PATH that run them here and take one away."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness.errors import MachineDiffers, UsageError
from harness.run.choose_executor import Workload
from harness.run.executor import JobRequest
from harness.run.job_server import CLOSED, REFUSED, JobFailure, Workers
from harness.run.reported import LOST, NO_MEMORY
from harness.run.slurm_executor import SlurmExecutor, open_slurm

pytest.importorskip("submitit", reason="the extra 'slurm' is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # submitit's processes

_SBATCH = """#!{python}
import json, os, pathlib, re, subprocess, sys
text = pathlib.Path(sys.argv[1]).read_text()
home = pathlib.Path({home!r})
with (home / "numbers").open("a") as file:
    file.write("x")
number = 100 + (home / "numbers").stat().st_size
(home / f"{{number}}.sh").write_text(text)
array = re.search(r"--array=0-(\\d+)", text)
for index in range(int(array[1]) + 1) if array else [None]:
    own = {{"SLURM_JOB_ID": str(number), "SLURM_NTASKS": "1", "SLURM_JOB_NUM_NODES": "1", "SLURM_PROCID": "0"}}
    if index is not None:
        own |= {{"SLURM_ARRAY_JOB_ID": str(number), "SLURM_ARRAY_TASK_ID": str(index)}}
    quiet = {{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}}
    process = subprocess.Popen(["bash", str(home / f"{{number}}.sh")], env={{**os.environ, **own}}, **quiet)
    name = str(number) if index is None else f"{{number}}_{{index}}"
    (home / f"{{name}}.pid").write_text(str(process.pid))
print(f"Submitted batch job {{number}}")
"""
_SRUN = """#!{python}
import os, sys
rest = sys.argv[1:]
while rest[0].startswith("-"):
    rest = rest[2:] if rest[0] in ("--output", "--error") else rest[1:]
os.execvp(rest[0], rest)
"""
_SACCT = """#!{python}
import pathlib
home = pathlib.Path({home!r})
print("JobID|State|NodeList")
for pid in home.glob("*.pid"):
    planted = home / f"{{pid.stem}}.state"
    alive = pathlib.Path(f"/proc/{{pid.read_text()}}").exists()
    print(f"{{pid.stem}}|{{planted.read_text() if planted.exists() else 'RUNNING' if alive else 'COMPLETED'}}|here")
"""


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a pretended SLURM: its scripts as they were sent, and the states that jobs are to have."""
    home, programs = tmp_path / "slurm", tmp_path / "bin"
    for folder in (home, programs):
        folder.mkdir()
    for name, source in {"sbatch": _SBATCH, "srun": _SRUN, "sacct": _SACCT, "scancel": "#!/bin/sh\n"}.items():
        (programs / name).write_text(source.format(python=sys.executable, home=str(home)))
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")])
    )
    return home


def square(number: int, progress: Any) -> int:
    """A job that says what it does."""
    progress("squaring", 1, 2)
    return number * number


def refuse(progress: Any) -> None:
    """A machine that is not as the run's."""
    raise MachineDiffers("torch is 1 here and 2 in the run")


def taken_away(home: str, state: str, progress: Any) -> str:
    """Say of this job that it was taken away, and end with no result, the first time."""
    marker = Path(home) / f"{state}.marker"
    if not marker.exists():
        marker.touch()
        name = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
        (Path(home) / f"{name}.state").write_text(state)
        os._exit(1)
    return state


def _request(told: list[Any]) -> JobRequest:
    return JobRequest("a cell", lambda *what: told.append(what))


def test_what_is_sent_together_is_one_array_and_what_is_taken_away_just_runs_again(
    queue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_REQUEUE_SECONDS", "_RESULT_SECONDS"):
        monkeypatch.setattr(f"harness.run.slurm_executor.{name}", 0.1)
    told: list[Any] = []
    wish = "slurm://gpu?time=90&gpus=2&mem=16&account=us"
    away, ended = ("NODE_FAIL", "TIMEOUT", "PREEMPTED"), ("OUT_OF_MEMORY", "FAILED")
    with open_slurm(Workload("cuda", 3, ()), Workers(executor=wish, jobs=9)) as executor:
        squares = [executor.submit(square, (number,), _request(told)) for number in (2, 3)]
        again = [executor.submit(taken_away, (str(queue), state), _request(told)) for state in away]
        lost = [executor.submit(taken_away, (str(queue), state), _request(told)) for state in ended]
        refused = executor.submit(refuse, (), _request(told))
        mistaken = executor.submit(square, (None,), _request(told))  # type: ignore[arg-type]
        assert [future.result(120) for future in squares] == [4, 9]
        assert [future.result(120) for future in again] == list(away)
        failures = [future.exception(120) for future in (*lost, refused, mistaken)]
    assert ("squaring", 1, 2) in told
    said = [what for what, _, _ in told if "runs again" in what]
    assert sorted(said) == sorted(f"a cell: its machine was taken away ({state}); it runs again." for state in away)
    assert all(isinstance(failure, JobFailure) for failure in failures)
    memory, failed, refusal, bug = failures
    assert (memory.kind, "share of memory was full" in memory.message) == (NO_MEMORY, True)
    assert (failed.kind, "SLURM ended the job (FAILED)" in failed.message) == (LOST, True)
    assert (refusal.kind, refusal.message) == (REFUSED, "torch is 1 here and 2 in the run")
    assert (bug.kind, "unsupported operand" in bug.message, "Traceback" in bug.trace) == ("TypeError", True, True)
    lines = (queue / "101.sh").read_text().splitlines()
    for wanted in ("partition=gpu", "time=90", "gpus-per-node=2", "cpus-per-task=3", "mem=16GB", "array=0-8%9"):
        assert f"#SBATCH --{wanted}" in lines


def test_what_is_not_done_when_the_run_ends_has_failed(queue: Path) -> None:
    with SlurmExecutor(queue / "own", {"slurm_partition": "cpu", "slurm_time": 1}) as executor:
        left = executor.submit(time.sleep, (), _request([]))  # type: ignore[arg-type]
    with pytest.raises(JobFailure) as ended:
        left.result(10)
    assert ended.value.kind == CLOSED


@pytest.mark.parametrize(
    ("query", "workload", "gpus", "gres"),
    [
        ("", Workload("cuda", 1, (), processes=4), 4, None),
        ("?gpus=8", Workload("cuda", 1, (), processes=4), 8, None),
        ("?gpus=2", Workload("cuda", 1, (), spreads=True), 2, None),
        ("?gres=shard:2&gpus=.25", Workload("cuda", 1, ()), 0, "shard:2"),
        ("", Workload("cpu", 4, (), processes=4), 0, None),
    ],
)
def test_a_cell_has_a_gpu_for_each_process_or_as_is_said(
    queue: Path, query: str, workload: Workload, gpus: int, gres: str | None
) -> None:
    wanted = open_slurm(workload, Workers(executor=f"slurm://gpu{query}"))._wanted
    assert (wanted["gpus_per_node"], wanted.get("slurm_gres")) == (gpus, gres)


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ("slurm://", "wanted slurm://PARTITION"),
        ("slurm://gpu?gpus=.5", "SLURM gives parts of GPUs only where its gres.conf has shards or MIG"),
        ("slurm://gpu?time=1h", "time=1h; wanted a whole number"),
        ("slurm://gpu?memory=3", "'memory' is not known"),
    ],
)
def test_an_address_that_cannot_be_is_refused(queue: Path, wish: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        open_slurm(Workload("cuda", 1, ()), Workers(executor=wish))


def test_a_machine_without_slurm_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="`srun` is not on PATH"):
        open_slurm(Workload("cpu", 1, ()), Workers(executor="slurm://cpu"))
