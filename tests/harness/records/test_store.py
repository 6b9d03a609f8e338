"""Records are written whole or not at all, never replaced, and read back as they were."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import resource
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as arrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from harness.errors import StoreError
from harness.files import replace_atomically
from harness.record import SCHEMA_VERSION, RunRecord
from harness.records.store import Store
from harness.records.table_names import outcomes_name, scores_name
from harness.sample import Outcome
from harness.stats.resampling import MeanStatistics
from harness.stats.sample_scores import SampleScores, sample_scores
from harness.storage.digest import with_digest

Make = Callable[..., RunRecord]


@pytest.fixture(params=["folder", "file://", "memory://"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    urls = {
        "folder": str(tmp_path / "results"),
        "file://": f"file://{tmp_path}/results",
        "memory://": f"memory://{uuid.uuid4().hex}/results",
    }
    yield Store(urls[request.param])


def test_a_record_comes_back_as_it_was(store: Store, record: Make) -> None:
    written = record("a", 0.5)
    store.require_writable()
    store.write_record(written)
    assert store.find_record("a-task", written.fingerprint) == written
    assert store.read_records("a-task") == store.read_records() == [written]
    assert store.read_records("another") == []
    assert store.find_record("a-task", "nothing") is None


def test_records_come_oldest_first(store: Store, record: Make) -> None:
    for model, created in (("a", "2026-03"), ("b", "2026-01"), ("c", "2026-02")):
        store.write_record(record(model, 0.1, created=created))
    assert [r.model for r in store.read_records()] == ["b", "c", "a"]


def test_an_ok_record_is_never_replaced_but_a_failed_one_is(store: Store, record: Make) -> None:
    good = record("a", 0.5)
    store.write_record(replace(good, status="failed", error="it broke", metrics={}))
    store.write_record(good)
    with pytest.raises(StoreError, match=r"immutable"):
        store.write_record(replace(good, device="elsewhere"))
    assert store.read_records() == [good]


def test_a_record_of_another_schema_is_left_alone_and_one_that_is_broken_is_named(
    store: Store, record: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    old = record("a", 0.5).to_json() | {"schema_version": SCHEMA_VERSION + 1, "new_key": 1}
    store.write_bytes("a-task/records/old.json", with_digest(old))
    assert store.read_records() == store.read_records() == Store(store.url).read_records() == []
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert f"{store.url}: 1 records have another schema version than {SCHEMA_VERSION}: left out." in told[0]
    for content in (b"{", b"[]", b'{"schema_version": 1}', b"\xff\xfe"):
        store.write_bytes("a-task/records/broken.json", content)
        with pytest.raises(StoreError, match=r"broken.json is not a record.*Delete it and run again"):
            store.read_records()


@pytest.mark.parametrize("key", ["fingerprint", "task"])
@pytest.mark.parametrize("name", ["../elsewhere", "a\0b", "..", "", "a\\b", "a\nb"])
def test_a_record_cannot_name_a_file_elsewhere(store: Store, record: Make, key: str, name: str) -> None:
    content = record("a", 0.5).to_json() | {key: name}
    store.write_bytes("a-task/records/odd.json", with_digest(content))
    with pytest.raises(StoreError, match=rf"{key} = .*wanted a name that a file can have"):
        store.read_records()


def test_outcomes_come_back_with_their_text(store: Store) -> None:
    outcomes = [Outcome("1", 'a "quoted" cat\n'), Outcome("2", ["ü", 3, None])]
    store.write_outcomes("a-task/outcomes/f", outcomes, {"main": [0.5, float("nan")]})
    assert store.read_outcomes("a-task/outcomes/f") == outcomes


def test_reading_what_is_not_there_is_an_error(store: Store) -> None:
    with pytest.raises(StoreError, match=r"Cannot read .*nothing"):
        store.read_bytes("nothing")


def test_a_local_copy_has_the_content(store: Store) -> None:
    store.write_bytes("deep/er/file.bin", b"\0\1")
    with store.local_copy("deep/er/file.bin") as path:
        assert path.read_bytes() == b"\0\1"
    assert path.exists() == (store.local is not None)
    assert store.local is not None or not path.parent.exists()


def test_a_folder_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for url in (f"{tmp_path}/file/results", f"file://{tmp_path}/file/results"):
        with pytest.raises(StoreError, match=r"Cannot write .*Free space or permissions.*--results") as caught:
            Store(url).require_writable()
        assert caught.value.exit_code == 3


def test_a_read_only_folder_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("harness.files.os.open", refuse)
    with pytest.raises(StoreError, match=rf"Cannot write {tmp_path}/.writable: Read-only file system"):
        Store(str(tmp_path)).require_writable()


def test_a_full_disk_leaves_the_old_content(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.write_bytes("kept.bin", b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(StoreError, match=r"File too large"):
            store.write_bytes("kept.bin", b"x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert store.read_bytes("kept.bin") == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["kept.bin"]


def test_an_unknown_protocol_is_named() -> None:
    with pytest.raises(StoreError, match=r"Cannot open --results nosuch://bucket"):
        Store("nosuch://bucket").require_writable()


def test_a_url_without_a_folder_is_refused() -> None:
    for url in ("s3://", "memory://", "file:///"):
        with pytest.raises(StoreError, match=rf"--results {url} names no place. Give a folder too, as \w+://BUCKET/"):
            Store(url).require_writable()


class NoCredentials(Exception):
    """As botocore's, which is no OSError."""


