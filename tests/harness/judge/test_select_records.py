"""What a text means: models, controls, seeds, fingerprints, files, folders; and what is said when it means nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import BenchError, StoreError, UsageError
from harness.judge.select_records import Wish, find_records, parse_wish, select_pairs
from harness.record import RunRecord
from harness.records.packing import pack
from harness.records.store import Store

Make = Callable[..., RunRecord]


@pytest.fixture
def store(tmp_path: Path, record: Make) -> Store:
    """Two seeds of `film`, its control, `plain`, one failed model; records of an older setting and of other data."""
    store = Store(str(tmp_path / "results"))

    def put(digits: str, model: str, **fields: Any) -> None:
        value = None if fields.get("status", "ok") != "ok" else 0.5
        store.write_record(replace(record(model, value, **fields), fingerprint=digits.ljust(16, "0")))

    put("bbbbbb", "film", seed=2, steps=9, created="2026-01-01")  # other settings, older
    put("aaaaaa1", "film", seed=0, created="2026-01-02")
    put("aaaaaa2", "film", seed=1, created="2026-01-03")
    put("cccccc", "film", control="C2", created="2026-01-02")
    put("dddddd", "plain", created="2026-01-02")
    put("eeeeee", "plain", data_digest="d2", created="2026-01-09")  # newer, on other data
    put("ffffff", "broken", status="failed", error="It ran out of memory.")
    return store


def chosen(store: Store, a: str, b: str = "plain") -> tuple[list[str], list[str]]:
    (pair,) = select_pairs(a, b, store, None)
    first, second = ([record.fingerprint[:7] for record in side.records] for side in pair)
    return first, second


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("film", Wish("film", None, None)),
        ("film[C2]", Wish("film", "C2", None)),
        ("film [C2]@3", Wish("film", "C2", 3)),
        ("hf:org/name@v2", Wish("hf:org/name@v2", None, None)),
        ("hf:org/name@1", Wish("hf:org/name", None, 1)),
    ],
)
def test_names_are_taken_apart(text: str, wish: Wish) -> None:
    assert parse_wish(text) == wish


def test_a_model_is_its_newest_seeds_on_the_samples_of_the_other(store: Store) -> None:
    assert chosen(store, "film") == (["aaaaaa1", "aaaaaa2"], ["dddddd0"])
    assert chosen(store, "film@1")[0] == ["aaaaaa2"]
    assert chosen(store, "film[C2]")[0] == ["cccccc0"]


def test_fingerprints_files_and_folders(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    file = f"{store.url}/a-task/records/{'bbbbbb'.ljust(16, '0')}.json"
    assert chosen(store, "bbbbbb")[0] == chosen(store, file)[0] == ["bbbbbb0"]
    pack(store.url)
    assert not Path(file).exists() and chosen(store, file)[0] == ["bbbbbb0"]
    assert chosen(store, f"{store.url}:film")[0] == ["aaaaaa1", "aaaaaa2"]
    monkeypatch.chdir(Path(store.url).parent)
    assert chosen(store, "results:film@0")[0] == ["aaaaaa1"]
    pairs = select_pairs("results", store.url, store, None)
    assert [a.name for a, _ in pairs] == ["film", "film[C2]", "plain"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("flim", "'flim' is nothing in"),
        ("flim", "Did you mean 'film'?"),
        ("film@9", "there is no seed 9, only 0, 1"),
        ("film[C9]", "'film[C9]' is nothing in"),
        ("aaaaaa", "is the beginning of 2 fingerprints: aaaaaa1000000000 (film seed 0), aaaaaa2"),
        ("abcabc", "begins with abcabc"),
        ("broken", "has no record with scores in"),
        ("broken", "It ran out of memory."),
        ("ffffff", "has no scores: failed"),
        ("", "names nothing"),
        ("nothing.json", "Cannot read nothing.json"),
        (os.curdir, "No records in ."),
    ],
)
def test_errors_say_what_was_seen_and_what_is_near(
    text: str, said: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(BenchError) as raised:
        select_pairs(text, "plain", store, None)
    assert said in str(raised.value)


def test_a_run_is_not_compared_with_a_model_and_two_tasks_need_a_choice(store: Store, record: Make) -> None:
    with pytest.raises(UsageError, match="is a results folder and 'film' is not"):
        select_pairs(store.url, "film", store, None)
    store.write_record(replace(record("film", 0.5), task="b-task", fingerprint="0" * 16))
    with pytest.raises(UsageError, match=r"records of a-task, b-task in .* Choose one with --task"):
        select_pairs("film", "plain", store, None)
    assert select_pairs("film", "plain", store, "a-task")[0][0].first.task == "a-task"


def test_a_file_that_is_no_record_or_was_changed_is_named(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "odd.json"
    for content, said in (
        ("[]", "is not a record"),
        ('{"schema_version": 99}', "has schema version 99"),
        ('{"schema_version": 1}', "it has no digest"),
    ):
        path.write_text(content)
        with pytest.raises(StoreError, match=said):
            select_pairs(str(path), "plain", store, None)


def test_records_to_rescore_are_found_by_model_or_fingerprint(store: Store) -> None:
    assert len(find_records(store, "a-task", None, ())) == 6
    assert [r.seed for r in find_records(store, None, "film@1", ())] == [1]
    assert len(find_records(store, None, "film", ())) == 3
    assert [r.model for r in find_records(store, None, None, ["dddddd"])] == ["plain"]
    with pytest.raises(StoreError, match="Did you mean 'film'"):
        find_records(store, None, "flim", ())


def test_a_setting_is_named_by_what_differs_or_by_its_fingerprint(store: Store) -> None:
    """`film` has two settings here: the newest is taken, and the other one told of."""
    ((newest, _),) = select_pairs("film", "plain", store, None)
    assert (newest.title, newest.others) == ("film steps=1", ("film steps=9 (bbbbbb00)",))
    assert chosen(store, "film steps=9")[0] == chosen(store, "bbbbbb")[0] == ["bbbbbb0"]
    assert chosen(store, "film steps=1@1")[0] == ["aaaaaa2"]
    ((one, other),) = select_pairs("film steps=9", "film steps=1", store, None)
    assert (one.title, other.title) == ("film steps=9", "film steps=1")


def test_the_address_of_an_endpoint_is_no_results_folder(tmp_path: Path) -> None:
    name = "api:http://127.0.0.1:8000/v1#model"
    with pytest.raises(UsageError, match=f"'{name}' is nothing in"):
        select_pairs(name, name, Store(str(tmp_path)), None)
    with pytest.raises(UsageError, match=f"'{name}' is nothing in {tmp_path}"):
        select_pairs(f"{tmp_path}:{name}", name, Store(str(tmp_path / "other")), None)
