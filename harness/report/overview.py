"""A page of Markdown about several results folders: a table a task, the command and the commit behind each.

Everything on it comes from the records, so that it can be made anew; what was found belongs into a text beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from harness.errors import StoreError
from harness.judge.check.baseline import BASELINE, baseline_commit, read_baseline
from harness.judge.stored_rows import TaskRecords
from harness.record import RobustnessRecord, RunRecord
from harness.records.store import Store
from harness.text.outside_text import one_line

DrawTable = Callable[[TaskRecords], str]
"""Draws the leaderboard of a task in a results folder as Markdown."""

_LOCAL = "local"
"""Where `bench run` writes unless it is told otherwise: runs of this machine, which are not shared."""

_INTRODUCTION = """# Results

What each folder holds, made from its records by

    {command}

What was found stands in [findings.md](findings.md). `bench leaderboard`, `verdict`, `compare`, `robustness`, `report`
and `rescore` read these folders as they are with `--results`: packed by `bench pack`, one record a line. `bench unpack`
gives each record a file of its own."""


def overview(root: Path, command: str, draw: DrawTable) -> str:
    """Write the page about the results folders in a folder but `local`; raises StoreError where there is none."""
    folders = [path.name for path in sorted(root.iterdir()) if path.name != _LOCAL] if root.is_dir() else []
    parts = [part for name in folders if (part := folder_part(root / name, draw))]
    if not parts:
        raise StoreError(f"{root} has no results folder in it. Give the folder that holds them.")
    return "\n\n".join([_INTRODUCTION.format(command=command), *parts])


def folder_part(folder: Path, draw: DrawTable) -> str:
    """Write the part about one results folder, or a baseline of `bench check`; nothing for another folder."""
    if (folder / BASELINE).is_file():
        return _baseline_part(folder)
    store = Store(str(folder))
    tasks = store.tasks()
    parts = [part for task in tasks for part in _task_parts(store, task, draw)]
    return "\n\n".join([f"## {folder.name}/", *parts]) if tasks else ""


def _baseline_part(folder: Path) -> str:
    count = Counter(row.subject.task for row in read_baseline(folder))
    cells = ", ".join(f"{task} {number}" for task, number in sorted(count.items()))
    commit = baseline_commit(folder)
    return (
        f"## {folder.name}/\n\nThe baseline that `bench check` compares with: {sum(count.values())} cells ({cells}) "
        f"by {_commit(commit)}."
    )


def _task_parts(store: Store, task: str, draw: DrawTable) -> Iterable[str]:
    stored = TaskRecords.read(task, store)
    yield f"### {task}"
    done = [record for record in stored.records if record.status == "ok"]
    lines = [*origins(done), *_perturbed_lines(stored.sweeps)]
    if lines:
        yield "\n".join(f"- {line}" for line in lines)
    yield draw(stored).strip()


def origins(records: Sequence[RunRecord]) -> list[str]:
    """Say by which commands and commits records were made, and where they do not tell."""
    found = Counter((record.provenance.get("command"), record.provenance.get("git")) for record in records)
    lines = [
        f"{_counted(count)} by {_command(command)}, {_commit(commit)}"
        for (command, commit), count in sorted(found.items(), key=str)
    ]
    again = Counter(
        each.provenance["rescored"]["code"].get("git") for each in records if each.provenance.get("rescored")
    )
    return lines + [f"{_counted(count)} scored again by {_commit(commit)}" for commit, count in sorted(again.items())]


def _perturbed_lines(perturbed: Sequence[RobustnessRecord]) -> list[str]:
    by_commit = Counter(record.provenance.get("git") for record in perturbed)
    conditions = max((len(record.scores) for record in perturbed), default=0)
    return [
        f"{count} perturbed under up to {conditions} conditions each, {_commit(commit)}: `bench robustness`"
        for commit, count in sorted(by_commit.items(), key=str)
    ]


def _command(command: str | None) -> str:
    if not command:
        return "a command that they do not hold (an earlier version made them)"
    return f"`{one_line(command).replace('`', chr(39))}`"


def _commit(commit: str | None) -> str:
    """Name the commit of a record; it ends in `+modified` where the code had changes that were not committed."""
    if not commit:
        return "of a commit that was not recorded"
    digits, modified, _ = one_line(commit).partition("+modified")
    return f"commit {digits[:7]}{' with changes that were not committed' if modified else ''}"


def _counted(count: int) -> str:
    return f"{count} record{'' if count == 1 else 's'}"
