"""A packed folder reads as the unpacked one does, refuses what was changed by hand, and can be written into."""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import re
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.errors import StoreError
from harness.record import Estimate, PerturbedScore, RobustnessRecord, RunRecord
from harness.records.packed import is_pack, pack_of, write_pack
from harness.records.packing import pack, unpack
from harness.records.sample_scores import TABLES, read_answers, read_scores, table_digests
from harness.records.store import Store
from harness.records.table_names import outcomes_name, scores_name
from harness.sample import Outcome
from harness.stats.sample_scores import SampleScores

Make = Callable[..., RunRecord]
IDS = tuple(str(number) for number in range(12))
PACKS = [
    "a-task/outcomes.tar.xz", "a-task/records.jsonl", "a-task/robustness.jsonl", "a-task/robustness.tar.xz",
    "a-task/scores.tar.xz",
]  # fmt: skip


def vouching(store: Store, record: RunRecord) -> RunRecord:
    """Let a record vouch for its tables as they are now."""
    return replace(record, provenance={**record.provenance, **table_digests(store, record.task, record.fingerprint)})


def files(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def write_tables(store: Store, record: RunRecord, condition: str | None = None) -> None:
    store.write_sample_scores(
        scores_name(record.task, record.fingerprint, condition), SampleScores(IDS, IDS, {"main": np.arange(12) / 12})
    )
    outcomes = [Outcome(name, "ä cat") for name in IDS]
    store.write_outcomes(outcomes_name(record.task, record.fingerprint, condition), outcomes, {})


def sweep_of(store: Store, record: RunRecord) -> RobustnessRecord:
    score = PerturbedScore("f1", "fog", 1, "weather", "image", "ok", metrics={"main": Estimate(0.5, 0.4, 0.6, 12)})
    tables = {"fog-1": table_digests(store, record.task, record.fingerprint, "fog-1")}
    return RobustnessRecord(
        record.fingerprint, record.task, "tiny", "d1", "val", "m", None, 0, "main", "main:1", 0.0, None, 224, "cpu",
        (score,), {TABLES: tables}, record.created,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, record: Make) -> Path:
    """Two models with all that a run leaves, one of them perturbed too."""
    root = tmp_path / "results"
    store = Store(str(root))
    for model, value in (("b", 0.5), ("a", 0.75)):
        made = record(model, value)
        write_tables(store, made)
        store.write_record(vouching(store, made))
    write_tables(store, made, "fog-1")
    store.write_robustness(sweep_of(store, made))
    store.write_bytes("a-task/robustness/examples/0f/index.json", b"{}")
    store.write_bytes("a-task/training/0f/log.jsonl", b"{}\n")
    return root


def everything(store: Store) -> list[object]:
    """All that tables are made from."""
    records, sweeps = store.read_records(), store.read_robustness()
    scores = [read_scores(store, record) for record in records]
    return [
        store.tasks(), records, sweeps, store.names("*/robustness/examples/*/index.json"),
        [read_answers(store, record) for record in records],
        [(each.sample_ids, each.clusters, each.metrics["main"].tolist()) for each in scores if each],
        [read_answers(store, sweep, "fog-1") for sweep in sweeps],
    ]  # fmt: skip


def test_a_packed_folder_reads_as_before_and_unpacks_to_the_same_bytes(folder: Path) -> None:
    before, read = files(folder), everything(Store(str(folder)))
    assert len(read[5]) == 2  # type: ignore[arg-type]
    done = pack(str(folder))
    assert sorted(files(folder)) == [*PACKS, "a-task/training/0f/log.jsonl"]
    assert (done.before[0], done.after[0], done.left) == (11, 6, ("a-task/training",))
    assert "11 files" in done.told() and "Left as they are: a-task/training." in done.told()
    assert everything(Store(str(folder))) == read
    assert everything(Store(f"file://{folder}")) == read
    packed = files(folder)
    pack(str(folder))
    assert files(folder) == packed
    unpack(str(folder))
    assert files(folder) == before
    pack(str(folder))
    assert files(folder) == packed


def test_the_packed_files_can_be_read_without_this_tool(folder: Path, tmp_path: Path) -> None:
    before = files(folder)
    pack(str(folder))
    lines = (folder / "a-task" / "records.jsonl").read_text().splitlines()
    *records, last = map(json.loads, lines)
    assert [record["fingerprint"] for record in records] == ["a-0-0.75", "b-0-0.5"] and last["records"] == 2
    digest = hashlib.sha256("".join(f"{line}\n" for line in lines[:-1]).encode()).hexdigest()
    assert last == {"digest": digest, "records": 2}
    with tarfile.open(folder / "a-task" / "scores.tar.xz") as archive:
        archive.extractall(tmp_path / "elsewhere", filter="data")
    assert files(tmp_path / "elsewhere") == {
        name.removeprefix("a-task/"): content for name, content in before.items() if "a-task/scores/" in name
    }


def changed_line(folder: Path, old: str, new: str) -> None:
    path = folder / "a-task" / "records.jsonl"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"value":0.75', '"value":0.95', " (line 1: it was changed by hand: its content does not have the digest"),
        ('"value":0.5}', '"value":0.6}', " (line 2: it was changed by hand: its content does not have the digest"),
        ('{"ceilings', "<<<<<<< ours\n{", " (line 1: "),
        ('"fingerprint":"b-0-0.5"', '"fingerprint":"a-0-0.75"', " (line 2: it was changed by hand"),
        ('"records":2', '"records":1', ". Fetch it again"),
        ('{"digest":', '\n{"digest":', " (line 3: "),
    ],
)
def test_a_line_that_was_changed_by_hand_is_refused(folder: Path, old: str, new: str, told: str) -> None:
    pack(str(folder))
    changed_line(folder, old, new)
    store = Store(str(folder))
    for read in (
        store.read_records,
        store.tasks,
        lambda: store.find_record("a-task", "b-0-0.5"),
        lambda: unpack(store.url),
    ):
        with pytest.raises(
            StoreError, match=re.escape(f"records.jsonl was changed since it was packed{told}")
        ) as raised:
            read()
        assert "to change or leave out a record, `bench unpack` the folder first" in str(raised.value)


