"""Which records stand in one row of a leaderboard, and which rows in one table: nothing is averaged yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.judge.record_settings import (
    code_key,
    code_of_row,
    of_newest_code,
    setting_key,
    settings_of_row,
    telling_names,
    without_prompt,
)
from harness.record import RunRecord, name_of, prompt_of


@dataclass(frozen=True)
class RowRecords:
    """The records that one row is made of, and what tells it from the model's other rows; see `Row` for the rest."""

    records: tuple[RunRecord, ...]
    setting: str
    older: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()

    @property
    def done(self) -> tuple[RunRecord, ...]:
        """Those that have a score."""
        return tuple(record for record in self.records if record.status == "ok")

    @property
    def shown(self) -> tuple[RunRecord, ...]:
        """Those with a score, or all where none has one."""
        return self.done or self.records

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Those of the records that are shown."""
        return tuple(record.fingerprint for record in self.shown)

    @property
    def name(self) -> str:
        """The name of the row."""
        return name_of_row(self.records[0].model, self.records[0].control, self.setting)


def records_of_rows(
    records: Sequence[RunRecord], *, every_code: bool = False, join_prompts: bool = False
) -> list[tuple[str | None, list[RowRecords]]]:
    """Group records into tables of rows as `build_rows` does, each with its signature; nothing is averaged yet."""
    tables: dict[tuple[str, ...], list[RunRecord]] = {}
    for record in records:
        tables.setdefault((record.task, record.data, record.data_digest, record.split), []).append(record)
    return [
        (signature, [row for own in _by_model(part) for row in _rows_of(own, every_code, join_prompts)])
        for group in tables.values()
        for (signature, _), part in _by_scoring(group).items()
    ]


def name_of_row(model: str, control: str | None, setting: str) -> str:
    """The model, with its control in brackets, and what tells it from its other settings."""
    name = name_of(model, control)
    return f"{name} {setting}" if setting else name


def _by_scoring(records: Sequence[RunRecord]) -> dict[tuple[str | None, int | None], list[RunRecord]]:
    """Split by metric signature and evaluated samples; rows without a score stand in the newest table."""
    scored: dict[tuple[str | None, int | None], list[RunRecord]] = {}
    for record in records:
        if record.signature is not None:
            scored.setdefault((record.signature, _limit(record)), []).append(record)
    unscored = [record for record in records if record.signature is None]
    newest = list(scored)[-1] if scored else (None, None)
    if unscored:
        scored.setdefault(newest, []).extend(unscored)
    return scored


def _limit(record: RunRecord) -> int | None:
    """On how many samples of its split a record was evaluated at most."""
    limit: int | None = record.cell.get("evaluate", {}).get("limit")
    return limit


def _by_model(records: Sequence[RunRecord]) -> list[list[RunRecord]]:
    """Records of each (model, control), oldest first, without skips that something else came after."""
    groups: dict[tuple[str, str | None], list[RunRecord]] = {}
    for record in sorted(records, key=lambda r: r.created):
        groups.setdefault((record.model, record.control), []).append(record)
    return [[r for r in group if r.cell or r is group[-1]] for group in groups.values()]


def _rows_of(records: Sequence[RunRecord], every_code: bool, join_prompts: bool) -> list[RowRecords]:
    """Rows of one model and control, of its newest code or of all: seeds of one setting taken together."""
    shown = list(records) if every_code else of_newest_code(records)
    joins = join_prompts and len({prompt_of(record) for record in shown}) > 1
    settings: dict[tuple[str, str], dict[tuple[str, int], RunRecord]] = {}
    for record in shown:
        key = (setting_key(record, of_all_prompts=joins), code_key(record))
        settings.setdefault(key, {})[prompt_of(record), record.seed] = record
    cells = [list(seeds.values()) for seeds in settings.values()]
    kept = {record.fingerprint for group in cells for record in group}
    names = {record.fingerprint for record in shown}
    older = tuple(r.fingerprint for r in records if r.fingerprint not in names)
    replaced = tuple(r.fingerprint for r in shown if r.fingerprint not in kept)
    named = [without_prompt(settings_of_row(g[-1])) if joins else settings_of_row(g[-1]) for g in cells]
    told = [own | (code_of_row(g[-1]) if every_code else {}) for own, g in zip(named, cells, strict=True)]
    rows = [RowRecords(tuple(g), setting) for g, setting in zip(cells, telling_names(told), strict=True)]
    return [*rows[:-1], replace(rows[-1], older=older, replaced=replaced)]