@pytest.mark.parametrize(
    "error",
    [
        NoCredentials("Unable to locate credentials"),
        RuntimeError("no answer"),
        ConnectionRefusedError("refused"),
        TimeoutError("slow"),
        EOFError("gone"),
    ],
)
def test_whatever_a_server_raises_names_the_url_and_what_to_do(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    def refuse(*_: object, **__: object) -> None:
        raise error

    store = Store(f"memory://{uuid.uuid4().hex}/results")
    for method in ("exists", "cat_file", "pipe_file", "glob"):
        monkeypatch.setattr(MemoryFileSystem, method, refuse)
    for act in (lambda: store.exists("a"), lambda: store.read_bytes("a"), lambda: store.write_bytes("a", b""),
                store.read_records):  # fmt: skip
        with pytest.raises(StoreError, match=rf"Cannot .* {store.url}/.*{error}") as caught:
            act()
        if not isinstance(error, OSError):
            assert "your credentials for it are set" in str(caught.value)
        assert caught.value.__cause__ is None


def test_an_exception_half_way_leaves_the_old_content_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    with replace_atomically(path) as temporary:
        temporary.write_text("old")
    with pytest.raises(ZeroDivisionError), replace_atomically(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_permissions_are_those_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        Store(str(tmp_path)).write_bytes("private/a.bin", b"x")
        os.umask(0o002)
        Store(str(tmp_path)).write_bytes("b.bin", b"x")
        Store(str(tmp_path)).write_bytes("private/a.bin", b"y")
    finally:
        os.umask(before)
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("private", "b.bin", "private/a.bin")]
    assert modes == [0o700, 0o664, 0o664]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.bin", "b.bin", "private"]


def test_an_error_names_the_file_and_not_the_temporary_one(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as caught, replace_atomically(tmp_path / "a.npy"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert caught.value.filename == str(tmp_path / "a.npy") and list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError) as other, replace_atomically(tmp_path / "a.npy"):
        Path("/nowhere/at/all").read_bytes()
    assert other.value.filename == "/nowhere/at/all"


def test_a_clock_that_went_back_makes_no_record_old(tmp_path: Path, record: Callable[..., RunRecord]) -> None:
    store = Store(str(tmp_path))
    store.write_record(record("a", 0.1, fingerprint="1", created="2026-05-01T10:00:00.000+00:00"))
    store.write_record(record("a", 0.2, fingerprint="2", created="2025-01-01T10:00:00.000+00:00"))
    store.write_record(record("a", 0.3, fingerprint="3", created="2026-05-02T10:00:00.000+00:00"))
    found = store.read_records()
    assert [r.fingerprint for r in found] == ["1", "2", "3"]
    assert found[1].created == "2026-05-01T10:00:00.001+00:00"
    later = Store(str(tmp_path))  # the next run knows no more than what is stored
    later.write_record(record("a", 0.4, fingerprint="4", created="2025-01-01T10:00:00.000+00:00"))
    assert later.read_records()[-1].created == "2026-05-02T10:00:00.001+00:00"


def test_a_broken_record_does_not_keep_a_finished_cell_from_being_written(store: Store, record: Make) -> None:
    store.write_bytes("a-task/records/broken.json", b"{")
    store.write_bytes("a-task/records/other.json", b'{"created": 3}')
    store.write_record(record("a", 0.5, fingerprint="1"))
    assert store.find_record("a-task", "1") is not None


def test_the_second_record_of_a_run_is_written_without_reading_the_others(
    tmp_path: Path, record: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(str(tmp_path))
    store.write_record(record("a", 0.1, fingerprint="1"))
    monkeypatch.setattr(Store, "read_bytes", lambda *_: pytest.fail("it was read"))
    store.write_record(record("a", 0.2, fingerprint="2"))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("metrics", {"top-1": {"value": "x", "low": 0.0, "high": 1.0, "count": 3}}, "metrics.top-1.value = 'x'"),
        ("metrics", {"top-1": {"value": 0.5, "low": "x", "high": 1.0, "count": 3}}, "metrics.top-1.low = 'x'"),
        ("metrics", [], "metrics = "),
        ("seed", "0", "seed = '0'"),
        ("created", 3, "created = '3'"),
        ("status", "fine", "status = 'fine': wanted ok, failed, skipped"),
        ("efficiency", {"latency_p50_seconds": "x"}, "efficiency.latency_p50_seconds = 'x'"),
        ("cell", {"training": {"train": 3}}, "cell.training.train = '3': wanted a table"),
        ("provenance", {"training": 3}, "provenance.training = '3': wanted a table"),
        ("ceilings", {"top-1": {"both": "x"}}, "ceilings.top-1.both = 'x'"),
    ],
)
def test_a_valid_digest_with_a_wrong_type_names_the_key(
    key: str, value: Any, message: str, tmp_path: Path, record: Callable[..., RunRecord]
) -> None:
    content = record("a", 0.1).to_json() | {key: value}
    path = tmp_path / "image-classification" / "records" / "x.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(with_digest(content))
    with pytest.raises(StoreError, match=message):
        Store(str(tmp_path)).read_records()


@given(st.integers(0, 10**9), st.integers(1, 4))
def test_broken_bytes_of_a_table_are_a_store_error_or_the_same_table(seed: int, flips: int) -> None:
    """Flipped bits in Parquet came out of pyarrow as OSError, ValueError and KeyError."""
    with tempfile.TemporaryDirectory() as folder:
        store, draw = Store(folder), random.Random(seed)
        store.write_sample_scores("t/scores/a", SCORES)
        store.write_outcomes("t/outcomes/a", [Outcome("a", {"x": 1}), Outcome("b", "word")], {"m": [0.5, 1.0]})
        for name, read in (("t/scores/a", store.read_sample_scores), ("t/outcomes/a", store.read_outcomes)):
            path = Path(folder, f"{name}.parquet")
            content = bytearray(path.read_bytes())
            for _ in range(flips):
                content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
            path.write_bytes(content)
            with contextlib.suppress(StoreError):
                read(name)


def test_a_table_of_another_kind_is_named(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    parquet.write_table(
        arrow.table({"sample_id": [1, 2], "cluster": ["a", "b"], "m": [0.5, 1.0]}), tmp_path / "a.parquet"
    )
    parquet.write_table(arrow.table({"sample_id": ["1"], "cluster": ["a"], "m": ["half"]}), tmp_path / "b.parquet")
    parquet.write_table(arrow.table({"sample_id": ["1"], "prediction": ["{"]}), tmp_path / "c.parquet")
    for read, name in ((store.read_sample_scores, "a"), (store.read_sample_scores, "b"), (store.read_outcomes, "c")):
        with pytest.raises(StoreError, match=rf"{name}\.parquet holds another content"):
            read(name)


def test_long_labels_of_conditions_are_files_of_their_own(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    labels = ["fog-1", "ä" * 300, "ä" * 299 + "b"]
    names = [scores_name("t", "f", label) for label in labels]
    assert len(set(names)) == 3 and names[0] == "t/robustness/f/scores/fog-1"
    for name in (*names, outcomes_name("t", "f", labels[1])):
        store.write_sample_scores(name, SCORES)
        assert store.read_sample_scores(name) is not None


SCORES = SampleScores(("a", "b"), ("a", "b"), {"m": np.array([0.5, 1.0])}, ("day", "night"))


def test_scores_come_back_with_the_slice_of_each_sample(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    for name, scores in (("with", SCORES), ("without", replace(SCORES, slices=()))):
        store.write_sample_scores(name, scores)
        found = store.read_sample_scores(name)
        assert found is not None and (found.sample_ids, found.slices) == (scores.sample_ids, scores.slices)
        assert {name: values.tolist() for name, values in found.metrics.items()} == {"m": [0.5, 1.0]}


@pytest.mark.parametrize(
    ("slices", "kept"),
    [((("x",), ("y",)), ("x", "y")), ((("x",), ("x",)), ()), ((("x", "y"), ("y",)), ()), (((), ("y",)), ()), ((), ())],
)
def test_slices_are_kept_where_each_sample_is_in_one_of_several(
    slices: tuple[tuple[str, ...], ...], kept: tuple[str, ...]
) -> None:
    own = {"m": MeanStatistics(np.array([0.5, 1.0]))}
    assert sample_scores(("a", "b"), own, ("m",), slices).slices == kept


def test_reading_scores_imports_neither_pandas_nor_torch(tmp_path: Path) -> None:
    """A run that finds all done reads these and little more: pandas alone takes a second to import."""
    code = (
        "import sys, numpy as np\nfrom harness.stats.sample_scores import SampleScores\n"
        "from harness.records.store import Store\n"
        "store = Store(sys.argv[1])\n"
        "if sys.argv[2] == 'write': store.write_sample_scores('a', SampleScores(('x', 'y'), ('x', 'y'), "
        "{'m': np.array([0.25, np.nan])}))\n"
        "else:\n"
        "    found = store.read_sample_scores('a')\n"
        "    print(found.metrics['m'].tolist(), found.metrics['m'].dtype, 'pandas' in sys.modules, "
        "'torch' in sys.modules)"
    )
    outputs = [
        subprocess.run([sys.executable, "-c", code, str(tmp_path), what], capture_output=True, text=True, check=True)
        for what in ("write", "read")
    ]
    assert outputs[1].stdout.strip() == "[0.25, nan] float64 False False"
