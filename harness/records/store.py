"""Writes and reads what cells leave behind, under a local folder or any fsspec URL.

<results>/<task>/records/<fingerprint>.json          the record; written last, so it vouches for the rest
<results>/<task>/outcomes/<fingerprint>.parquet      one row a sample: id, prediction, per-sample metrics
<results>/<task>/scores/<fingerprint>.parquet        what each sample contributes to each of the task's metrics
<results>/<task>/training/<fingerprint>/             checkpoint.safetensors, derived.json, log.jsonl, training.json;
                                                     on a URL all but the last in a folder of its sha256
<results>/<task>/robustness/<fingerprint>.json       how the record's model scores under each condition
<results>/<task>/robustness/<fingerprint>/<condition>.parquet   its outcomes under that condition
<results>/<task>/robustness/<fingerprint>/scores/<condition>.parquet   what each sample contributes to the first metric
<results>/<task>/…/<table>-<sha256>.parquet          such a table beside another of its name, which another run made
<results>/<task>/conflicts/<fingerprint>-<digest>.json   a record that differs from the one that another run left first
<results>/<task>/robustness/examples/<data and split>/   index.json and small images: what models answered to a few
<results>/<task>/explanations/<fingerprint>.json     how good explanations are; beside it a folder (`explanations`)

Records carry a digest of their content; one that was changed by hand is refused. `harness.records.packed` says which
of these files may lie in a few packed ones instead.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeVar

from harness.collector import collection_paused
from harness.errors import StoreError
from harness.files import one_at_a_time
from harness.record import SCHEMA_VERSION, ExplanationRecord, RobustnessRecord, RunRecord
from harness.records.folder import Folder
from harness.records.packed import PackedFolder
from harness.records.table_content import ADDITIVE, SLICE, outcomes_content, scores_content
from harness.records.table_names import beside_name
from harness.sample import Outcome
from harness.stats.sample_scores import SampleScores
from harness.storage.digest import vouched_content, with_digest
from harness.storage.parquet_columns import ParquetColumns
from harness.storage.parquet_files import numbers, read_parquet
from harness.storage.remembered import name_of_content
from harness.text.error_text import named_error
from harness.text.outside_text import visible

_IDENTITY = ".identity"

Parsed = TypeVar("Parsed", RunRecord, RobustnessRecord, ExplanationRecord)


@dataclass(frozen=True)
class Store:
    """A results folder: a local path or an fsspec URL such as `s3://bucket/results`.

    Its files may be packed. `newest` remembers when the last record of each task was made; the folder is read once,
    before the first is written. `texts` are the ids of samples that were read, once for all tables of these; `contents`
    digests of the records that were read, by their files' names.
    """

    url: str
    newest: dict[str, str] = field(default_factory=dict, compare=False, repr=False)
    texts: dict[tuple[Any, ...], tuple[str, ...]] = field(default_factory=dict, compare=False, repr=False)
    contents: dict[str, bytes] = field(default_factory=dict, compare=False, repr=False)

    @property
    def local(self) -> Path | None:
        """The folder as a path, or None when it is a URL."""
        return Folder(self.url).local

    @property
    def takes_many_writers(self) -> bool:
        """Whether several runs may write here at once (`records.writers`)."""
        return self._files.folder.makes_only_once

    def require_writable(self) -> None:
        """Try to write before any work is done; raises StoreError with the remedy."""
        self.write_bytes(".writable", b"")

    def identity(self) -> str:
        """Name this folder by a text of its own, made when it is first asked for: another machine must find the same.

        Raises StoreError.
        """
        self.create_only(_IDENTITY, secrets.token_hex(16).encode())
        return self.read_bytes(_IDENTITY).decode("ascii", "replace")

    def find_identity(self) -> str | None:
        """Name this folder as `identity` does, None where it has no name yet. Raises StoreError."""
        return self.read_bytes(_IDENTITY).decode("ascii", "replace") if self.exists(_IDENTITY) else None

    def read_records(self, task: str | None = None) -> list[RunRecord]:
        """Read every record of this schema version, oldest first; raises StoreError for a broken one."""
        return self._read_all(f"{task or '*'}/records/*.json", RunRecord, "records", task)

    def tasks(self) -> list[str]:
        """Name the tasks that have records."""
        return sorted({name.partition("/")[0] for name in self.names("*/records/*.json")})

    def find_record(self, task: str, fingerprint: str) -> RunRecord | None:
        """Read one record, None when there is none."""
        return self._parsed(f"{task}/records/{fingerprint}.json", RunRecord)

    def write_record(self, record: RunRecord) -> None:
        """Write a record; one that is ok is never replaced, also where another run writes it at the same moment.

        Raises StoreError where there is one.
        """
        dated = replace(record, created=self._after_all(record))
        name, content = f"{record.task}/records/{record.fingerprint}.json", with_digest(dated.to_json())
        if not self.exists(name) and self.create_only(name, content):
            return
        if self.local is None:
            self._follow(name, content, record)
            return
        with self.replacing():
            existing = self.find_record(record.task, record.fingerprint)
            if existing is not None and existing.status == "ok":
                raise _immutable(record)
            self.write_bytes(name, content)

    def _follow(self, name: str, content: bytes, record: RunRecord) -> None:
        """Put a record in the place of one that failed, on a URL, where nothing can be locked.

        Whoever first makes the file <task>/replaced/<fingerprint>-<digest of the failed one>.json is the one to follow
        it, and all that come later put the content of that file there. Records that failed themselves follow none: they
        could come after one that is ok.
        """
        stored = self.read_bytes(name)
        if _status_of(stored) == "ok":
            raise _immutable(record)
        if record.status != "ok":
            return
        turn = f"{record.task}/replaced/{record.fingerprint}-{hashlib.sha256(stored).hexdigest()[:16]}.json"
        first = self.create_only(turn, content)
        self.write_bytes(name, content if first else self.read_bytes(turn))
        if not first:
            raise _immutable(record)

    def replacing(self) -> AbstractContextManager[None]:
        """Let one run at a time put records in the place of others; on a URL the last one stands."""
        return nullcontext() if self.local is None else one_at_a_time(self.local / ".records")

    def _after_all(self, record: RunRecord) -> str:
        """When a record was made, but after all others of its task: a clock that went back must not make it old."""
        if record.task not in self.newest:
            times = map(self._time_of, self.names(f"{record.task}/records/*.json"))
            self.newest[record.task] = max(times, default="")
        newest, created = self.newest[record.task], record.created
        if created < newest:
            with suppress(ValueError):  # another tool's spelling of a time: nothing can be added to it
                created = (datetime.fromisoformat(newest) + timedelta(milliseconds=1)).isoformat(
                    timespec="milliseconds"
                )
        self.newest[record.task] = max(newest, created)
        return created

    def _time_of(self, name: str) -> str:
        """When a stored record was made; "" of a broken one, which is named by whoever needs what it holds."""
        try:
            created = json.loads(self.read_bytes(name))["created"]
        except (StoreError, ValueError, TypeError, KeyError, RecursionError):
            return ""
        return created if isinstance(created, str) else ""

    def replace_record(self, record: RunRecord) -> None:
        """Write a record in the place of another of its fingerprint, which it must have kept the numbers of."""
        self.write_bytes(f"{record.task}/records/{record.fingerprint}.json", with_digest(record.to_json()))

    def read_robustness(self, task: str | None = None) -> list[RobustnessRecord]:
        """Read every robustness record of this schema version, oldest first; raises StoreError for a broken one."""
        return self._read_all(f"{task or '*'}/robustness/*.json", RobustnessRecord, "robustness records", task)

    def find_robustness(self, task: str, fingerprint: str) -> RobustnessRecord | None:
        """Read how one record's model scores under each condition, None when it was never perturbed."""
        return self._parsed(f"{task}/robustness/{fingerprint}.json", RobustnessRecord)

    def read_robustness_part(self, name: str) -> RobustnessRecord | None:
        """Read what one run has added to a robustness record (`records.shared_conditions`)."""
        return self._parsed(name, RobustnessRecord)

    def write_robustness(self, record: RobustnessRecord) -> None:
        """Write a robustness record in the place of the one that knew fewer conditions."""
        self.write_bytes(f"{record.task}/robustness/{record.fingerprint}.json", with_digest(record.to_json()))

    def read_explanations(self, task: str | None = None) -> list[ExplanationRecord]:
        """Read every record of explanations (`records.explanations`), oldest first; as `read_robustness`."""
        return self._read_all(f"{task or '*'}/explanations/*.json", ExplanationRecord, "explanation records", task)

    def find_explanation(self, task: str, fingerprint: str) -> ExplanationRecord | None:
        """Read how good explanations of one record's model are, None when none were made."""
        return self._parsed(f"{task}/explanations/{fingerprint}.json", ExplanationRecord)

    def write_outcomes(
        self,
        name: str,
        outcomes: Sequence[Outcome],
        columns: Mapping[str, Sequence[float]],
        additive: Sequence[Outcome] = (),
        *,
        beside: bool = False,
    ) -> str:
        """Write `name`.parquet, one row a sample: `sample_id`, `prediction` (JSON), a column a per-sample metric.

        Where there are `additive` predictions, of some samples, they stand in a column of that name. With `beside` a
        table that is there stays (`beside_name`). Returns the sha256.
        """
        return self._write_table(name, outcomes_content(outcomes, columns, additive), beside)

    def read_outcomes(self, name: str, content: bytes | None = None) -> list[Outcome]:
        """Read the predictions stored in `name`.parquet, from its content where that is at hand."""
        with self._readable(name):
            table = self._read_table(name, content, ["sample_id", "prediction"])
            rows = zip(table["sample_id"].to_pylist(), table["prediction"].to_pylist(), strict=True)
            return [Outcome(_text(sample_id), json.loads(prediction)) for sample_id, prediction in rows]

    def read_additive(self, name: str, content: bytes | None = None) -> list[Outcome]:
        """Read the additive predictions stored in `name`.parquet, as `read_outcomes`; empty where it has none."""
        with self._readable(name):
            table = self._read_table(name, content)
            if ADDITIVE not in table.column_names:
                return []
            rows = zip(table["sample_id"].to_pylist(), table[ADDITIVE].to_pylist(), strict=True)
            return [Outcome(_text(sample_id), json.loads(found)) for sample_id, found in rows if found is not None]

    def write_sample_scores(self, name: str, scores: SampleScores, *, beside: bool = False) -> str:
        """Write `name`.parquet, one row a sample: see `scores_content`; as `write_outcomes`."""
        return self._write_table(name, scores_content(scores), beside)

    def read_sample_scores(self, name: str, content: bytes | None = None) -> SampleScores | None:
        """Read `name`.parquet, from its content where that is at hand; None where it is not there."""
        content = self.read_if_there(f"{name}.parquet") if content is None else content
        if content is None:
            return None
        with self._readable(name), self._unbroken(name):
            columns = ParquetColumns.of(content)
            ids, clusters = (self._texts(columns, column) for column in ("sample_id", "cluster"))
            slices = self._texts(columns, SLICE) if SLICE in columns.names else ()
            table = columns.read([name for name in columns.names[2:] if name != SLICE])
            own = dict(zip(table.column_names, map(numbers, table.columns), strict=True))
            return SampleScores(ids, clusters, own, slices)

    def _texts(self, columns: ParquetColumns, name: str) -> tuple[str, ...]:
        """The texts of a column, read once where others are stored alike: they are then compared in no time, too."""
        key = columns.stored(name)
        if key not in self.texts:
            self.texts[key] = tuple(map(_text, columns.read([name])[name].to_pylist()))
        return self.texts[key]

    def names(self, pattern: str) -> list[str]:
        """List the files that a pattern of names fits, such as `*/robustness/examples/*/index.json`."""
        return self._files.names(pattern)

    def exists(self, name: str) -> bool:
        """Tell whether a file is there."""
        return self._files.exists(name)

    def read_if_there(self, name: str) -> bytes | None:
        """Read a file, None where there is none; raises StoreError when it cannot be read."""
        return self._files.read_if_there(name)

    def read_bytes(self, name: str) -> bytes:
        """Read a file; raises StoreError when it cannot be read."""
        return self._files.read_bytes(name)

    def write_bytes(self, name: str, content: bytes) -> None:
        """Write a file whole or not at all; raises StoreError when it cannot be written."""
        self._files.folder.write_bytes(name, content)

    @property
    def takes_several_writers(self) -> bool:
        """Whether writers on several machines can share it: see `Folder.takes_several_writers`."""
        return self._files.folder.takes_several_writers

    def create_only(self, name: str, content: bytes) -> bool:
        """Make a file, whole or not at all, unless there is one; returns whether it was made. Raises StoreError."""
        return self._files.folder.create_only(name, content)

    def remove(self, name: str) -> None:
        """Delete a file that is not packed; nothing happens where there is none. Raises StoreError."""
        self._files.folder.remove(name)

    def local_copy(self, name: str) -> AbstractContextManager[Path]:
        """Give a local path with a file's content; where it is a copy, it is gone after the block."""
        return self._files.local_copy(name)

    def place(self, name: str) -> str:
        """Say where a file lies, for messages: as it is, or in which packed file."""
        return self._files.place(name)

    @cached_property
    def _files(self) -> PackedFolder:
        return PackedFolder(Folder(self.url))

    def _write_table(self, name: str, content: bytes, beside: bool) -> str:
        digest = hashlib.sha256(content).hexdigest()
        if not beside:
            self.write_bytes(f"{name}.parquet", content)
        elif not self.create_only(f"{name}.parquet", content) and self.read_if_there(f"{name}.parquet") != content:
            self.create_only(f"{beside_name(name, digest)}.parquet", content)
        return digest

    @contextmanager
    def _readable(self, name: str) -> Iterator[None]:
        """Turn what another kind of content raises into a StoreError that names the file."""
        try:
            yield
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise self._broken(f"{name}.parquet", f"holds another content ({named_error(error)})") from None

    def _read_table(self, name: str, content: bytes | None, columns: Sequence[str] | None = None) -> Any:
        content = self.read_bytes(f"{name}.parquet") if content is None else content
        with self._unbroken(name):
            return read_parquet(content, columns)

    @contextmanager
    def _unbroken(self, name: str) -> Iterator[None]:
        """Turn what pyarrow raises into a StoreError that names the file."""
        import pyarrow as arrow

        try:
            yield
        except arrow.ArrowException as error:
            raise self._broken(f"{name}.parquet", f"is broken: {error}") from None

    @collection_paused()
    def _read_all(self, pattern: str, kind: type[Parsed], what: str, task: str | None) -> list[Parsed]:
        """Read records, oldest first."""
        found = []
        for name in self.names(pattern):
            if (stored := self.read_if_there(name)) is not None:
                self.contents[name] = name_of_content(stored)
                found.append(self._parse(name, stored, kind))
        self._tell_other_versions(found.count(None), what, task)
        return sorted((r for r in found if r is not None), key=lambda record: (record.created, record.fingerprint))

    def _parsed(self, name: str, kind: type[Parsed]) -> Parsed | None:
        """Read a record; None where there is none, or one of another schema version."""
        stored = self.read_if_there(name)
        return None if stored is None else self._parse(name, stored, kind)

    def _parse(self, name: str, stored: bytes, kind: type[Parsed]) -> Parsed | None:
        try:
            content = _parsed_json(stored)
            # also of another version: a digit that was changed must not make a record vanish
            whole, text = vouched_content(content, stored)
            return kind.from_json(whole, text) if content.get("schema_version") == SCHEMA_VERSION else None
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise self._broken(name, f"is not a record: {error}") from None

    def _broken(self, name: str, what: str) -> StoreError:
        place = self.place(name)
        unpacked = "" if place == f"{self.url}/{name}" else f" after `bench unpack {self.url}`"
        return StoreError(f"{place} {what}. Delete it{unpacked} and run again.")

    def _tell_other_versions(self, count: int, what: str, task: str | None) -> None:
        if count:
            of = f" of {task}" if task else ""
            _tell_once(
                f"{self.url}: {count} {what}{of} have another schema version than {SCHEMA_VERSION}: left out. "
                "The version of this tool that made them shows them."
            )


def _parsed_json(stored: bytes) -> Any:
    """Parse JSON in a third of the time of `json.loads`, where nothing is odd about it."""
    from pydantic_core import from_json

    try:
        return from_json(stored, allow_inf_nan=False)
    except ValueError:  # also half a surrogate pair, and other encodings, which it refuses
        return json.loads(stored)


def _status_of(stored: bytes) -> Any:
    try:
        return json.loads(stored).get("status")
    except (ValueError, AttributeError, RecursionError):  # a broken one: the new one takes its place
        return None


def _immutable(record: RunRecord) -> StoreError:
    return StoreError(f"Record {record.fingerprint} is there already and records are immutable.")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.80} stands where the id of a sample was wanted")
    return value


@cache
def _tell_once(text: str) -> None:
    sys.stderr.write(f"{visible(text)}\n")
