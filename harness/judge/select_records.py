"""Finds the records that a text means: a model's name, a fingerprint, a record file, or a results folder (a run)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import NamedTuple

from harness.errors import StoreError, UsageError, nearest
from harness.judge.record_settings import setting_key
from harness.judge.row_records import RowRecords, records_of_rows
from harness.record import SCHEMA_VERSION, RunRecord, split_name
from harness.records.store import Store
from harness.storage.digest import without_digest

_NAME = re.compile(r"(?P<row>.+?)(?:@(?P<seed>\d+))?")
_FINGERPRINT = re.compile(r"[0-9a-f]{6,16}")
_FORMS = (
    "A model (class-embedding, class-embedding[C2], class-embedding@3, 'film steps=50'), a fingerprint of at least "
    "6 digits, a record's .json file, a results folder, or FOLDER:MODEL can be compared."
)


@dataclass(frozen=True)
class Chosen:
    """The seeds of one model with the same settings on the same samples, each with scores.

    `setting` tells it from the model's other settings there, which `others` name; both are empty where it is alone.
    """

    name: str
    store: Store
    records: tuple[RunRecord, ...]
    setting: str = ""
    others: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The model with what tells it from its other settings."""
        return f"{self.name} {self.setting}" if self.setting else self.name

    @property
    def first(self) -> RunRecord:
        """The record of the lowest seed."""
        return self.records[0]

    @property
    def samples_key(self) -> tuple[str, str, str, int | None]:
        """What must be equal for two to be scored on the same samples."""
        record = self.first
        return record.task, record.data_digest, record.split, record.cell.get("evaluate", {}).get("limit")


class Wish(NamedTuple):
    """A model as it is written: `class-embedding[C2]@3`."""

    model: str
    control: str | None
    seed: int | None


@dataclass(frozen=True)
class _Found:
    """What a text may mean, newest first; all models of a results folder where it means a run."""

    candidates: tuple[Chosen, ...]
    is_run: bool = False


def select_pairs(a: str, b: str, store: Store, task: str | None) -> list[tuple[Chosen, Chosen]]:
    """Resolve both texts; two runs give a pair for each model in common, in the order of their names.

    Where a model has records on several data sets the newest ones on the same samples are taken. Raises UsageError or
    StoreError, which name what was seen, for a text that means nothing, several things, or records without scores.
    """
    first, second = _find(a, store, task), _find(b, store, task)
    if first.is_run != second.is_run:
        run, model = (a, b) if first.is_run else (b, a)
        raise UsageError(f"'{run}' is a results folder and '{model}' is not. Give two folders, or {run}:MODEL.")
    if not first.is_run:
        return [_nearest_pair(first.candidates, second.candidates)]
    names = sorted({c.name for c in first.candidates} & {c.name for c in second.candidates})
    if not names:
        raise UsageError(
            f"{a} and {b} have no model in common: {_listed(c.name for c in first.candidates)} against "
            f"{_listed(c.name for c in second.candidates)}. Name two models as FOLDER:MODEL."
        )
    return [_nearest_pair(_named(first, name), _named(second, name)) for name in names]


def select_every_task(a: str, b: str, store: Store) -> tuple[list[tuple[Chosen, Chosen]], dict[str, str]]:
    """Resolve both texts in every task that their folders hold; raises UsageError where that gives no pair.

    Also returns why there is none, by task.
    """
    folders = [Store(text) if _is_folder(text) else store for text in (a, b)]
    tasks = sorted({record.task for folder in folders for record in folder.read_records()})
    pairs: list[tuple[Chosen, Chosen]] = []
    lacking: dict[str, str] = {}
    for task in tasks:
        try:
            pairs += select_pairs(a, b, store, task)
        except (UsageError, StoreError) as error:
            lacking[task] = str(error)
    if not pairs:
        seen = "; ".join(f"{task}: {why}" for task, why in lacking.items())
        raise UsageError(f"Nothing of {a} and {b} can be compared in any task of {store.url}. {seen}")
    return pairs, lacking


def records_of(store: Store, tasks: str | None) -> list[RunRecord]:
    """Read the records of the tasks `a,b`, or of all (None, "all")."""
    if tasks in (None, "all"):
        return store.read_records()
    return [record for name in str(tasks).split(",") for record in store.read_records(name.strip())]


