"""Full and read-only disks, no home, a colleague, odd terminals: one line that says what to do, or it just works."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.report.vega import svg_of

REPOSITORY = Path(__file__).parents[2]
BENCH = Path(sys.executable).with_name("bench")
_CAPABILITY = "-all,+dac_read_search"
"""Another user who may read everything, as the interpreter in root's home, and write nothing that is not theirs."""


def mounts_work() -> bool:
    tried = ["unshare", "-m", "sh", "-c", "mount -t tmpfs -o size=1m none /mnt"]
    return shutil.which("unshare") is not None and subprocess.run(tried, capture_output=True).returncode == 0


def users_work() -> bool:
    tried = [*another_user(54321, 54321), "true"]
    return shutil.which("setpriv") is not None and subprocess.run(tried, capture_output=True).returncode == 0


def another_user(user: int, group: int) -> list[str]:
    capabilities = [f"--inh-caps={_CAPABILITY}", f"--ambient-caps={_CAPABILITY.removeprefix('-all,')}"]
    return ["setpriv", "--reuid", str(user), "--regid", str(group), "--clear-groups", *capabilities]


needs_mounts = pytest.mark.skipif(not mounts_work(), reason="mounting needs root in a namespace of its own")
needs_users = pytest.mark.skipif(not users_work(), reason="becoming another user needs root and setpriv")


