"""What tests share: tiny caption folders, a third party's package, and the command in its own process."""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings
from PIL import Image

from .s3_bucket import s3_server
from .warm_bench import WarmProcess, WarmServer

# Two processes of tests share two cores: threads of torch would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each process compiles torch from source: 10 s

# The same examples in every run: a change must not fail for what it has not changed. Search anew with
# HYPOTHESIS_PROFILE=default.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

REPOSITORY = Path(__file__).parents[1]
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (40, 50, 230), "white": (240, 240, 240)}
LAYOUTS = {
    "2017": ("captions_{}2017.json", "{}2017", "{:012}.jpg"),
    "2014": ("captions_{}2014.json", "{}2014", "COCO_{split}2014_{:012}.jpg"),
    "plain": ("captions_{}.json", "images", "{}.png"),
}


LONGEST = (
    "tests/pretend_device/",
    "tests/end_to_end/test_sweep.py",
    "tests/contracts/",
    "tests/harness/run/test_ray_cluster.py",
)
"""Files that take half a minute of processor time and more, as measured, though they hold few tests."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Leave the modules and tests of all files out of what Python's collector visits: they stay to the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(50_000, 50, 100)  # as the command has it: looking for cycles took a twentieth of all tests
        gc.enable()
        atexit.register(gc.unfreeze)  # libraries complain of what is never freed


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first, so that no worker is left with one of them while the other is done."""
    counts = Counter(item.path for item in items)
    slow = {item.path for item in items if item.get_closest_marker("slow")}

    def rank(item: pytest.Item) -> tuple[int, bool, int, str]:
        place = item.path.relative_to(REPOSITORY).as_posix()
        longest = next((n for n, beginning in enumerate(LONGEST) if place.startswith(beginning)), len(LONGEST))
        return longest, item.path not in slow, -counts[item.path], place

    items.sort(key=rank)


def write_captions(root: Path, layout: str = "2017", train: int = 36, val: int = 12) -> Path:
    """Write a caption folder of single-coloured 40 x 30 images with five captions each."""
    annotation, folder, name = LAYOUTS[layout]
    (root / "annotations").mkdir(parents=True)
    identifier = 100
    for split, count in (("train", train), ("val", val)):
        images: list[dict[str, object]] = []
        captions: list[dict[str, object]] = []
        (root / folder.format(split)).mkdir(exist_ok=True)
        for _ in range(count):
            identifier += 1
            colour = list(COLOURS)[identifier % len(COLOURS)]
            file_name = name.format(identifier, split=split)
            Image.new("RGB", (40, 30), COLOURS[colour]).save(root / folder.format(split) / file_name)
            images.append({"id": identifier, "file_name": file_name, "width": 40, "height": 30})
            texts = [f"a {colour} wall", f"a plain {colour} wall", f"{colour} paint", f"a wall in {colour}"]
            texts.append(f"all is {colour}")
            captions += [
                {"id": 10 * identifier + number, "image_id": identifier, "caption": text}
                for number, text in enumerate(texts)
            ]
        content = {"images": images, "annotations": captions}
        (root / "annotations" / annotation.format(split)).write_text(json.dumps(content))
    return root


@pytest.fixture(scope="session")
def server_of_buckets() -> Iterator[Mapping[str, str]]:
    """The environment of a server of S3's protocol: one a session, since s3fs remembers where it asked first."""
    with s3_server() as environment:
        yield environment