def find_records(store: Store, task: str | None, model: str | None, fingerprints: Sequence[str]) -> list[RunRecord]:
    """Find records with scores: by fingerprint, or all of a task and a model; raises StoreError where there is none."""
    records = records_of(store, task)
    if fingerprints:
        return [_with_scores(find_fingerprint(text, records, store)) for text in fingerprints]
    wish = None if model is None else parse_wish(model)
    found = [r for r in records if r.status == "ok" and (wish is None or _is_meant(r, wish))]
    if not found:
        seen = sorted({_label(record) for record in records})
        hint = nearest(model, seen) if model and seen else "Run 'bench run' first, or give another --results."
        raise StoreError(f"No record with scores of {model or task or 'any task'} in {store.url}. {hint}")
    return found


def find_fingerprint(text: str, records: Sequence[RunRecord], store: Store) -> RunRecord:
    """Find the one record whose fingerprint begins with a text; raises UsageError for none or several."""
    if not _FINGERPRINT.fullmatch(text):
        raise UsageError(f"'{text}' is no fingerprint; wanted 6 to 16 hexadecimal digits, as `bench run` prints them.")
    found = [record for record in records if record.fingerprint.startswith(text)]
    if not found:
        hint = nearest(text, {record.fingerprint for record in records}) if records else "It holds no records."
        raise UsageError(f"No record in {store.url} has a fingerprint that begins with {text}. {hint}")
    if len(found) > 1:
        names = ", ".join(f"{record.fingerprint} ({_label(record)} seed {record.seed})" for record in found)
        raise UsageError(f"{text} is the beginning of {len(found)} fingerprints: {names}. Give more digits.")
    return found[0]


def parse_wish(text: str) -> Wish:
    """Take a model's name apart.

    >>> parse_wish("class-embedding[C2]@3")
    Wish(model='class-embedding', control='C2', seed=3)
    """
    match = _NAME.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"'{text}' names nothing. {_FORMS}")
    seed = match["seed"]
    return Wish(*split_name(match["row"]), None if seed is None else int(seed))


def _find(text: str, store: Store, task: str | None) -> _Found:
    if text.endswith(".json"):
        return _Found((_from_file(Path(text)),))
    if _is_folder(text):
        return _from_run(Store(text), task)
    for place in (place for place, sign in enumerate(text) if sign == ":"):
        folder, rest = text[:place], text[place + 1 :]
        if rest and _is_folder(folder):
            return _from_wish(rest, Store(folder), task)
    return _from_wish(text, store, task)


def _is_folder(text: str) -> bool:
    """A path that is there, or a URL whose only colon is that of its scheme: `api:http://…` is a model."""
    scheme, slashes, rest = text.partition("://")
    if slashes:
        return bool(rest) and ":" not in scheme + rest
    return bool(text) and Path(text).is_dir()


def _from_file(path: Path) -> Chosen:
    store = Store(str(_results_of(path)))
    name = path.relative_to(store.url).as_posix()
    if not store.exists(name):  # packed or not
        raise StoreError(f"Cannot read {path}: it is not there. {_FORMS}")
    try:
        content = json.loads(store.read_bytes(name))
        if content.get("schema_version") != SCHEMA_VERSION:
            raise StoreError(
                f"{path} has schema version {content.get('schema_version')}; this version reads {SCHEMA_VERSION}. "
                "Run the cell again."
            )
        record = RunRecord.from_json(without_digest(content))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoreError(f"{path} is not a record: {error} Give a file of RESULTS/TASK/records/.") from None
    return Chosen(f"{_label(record)}@{record.seed}", store, (_with_scores(record),))


def _results_of(path: Path) -> Path:
    """The results folder that a record file lies in; its own folder where it was moved out of one."""
    return path.parents[2] if path.parent.name == "records" and len(path.parents) > 2 else path.parent


def _from_run(store: Store, task: str | None) -> _Found:
    records = store.read_records(task)
    if not records:
        raise StoreError(f"No records{f' of {task}' if task else ''} in {store.url}. Run 'bench run' first.")
    tasks = {record.task for record in records}
    if len(tasks) > 1:
        raise UsageError(f"{store.url} holds records of {_listed(tasks)}. Choose one with --task.")
    return _Found(tuple(_candidates(records, store)), is_run=True)