@pytest.mark.parametrize("kept", [slice(1, None), slice(0, 1), slice(0, 2), slice(0, 0), slice(2, None)])
def test_no_record_vanishes_with_its_line(folder: Path, kept: slice) -> None:
    pack(str(folder))
    path = folder / "a-task" / "records.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[kept]))
    with pytest.raises(StoreError, match=r"records.jsonl was changed since it was packed\. Fetch it again"):
        Store(str(folder)).read_records()


def test_ends_of_lines_may_be_those_of_another_system(folder: Path) -> None:
    pack(str(folder))
    path = folder / "a-task" / "records.jsonl"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert len(Store(str(folder)).read_records()) == 2


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ([{"fingerprint": "../b"}], "line 1, is not a record: fingerprint = '../b'"),
        ([{"fingerprint": 5}], "line 1, is not a record: its fingerprint is no text"),
        ([{"fingerprint": "a"}, {"fingerprint": "a"}], "line 2, is not a record: a record of its fingerprint stands"),
        ([{}], "line 1, is not a record: 'fingerprint'"),
        ([[]], "line 1, is not a record: list indices"),
    ],
)
def test_what_a_foreign_tool_packed_is_no_record(tmp_path: Path, members: list[object], told: str) -> None:
    lines = "".join(f"{json.dumps(each)}\n" for each in members)
    last = {"digest": hashlib.sha256(lines.encode()).hexdigest(), "records": len(members)}
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "records.jsonl").write_text(f"{lines}{json.dumps(last, separators=(',', ':'))}\n")
    with pytest.raises(StoreError, match=re.escape(told)):
        Store(str(tmp_path)).read_records()


def replaced(folder: Path, member: str, content: bytes) -> None:
    """Put other bytes into an archive, as somebody would who unpacks, edits and packs it with `tar`."""
    path = folder / "a-task" / "scores.tar.xz"
    with tarfile.open(path) as archive:
        held = {each.name: archive.extractfile(each).read() for each in archive}  # type: ignore[union-attr]
    held[member] = content
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:xz") as archive:
        for name, each in held.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(each)
            archive.addfile(entry, io.BytesIO(each))
    path.write_bytes(target.getvalue())


def test_a_table_that_was_changed_in_its_archive_is_refused(folder: Path) -> None:
    other = (folder / "a-task" / "outcomes" / "a-0-0.75.parquet").read_bytes()
    pack(str(folder))
    store = Store(str(folder))
    (record,) = (each for each in store.read_records() if each.model == "a")
    assert read_scores(store, record) is not None
    replaced(folder, "scores/a-0-0.75.parquet", other)
    with pytest.raises(StoreError, match=r"scores.tar.xz: scores/a-0-0.75.parquet has another sha256 than its record"):
        read_scores(store, record)  # also by a reader that has read the archive before


