"""A table reads each file once and judges each model once: 1,000 records take seconds, not minutes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.judge.stored_rows import leaderboard_rows
from harness.judge.verdict import accuracy
from harness.judge.verdict.judge import judge_tasks
from harness.records.packed import PackedFolder
from harness.records.store import Store
from harness.report.page.sources import read_sources

RESULTS, TASK = str(Path(__file__).parents[3] / "results" / "seeds"), "coco-caption"


def _page() -> None:
    sources = read_sources([Store(RESULTS)], [TASK])
    for record in sources.records:
        sources.sample_scores(record.task, record.fingerprint, None)


@pytest.mark.parametrize(
    "command",
    [
        lambda: leaderboard_rows(TASK, Store(RESULTS)),
        lambda: judge_tasks([TASK], [Store(RESULTS)]),
        _page,
    ],
    ids=["leaderboard", "verdict", "report"],
)
def test_each_file_is_read_once_and_each_model_judged_once(
    command: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: Counter[str] = Counter()
    judged: Counter[Any] = Counter()
    stored, judge = PackedFolder.read_if_there, accuracy.judge

    def counted(folder: PackedFolder, name: str) -> bytes | None:
        read[name] += 1
        return stored(folder, name)

    def noted(evidence: Any, head: Any) -> Any:
        judged[tuple(record.fingerprint for record in head.records)] += 1
        return judge(evidence, head)

    monkeypatch.setattr(PackedFolder, "read_if_there", counted)
    monkeypatch.setattr(accuracy, "judge", noted)
    command()
    names = Store(RESULTS).names(f"{TASK}/records/*.json")
    assert len(names) > 10 and {name for name in names if read[name] != 1} == set()
    assert {name: count for name, count in read.items() if count > 1} == {}
    assert all(count == 1 for count in judged.values())