def _from_wish(text: str, store: Store, task: str | None) -> _Found:
    records = store.read_records(task)
    wish = parse_wish(text)
    meant = [r for r in records if (r.model, r.control) == (wish.model, wish.control)]
    if not meant and (titled := _of_title(text, records, store)):
        return _Found(tuple(titled))
    if not meant and _FINGERPRINT.fullmatch(text):
        record = _with_scores(find_fingerprint(text, records, store))
        return _Found((Chosen(f"{_label(record)}@{record.seed}", store, (record,)),))
    if not meant:
        seen = sorted({_label(record) for record in records})
        hint = nearest(text, seen) if seen else "It holds no records: run 'bench run' first."
        raise UsageError(f"'{text}' is nothing in {store.url}{f' for {task}' if task else ''}. {hint} {_FORMS}")
    tasks = {record.task for record in meant}
    if len(tasks) > 1:
        raise UsageError(f"'{text}' has records of {_listed(tasks)} in {store.url}. Choose one with --task.")
    found = list(_candidates(meant, store))
    if not found:
        last = max(meant, key=lambda record: record.created)
        raise StoreError(f"'{text}' has no record with scores in {store.url}: {last.status}: {last.error}")
    return _Found(tuple(found if wish.seed is None else _of_seed(found, wish.seed, text)))


def _of_title(text: str, records: Sequence[RunRecord], store: Store) -> list[Chosen]:
    """Rows whose whole name, with what tells them from other settings, is this text; a seed may follow."""
    name, _, seed = text.strip().rpartition("@") if re.search(r"@\d+$", text.strip()) else (text.strip(), "", "")
    found = [c for c in _candidates(records, store) if c.setting and _plain(c.title) == _plain(name)]
    return _of_seed(found, int(seed), text) if found and seed else found


def _plain(title: str) -> str:
    return title.replace(" [", "[")


def _of_seed(found: Sequence[Chosen], seed: int, text: str) -> list[Chosen]:
    kept = [
        replace(c, name=f"{c.name}@{seed}", records=tuple(r for r in c.records if r.seed == seed))
        for c in found
        if any(r.seed == seed for r in c.records)
    ]
    if not kept:
        seeds = sorted({record.seed for chosen in found for record in chosen.records})
        raise UsageError(f"'{text}': there is no seed {seed}, only {_listed(map(str, seeds))}.")
    return kept


def _candidates(records: Sequence[RunRecord], store: Store) -> list[Chosen]:
    """The rows that a leaderboard would show, those with scores, newest first."""
    found = []
    for _, table in records_of_rows(records):
        scored: dict[tuple[str, str | None], list[RowRecords]] = {}
        for row in sorted(table, key=lambda row: row.records[0].model):
            if row.done:
                scored.setdefault((row.done[0].model, row.done[0].control), []).append(row)
        for rows in scored.values():
            titles = [_title(row) for row in rows]
            for place, row in enumerate(rows):
                own = tuple(sorted(row.done, key=lambda r: r.seed))
                others = (*titles[:place], *titles[place + 1 :])
                found.append(Chosen(_label(own[0]), store, own, row.setting, others))
    return sorted(found, key=lambda chosen: max(r.created for r in chosen.records), reverse=True)


def _nearest_pair(first: Sequence[Chosen], second: Sequence[Chosen]) -> tuple[Chosen, Chosen]:
    """The newest two that were scored alike on the same samples, else on the same samples, else the newest of each."""
    pairs = sorted(product(enumerate(first), enumerate(second)), key=lambda pair: pair[0][0] + pair[1][0])
    alike = [(a, b) for (_, a), (_, b) in pairs if a.samples_key == b.samples_key]
    same = [(a, b) for a, b in alike if a.first.signature == b.first.signature]
    matched = [(a, b) for a, b in same if a.name == b.name and setting_key(a.first) == setting_key(b.first)]
    other = [(a, b) for a, b in matched if a.store != b.store]  # of two runs the same settings beside each other
    return (other or same or alike or [(first[0], second[0])])[0]


def _title(row: RowRecords) -> str:
    return f"{row.name} ({row.shown[-1].fingerprint[:8]})"


def _named(found: _Found, name: str) -> list[Chosen]:
    return [chosen for chosen in found.candidates if chosen.name == name]


def _is_meant(record: RunRecord, wish: Wish) -> bool:
    seeds = (record.seed, None)
    return (record.model, record.control) == (wish.model, wish.control) and wish.seed in seeds


def _with_scores(record: RunRecord) -> RunRecord:
    if record.status != "ok":
        raise StoreError(
            f"Record {record.fingerprint} ({_label(record)}) has no scores: {record.status}: {record.error}"
        )
    return record


def _label(record: RunRecord) -> str:
    return f"{record.model}[{record.control}]" if record.control else record.model


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(set(names)))