@pytest.mark.parametrize("name", ["../../x", "/x", "scores/../../x", "records/a.json", "outcomes/a.parquet"])
def test_nothing_is_taken_from_an_archive_that_does_not_belong_there(folder: Path, name: str) -> None:
    pack(str(folder))
    replaced(folder, name, b"x")
    for read in (lambda: Store(str(folder)).exists("a-task/scores/x.parquet"), lambda: unpack(str(folder))):
        with pytest.raises(StoreError, match=r"scores.tar.xz is broken: .* does not belong there. Fetch it again"):
            read()


@pytest.mark.parametrize("cut", [10, 400])
def test_a_broken_archive_is_named(folder: Path, cut: int) -> None:
    pack(str(folder))
    path = folder / "a-task" / "scores.tar.xz"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(StoreError, match=r"scores.tar.xz is broken"):
        Store(str(folder)).exists("a-task/scores/x.parquet")
    path.write_bytes(lzma.compress(b"no archive" * 100))
    with pytest.raises(StoreError, match=r"scores.tar.xz is broken"):
        Store(str(folder)).exists("a-task/scores/x.parquet")


def test_what_is_written_into_a_packed_folder_is_read_and_packed_later(folder: Path, record: Make) -> None:
    pack(str(folder))
    store = Store(str(folder))
    with pytest.raises(StoreError, match="immutable"):
        store.write_record(record("a", 0.75))
    new = record("c", 0.25)
    store.write_record(new)
    renewed = replace(next(each for each in store.read_records() if each.model == "a"), signature="main:2")
    store.replace_record(renewed)
    assert sorted(path.name for path in (folder / "a-task" / "records").iterdir()) == ["a-0-0.75.json", "c-0-0.25.json"]
    by_model = {each.model: each for each in store.read_records()}
    assert by_model.keys() == {"a", "b", "c"} and by_model["a"].signature == "main:2"
    assert by_model["c"].created >= max(by_model[name].created for name in "ab")
    again = Store(str(folder))
    assert pack(str(folder)).after[0] == 6
    assert (
        store.read_records()
        == again.read_records()
        == sorted(by_model.values(), key=lambda each: (each.created, each.fingerprint))
    )


def test_unpacking_leaves_what_was_written_since(folder: Path) -> None:
    pack(str(folder))
    store = Store(str(folder))
    renewed = replace(store.read_records()[0], signature="main:2")
    store.replace_record(renewed)
    unpack(str(folder))
    assert Store(str(folder)).find_record("a-task", renewed.fingerprint) == renewed
    assert not any(is_pack(name) for name in files(folder))


def test_nothing_is_packed_where_a_record_was_changed_by_hand(folder: Path) -> None:
    path = folder / "a-task" / "records" / "a-0-0.75.json"
    path.write_text(path.read_text().replace("0.75", "0.95"))
    before = files(folder)
    with pytest.raises(StoreError, match=r"a-0-0.75.json is not a record: it was changed by hand"):
        pack(str(folder))
    assert files(folder) == before


def test_a_record_under_another_name_is_not_packed(folder: Path) -> None:
    records = folder / "a-task" / "records"
    shutil.copy(records / "a-0-0.75.json", records / "copy.json")
    with pytest.raises(StoreError, match=r"copy.json holds the record of another fingerprint, a-0-0.75. Rename it"):
        pack(str(folder))
    assert (records / "a-0-0.75.json").is_file()


def test_only_a_local_folder_is_packed(tmp_path: Path) -> None:
    for act in (pack, unpack):
        with pytest.raises(StoreError, match=r"is no local folder\. Copy it here"):
            act("memory://somewhere/results")
        with pytest.raises(StoreError, match="There is no folder"):
            act(str(tmp_path / "nowhere"))
        with pytest.raises(StoreError, match="holds nothing"):
            act(str(tmp_path))


def test_a_copy_of_a_packed_file_is_local_for_a_while(folder: Path) -> None:
    name = "a-task/records/a-0-0.75.json"
    loose = json.loads((folder / name).read_bytes())
    pack(str(folder))
    with Store(str(folder)).local_copy(name) as path:
        assert path.name == "a-0-0.75.json" and json.loads(path.read_bytes()) == loose
    assert not path.exists()


def test_long_names_and_names_of_any_letters_survive() -> None:
    members = {f"t/robustness/0f/scores/{'ü' * 90}{n}.parquet": bytes([n]) * n for n in range(3)}
    assert {pack_of(name) for name in members} == {"t/robustness.tar.xz"}
    content = write_pack("t/robustness.tar.xz", members)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert [f"t/{each.name}" for each in archive] == list(members)