@pytest.fixture
def bucket(server_of_buckets: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The address of an empty folder in a bucket on a server of this machine, for fsspec's `s3://`."""
    for name, value in server_of_buckets.items():
        monkeypatch.setenv(name, value)
    import s3fs

    s3fs.S3FileSystem().makedirs("bucket", exist_ok=True)
    return f"s3://bucket/{tmp_path.name}/results"


@pytest.fixture(scope="session")
def captions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A caption folder in COCO 2017 layout that tests only read."""
    return write_captions(tmp_path_factory.mktemp("captions") / "tiny")


@pytest.fixture(scope="session")
def captions_in() -> Callable[..., Path]:
    """Write a caption folder of one's own: `captions_in(root, layout="2017", train=36, val=12)`."""
    return write_captions


@pytest.fixture(scope="session")
def outsider(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outside plugin package, built as a wheel and unpacked: a folder for PYTHONPATH."""
    return unpacked_wheel("outsider", tmp_path_factory.mktemp("outsider"))


@pytest.fixture(scope="session")
def taken_whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outside package of models that were made elsewhere, in the same way."""
    return unpacked_wheel("taken_whole", tmp_path_factory.mktemp("taken_whole"))


@pytest.fixture(scope="session")
def extras(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outside package of a metric and a perturbation, in the same way."""
    return unpacked_wheel("extras", tmp_path_factory.mktemp("extras"))


@pytest.fixture(scope="session")
def own_parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outside package of parts of models, in the same way."""
    return unpacked_wheel("own_parts", tmp_path_factory.mktemp("own_parts"))


def unpacked_wheel(package: str, folder: Path) -> Path:
    """Build a package of tests/third_party as a wheel and unpack it as an installer does."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist")]
    source = REPOSITORY / "tests" / "third_party" / package
    subprocess.run(command, cwd=source, check=True, capture_output=True, timeout=120)
    (wheel,) = (folder / "dist").glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


@dataclass(frozen=True)
class Bench:
    """Runs `bench` as a user does; `environment` is laid over the process's own.

    A process is forked from one that has done the imports, where its environment allows that; `fresh` starts Python.
    """

    folder: Path
    environment: dict[str, str]
    warm: WarmServer

    def __call__(self, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, **environment)
        try:
            out, error = process.communicate(timeout=300)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return subprocess.CompletedProcess(self._command(arguments), process.wait(), out, error)

    def fresh(self, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run it in a Python that starts and imports for it."""
        return subprocess.run(
            self._command(arguments), cwd=self.folder, env=self._environment(environment), text=True,
            capture_output=True, timeout=300, check=False,
        )  # fmt: skip

    def start(self, *arguments: object, **environment: str) -> subprocess.Popen[str] | WarmProcess:
        """Start it in a process group of its own, as a shell does; Ctrl-C works, though it be ignored here."""
        whole = self._environment(environment)
        if self.warm.serves(whole):
            return self.warm.start((tuple(map(str, arguments)), str(self.folder), whole))
        return self.start_fresh(*arguments, **environment)

    def start_fresh(self, *arguments: object, **environment: str) -> subprocess.Popen[str]:
        """Start it in the same way, in a Python that starts and imports for it.

        What a script starts in the background ignores SIGINT, and so do its children.
        """
        return subprocess.Popen(
            self._command(arguments), cwd=self.folder, env=self._environment(environment), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip

    def _command(self, arguments: tuple[object, ...]) -> list[str]:
        return [str(Path(sys.executable).with_name("bench")), *map(str, arguments)]

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        left_out = {"PYTHONWARNINGS", "COLUMNS"}  # a test worker has a width that is no terminal of anybody
        own = {k: v for k, v in os.environ.items() if not k.startswith("BENCH_") and k not in left_out}
        return own | self.environment | more


@pytest.fixture(scope="session")
def warm() -> Iterator[WarmServer]:
    """The process that tests' commands are forked from."""
    server = WarmServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def paraphrases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """METEOR's tables for captions that were met before: to make one takes seconds, and captions alone decide it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "paraphrases"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def bench_in(outsider: Path, warm: WarmServer, paraphrases: Path) -> Callable[[Path], Bench]:
    """Make a runner of the command in a folder, with a cache there and the outside package installed."""

    def make(folder: Path) -> Bench:
        folder.mkdir(exist_ok=True)
        (folder / "cache").mkdir(exist_ok=True)
        if not (folder / "cache" / "meteor").is_symlink():
            (folder / "cache" / "meteor").symlink_to(paraphrases)
        return Bench(folder, {"BENCH_CACHE": str(folder / "cache"), "PYTHONPATH": str(outsider)}, warm)

    return make


@pytest.fixture
def bench(tmp_path: Path, bench_in: Callable[[Path], Bench]) -> Bench:
    """The command in an empty folder with a cache of METEOR's tables, the outside package installed."""
    return bench_in(tmp_path)


@pytest.fixture
def install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str, dict[str, dict[str, str]], str], Path]]:
    """Install a one-module plugin package beside the real ones, for this process and those it starts."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    installed: list[str] = []

    def install(name: str, groups: dict[str, dict[str, str]], source: str) -> Path:
        information = site / f"{name}-1.0.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in them.items()) for group, them in groups.items()]
        (information / "entry_points.txt").write_text("\n".join(lines))
        (site / f"{name}.py").write_text(source)
        installed.append(name)
        return site

    yield install
    for name in installed:
        sys.modules.pop(name, None)


class Processes:
    """Looks at processes through /proc, and ends those of a test."""

    @staticmethod
    def in_group(group: int) -> list[int]:
        """List the living processes of a process group."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                state, _, own = (_stat(int(entry.name)) or ["Z", "", ""])[:3]
                if own == str(group) and state != "Z":
                    found.append(int(entry.name))
        return found

    @staticmethod
    def is_alive(pid: int) -> bool:
        """Tell whether a process is there and not a zombie."""
        fields = _stat(pid)
        return fields is not None and fields[0] != "Z"

    @staticmethod
    def kill_group(group: int) -> None:
        """End a process group that a test has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)

    @staticmethod
    def wait_until(condition: Callable[[], bool], seconds: float) -> None:
        """Wait until something is true, or fail."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"not within {seconds} s"
            time.sleep(0.02)


def _stat(pid: int) -> list[str] | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


@pytest.fixture(scope="session")
def processes() -> Processes:
    """Look at processes."""
    return Processes()
