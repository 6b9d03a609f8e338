"""`bench verdict`, `compare`, `check` and ranks have one difference of two models: the same numbers for the records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.judge.check.measured import read_measured
from harness.judge.check.score_change import accuracy_change
from harness.judge.compare.comparison import Wanted, compare
from harness.judge.select_records import select_pairs
from harness.judge.verdict.comparison import contrast_with_control
from harness.judge.verdict.evidence import gather
from harness.judge.verdict.judge import installed_fusion, score_reader
from harness.plan.plugins import load_task
from harness.plan.run_plan import Environment
from harness.records.rescore import DataPlace
from harness.records.sample_scores import read_scores
from harness.records.store import Store
from harness.stats.difference import Difference
from harness.stats.rank_intervals import Contender, compared

RESULTS = Path(__file__).parents[3] / "results" / "seeds"
PAIRS = (
    ("image-classification", "class-embedding", "C0"),
    ("image-classification", "class-embedding", "C2"),
    ("zero-shot-classification", "class-embedding", "C4"),
    ("coco-caption", "cross-attention", "C2"),
)


def by_verdict(store: Store, task: str, model: str, control: str) -> Difference:
    records = sorted(store.read_records(task), key=lambda record: record.created)
    (evidence, *_) = gather(records, [], load_task(task).metrics, installed_fusion(task), score_reader([store]))
    (head,) = [found for found in evidence.heads() if found.model == model]
    other = evidence.control(head, control)
    assert not isinstance(other, str)
    found = contrast_with_control(evidence, evidence.metric, [(1.0, head), (-1.0, other)])
    assert not isinstance(found, str)
    return found


def by_compare(store: Store, task: str, model: str, control: str, cache: Path) -> Difference:
    ((a, b),) = select_pairs(model, f"{model}[{control}]", store, task)
    found = compare(a, b, DataPlace(Environment(cache, cache)), Wanted())
    assert found.paired and found.main is not None
    return found.main.found


def by_ranks(store: Store, task: str, model: str, control: str) -> Difference:
    metric, contenders = load_task(task).metrics[0], []
    for kind in (None, control):
        own = [r for r in store.read_records(task) if (r.model, r.control, r.status) == (model, kind, "ok")]
        own.sort(key=lambda record: record.seed)
        estimates = tuple(e for r in own if (e := r.metrics[metric]) is not None)
        scores = tuple(read_scores(store, record) for record in own)
        contenders.append(Contender(estimates, scores, tuple(record.seed for record in own)))
    (row,) = compared(contenders, metric).rows()
    parts = [(float(error[0]), float(freedom[0])) for error, freedom in row.seeds]
    of_samples = float(row.sample_error[0]), float(row.sample_freedom[0])
    return Difference(float(row.value[0]), (*parts, of_samples), seeds=5, clusters=0, paired=True)


@pytest.mark.parametrize(("task", "model", "control"), PAIRS)
def test_all_four_have_the_same_difference(task: str, model: str, control: str, tmp_path: Path) -> None:
    store = Store(str(RESULTS))
    verdict = by_verdict(store, task, model, control)
    assert verdict.seeds >= 5
    for other in (by_compare(store, task, model, control, tmp_path), by_ranks(store, task, model, control)):
        assert (other.value, other.low, other.high, other.p) == pytest.approx(
            (verdict.value, verdict.low, verdict.high, verdict.p), rel=1e-9
        )
    measured = read_measured(store, {task: load_task(task).metrics}, [task])
    sides = [
        {m.seed: m for m in measured if (m.subject.model, m.subject.control) == (model, kind)} for kind in ("", control)
    ]
    pairs = [(sides[0][seed], replace(sides[1][seed], subject=sides[0][seed].subject)) for seed in sides[0]]
    change = accuracy_change(pairs)
    assert (change.loss, change.low, change.high, change.p) == pytest.approx(
        (verdict.value, verdict.low, verdict.high, verdict.p), rel=1e-9
    )
    assert np.isfinite(verdict.reach)
