"""What a rescoring changed, as a table for the console."""

from __future__ import annotations

from collections.abc import Sequence

from harness.record import name_of
from harness.records.rescore import SAME, Change, NotScored, Rescored


def render_rescored(found: Sequence[Rescored], lost: Sequence[NotScored] = (), *, written: bool) -> str:
    """Say for each record, and each metric that is not of a single class, what changed; and what was not scored."""
    from harness.report.table_text import aligned

    parts = []
    for each in found:
        record = each.record
        title = f"{record.task}  {name_of(record.model, record.control)} seed {record.seed}  {record.fingerprint}"
        if each.unchanged:
            parts.append(f"{title}: equal ({sum(not c.kept for c in each.changes)} metrics to 1e-12, same signature)")
            continue
        rows = [["metric", "old", "new", "difference"], *(_row(change) for change in each.changes if _told(change))]
        same = each.signature == record.signature
        signature = "same signature" if same else f"signature was {record.signature}\n          is  {each.signature}"
        end = "The record was replaced; it keeps the former numbers." if written else "Write them with --write."
        parts.append(f"{title}\n\n{aligned(rows)}\n\n{signature}\n{end}")
    for each_lost in lost:
        names = ", ".join(f"{name_of(r.model, r.control)} seed {r.seed}" for r in each_lost.records)
        parts.append(f"Not scored: {names}. {each_lost.reason}")
    return "\n\n".join(parts)


def _told(change: Change) -> bool:
    return not change.equal or (":" not in change.metric and "[" not in change.metric)


def _row(change: Change) -> list[str]:
    old, new = ("absent" if e is None else f"{e.value:.6f}" for e in (change.old, change.new))
    if change.kept:
        return [change.metric, old, "–", "not recomputed: its answers are not stored"]
    if change.equal:
        return [change.metric, old, new, "equal"]
    interval_only = change.difference is not None and abs(change.difference) <= SAME
    told = "" if change.difference is None else f"{change.difference:+.2e}"
    return [change.metric, old, new, "interval or count alone" if interval_only else told or "absent in one"]