@pytest.fixture
def ended(bench: Any) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a shell line with the command in $BENCH; never a traceback."""

    def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        if command[0] == str(BENCH) and not environment:
            done = bench(*command[1:])
            assert "Traceback" not in done.stderr + done.stdout, done.stderr
            return done
        kept = bench._environment({"BENCH": str(BENCH), **environment})
        own = {name: value for name, value in kept.items() if value != "<unset>"}
        done = subprocess.run(
            command, cwd=bench.folder, env=own, capture_output=True, text=True, errors="surrogateescape", timeout=300,
            check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr + done.stdout, done.stderr
        return done

    return run


@needs_mounts
@pytest.mark.parametrize(
    ("options", "cache", "message"),
    [
        ("size=1m", "c", "No space left on device. Free space there, or set BENCH_CACHE to another folder."),
        ("size=1m,ro", "", "Read-only file system. Make it writable, or set BENCH_CACHE to another folder."),
        ("size=1m,ro", "c", "cannot be made: Read-only file system. Set BENCH_CACHE to a folder that can be written."),
    ],
)
def test_a_cache_that_takes_nothing_is_named(
    options: str, cache: str, message: str, ended: Any, tmp_path: Path
) -> None:
    place = tmp_path / "disk"
    place.mkdir()
    line = f'mount -t tmpfs -o {options} none {place} && exec "$BENCH" run --task scene-attributes --profile smoke'
    done = ended("unshare", "-m", "sh", "-c", line, BENCH_CACHE=str(place / cache))
    assert done.stderr.rstrip().endswith(message) and str(place) in done.stderr.rstrip().splitlines()[-1]
    assert done.returncode == 3


@needs_mounts
def test_a_warm_read_only_cache_just_works(ended: Any, quick: tuple[str, ...], captions: Path, tmp_path: Path) -> None:
    arguments = [*quick, "--data", str(captions), "--results"]
    warm = ended(str(BENCH), "run", *arguments, str(tmp_path / "first"))
    assert warm.returncode == 0, warm.stderr
    cache = tmp_path / "cache"
    before = sorted(path.name for path in cache.rglob("*"))
    line = f'mount --bind {cache} {cache} && mount -o remount,ro,bind {cache} && exec "$BENCH" run "$@"'
    done = ended("unshare", "-m", "sh", "-c", line, "sh", *arguments, str(tmp_path / "second"))
    assert done.returncode == 0, done.stderr
    assert "1 ok" in done.stdout and sorted(path.name for path in cache.rglob("*")) == before


@needs_users
@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"HOME": "<unset>", "BENCH_CACHE": "<unset>"}, "There is no place for the cache: HOME is not set"),
        ({"HOME": "/nonexistent", "BENCH_CACHE": "<unset>"}, "/nonexistent/.cache/fusemark cannot be made: Permission"),
        ({"HOME": "/", "BENCH_CACHE": "<unset>"}, "The cache /.cache/fusemark cannot be made: Permission denied"),
    ],
)
def test_without_a_home_it_says_what_to_set(environment: dict[str, str], message: str, ended: Any) -> None:
    for command in (["run", "--profile", "smoke"], ["doctor"]):
        done = ended(*another_user(54321, 54321), str(BENCH), *command, **environment)
        assert message in done.stderr and "BENCH_CACHE" in done.stderr and done.returncode == 3
    listed = ended(*another_user(54321, 54321), str(BENCH), "list", "tasks", **environment)
    assert listed.returncode == 0


@needs_users
def test_results_and_cache_of_a_colleague_can_be_written(
    ended: Any, quick: tuple[str, ...], captions: Path, tmp_path: Path
) -> None:
    """Two users of a group, neither in passwd, a folder for both; the second owns nothing that the first wrote."""
    shared = tmp_path / "shared"
    shared.mkdir()
    os.chown(shared, 0, 777)
    shared.chmod(0o2775)
    for folder in (tmp_path, *list(tmp_path.parents)[:3]):
        folder.chmod(folder.stat().st_mode | 0o055)
    line = 'umask 002; exec "$BENCH" run "$@"'
    for user, seeds, found in ((54321, "1", "(0 found done)"), (54322, "2", "(1 found done)")):
        arguments = [*quick, "--data", str(captions), "--seeds", seeds, "--results", str(shared / "results")]
        done = ended(
            *another_user(user, 777), "sh", "-c", line, "sh", *arguments, HOME="<unset>", BENCH_CACHE=str(shared / "c")
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert found in done.stdout
    owners = {path.stat().st_uid for path in (shared / "results").glob("*/records/*.json")}
    assert owners == {54321, 54322}
    modes = {path.stat().st_mode & 0o777 for path in (shared / "results").rglob("*") if path.is_file()}
    assert modes == {0o664}, "as the umask says"


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "cp1252"},
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
def test_a_terminal_of_few_letters_gets_escapes_and_files_are_utf_8(
    environment: dict[str, str], ended: Any, tmp_path: Path
) -> None:
    """The marks of which way a metric is read are none of their letters."""
    results = ["--task", "coco-caption", "--results", str(REPOSITORY / "results" / "scenes")]
    shown = ended(str(BENCH), "leaderboard", *results, **environment)
    assert shown.returncode == 0, shown.stderr
    assert "CIDEr \\u2191" in shown.stdout
    done = ended(str(BENCH), "leaderboard", *results, "--out", str(tmp_path / "x.txt"), **environment)
    assert done.returncode == 0, done.stderr
    assert "CIDEr ↑" in (tmp_path / "x.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--set", "train.steps=" + "9" * 5000], "(5,000 characters): wanted a number of at most 18 digits"),
        (["run", "--set", "model.depth=" + "9" * 30], "wanted a number of at most 18 digits"),
        (["run", "--set", "model.depth=" + "[" * 2000], "2,000 characters"),
        (["run", "--config", "{deep}"], "too many levels of brackets"),
        (["run", "--seeds", "100000000"], "seeds = 100000000; wanted at most 1,000."),
        (["run", "--set", "train.steps=10000000000"], "steps = 10000000000; wanted at most 1,000,000,000."),
        (["data", "scenes", "--out", "{tmp}/o", "--splits", "nope"], "Scenes has no split 'nope'. Did you mean"),
        (["data", "scenes", "--out", "{tmp}/o", "--splits", ","], "No split is named. Known: train"),
        (["data", "scenes", "--out", "{file}", "--splits", "tiny"], "{file}/.partial: Not a directory."),
        (["data", "scenes", "--out", "/proc/x", "--splits", "tiny"], "/proc/x: No such file or directory."),
        (["score", "--predictions", "x.json", "--resamples", "-1"], "Invalid value for '--resamples': -1"),
        (["score", "--resamples"], "Option '--resamples' requires an argument. See 'bench"),
        (["compare", "a"], "Missing argument 'b'. See 'bench compare --help'."),
        (["lederboard"], "No such command 'lederboard'"),
    ],
)
def test_odd_words_are_one_line_and_exit_code_2(arguments: list[str], message: str, ended: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "deep.toml").write_text("x = " + "[" * 2000 + "]" * 2000)
    places = {"tmp": str(tmp_path), "file": str(tmp_path / "file"), "deep": str(tmp_path / "deep.toml")}
    done = ended(str(BENCH), *(argument.format(**places) for argument in arguments))
    assert done.stderr.startswith("bench: ") and message.format(**places) in done.stderr, done.stderr
    assert done.returncode == 2 and len(done.stderr) < 1000 and done.stderr.count("\n") == 1


def test_a_file_name_that_is_not_utf_8_is_scored_or_named(ended: Any, tmp_path: Path, quick: tuple[str, ...]) -> None:
    from PIL import Image

    for split in ("train", "val"):
        for colour in ("red", os.fsdecode(b"caf\xe9")):
            folder = tmp_path / "data" / split / colour
            folder.mkdir(parents=True)
            for number in range(3):
                Image.new("RGB", (8, 8), (200, 0, 10 * number)).save(folder / os.fsdecode(b"%d\xe9.png" % number))
    (tmp_path / "p.csv").write_bytes(b"id,red,caf\xe9\n")
    done = ended(str(BENCH), "score", "--task", "image-classification", "--data", str(tmp_path / "data"),
                 "--predictions", str(tmp_path / "p.csv"))  # fmt: skip
    assert done.returncode == 2 and done.stderr.count("bench: ") == 1


CHART = {"mark": "point", "data": {"values": [{"a": 1}]}, "encoding": {"x": {"field": "a", "type": "quantitative"}}}


def test_charts_under_a_limit_of_addresses(ended: Any, finished: Any, tmp_path: Path) -> None:
    """A soft limit is lifted for the one process that draws; under a hard one the report says what to do."""
    results = f"--results {finished.results} --out {tmp_path}"
    soft = ended("sh", "-c", f'ulimit -S -v 30000000; exec "$BENCH" report {results}/soft.html')
    assert soft.returncode == 0, soft.stderr
    hard = ended("sh", "-c", f'ulimit -v 30000000; exec "$BENCH" report {results}/hard.html')
    if hard.returncode:  # where the page has a chart
        assert "`ulimit -v` leaves 28.6 GiB" in hard.stderr and hard.returncode == 3
    tables = ended("sh", "-c", f'ulimit -v 30000000; exec "$BENCH" report {results}/hard.md')
    assert tables.returncode == 0, tables.stderr


def test_a_chart_is_the_same_from_a_process_of_its_own() -> None:
    free = svg_of(CHART)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (2**45, hard))
    try:
        assert svg_of(CHART) == free
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
