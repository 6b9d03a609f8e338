"""A metric that somebody outside has installed: computed beside the task's own, on slices and under conditions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from harness.answers import LABELS
from harness.errors import DataError, PluginError
from harness.metrics.metric import MetricDrift
from harness.plan.installed_metrics import load_metrics, marked, metric_named
from harness.records.scoring import Scoring
from harness.sample import Classes, Outcome, Sample
from harness.stats.contributions import contributions
from harness.stats.estimates import estimates
from tasks.classification.scoring import LabelScorer
from tasks.targets.targets import LabelTarget

CLASSES = Classes(tuple("abcd"), seen=(True,) * 4)


@dataclass(frozen=True)
class LabelTask:
    """As much of a task as scoring needs."""

    answers: str = LABELS
    classes: Classes = field(default_factory=lambda: CLASSES)
    metrics: tuple[str, ...] = ("top-1", "NLL")

    def scorer(self, data: Any, cache: Path) -> LabelScorer:
        return LabelScorer(self.classes)


@pytest.fixture
def outside(extras: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The outside package is installed."""
    monkeypatch.syspath_prepend(str(extras))
    yield


def case(count: int = 120, images: int = 0) -> tuple[list[Sample], list[Outcome]]:
    """Samples of four classes, half of them in the slice `odd`, and probabilities that often favour the right one."""
    draw = np.random.default_rng(3)
    labels = draw.integers(0, 4, count)
    scores = draw.gumbel(size=(count, 4)) + 1.2 * np.eye(4)[labels]
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    samples = [
        Sample(f"s{i}", Path(), LabelTarget(int(label), (), ("odd",) * (i % 2), f"i{i % images if images else i}"))
        for i, label in enumerate(labels)
    ]
    return samples, [Outcome(s.sample_id, p) for s, p in zip(samples, probabilities.tolist(), strict=True)][::-1]


def truth_and_answers(samples: list[Sample], outcomes: list[Outcome]) -> tuple[np.ndarray, np.ndarray]:
    given = {outcome.sample_id: int(np.argmax(outcome.prediction)) for outcome in outcomes}
    return np.array([s.target.label for s in samples]), np.array([given[s.sample_id] for s in samples])


def score(samples: list[Sample], outcomes: list[Outcome], task: Any = None) -> dict[str, Any]:
    with Scoring(task or LabelTask(), None, Path()) as scoring:  # type: ignore[arg-type]
        assert scoring.prepare(samples).startswith("labels:v"), "the signature is the task's"
        return scoring.score(samples, outcomes)


def test_without_it_the_task_has_its_own_metrics_alone() -> None:
    samples, outcomes = case()
    assert "cohen-kappa" not in score(samples, outcomes)


@pytest.mark.usefixtures("outside")
def test_kappa_is_scikit_learns_over_all_and_on_a_slice() -> None:
    samples, outcomes = case()
    found = score(samples, outcomes)
    true, said = truth_and_answers(samples, outcomes)
    assert found["cohen-kappa"].value == pytest.approx(cohen_kappa_score(true, said), abs=1e-12)
    assert 0.2 < found["cohen-kappa"].value < 0.9
    odd = found["cohen-kappa[odd]"]
    assert odd.value == pytest.approx(cohen_kappa_score(true[1::2], said[1::2]), abs=1e-12)
    assert {"top-1", "NLL", "top-1[odd]", "top-1:a"} <= set(found)


@pytest.mark.usefixtures("outside")
def test_kappa_of_a_resample_is_that_of_the_repeated_data_and_has_an_interval() -> None:
    samples, outcomes = case()
    statistics = score(samples, outcomes)["cohen-kappa"]
    true, said = truth_and_answers(samples, outcomes)
    counts = np.random.default_rng(0).multinomial(len(true), [1 / len(true)] * len(true), size=5)
    drawn = [cohen_kappa_score(np.repeat(true, row), np.repeat(said, row)) for row in counts]
    assert statistics.resample(counts) == pytest.approx(drawn, abs=1e-12)
    estimate = estimates({"cohen-kappa": statistics}, 500)["cohen-kappa"]
    assert estimate is not None and estimate.interval is not None
    low, high = estimate.interval
    assert low < estimate.value < high
    # Fleiss, Cohen & Everitt 1969, in its short form: sqrt(p (1 - p) / n) / (1 - chance).
    agree, chance = np.mean(true == said), sum(np.mean(true == c) * np.mean(said == c) for c in range(4))
    error = np.sqrt(agree * (1 - agree) / len(true)) / (1 - chance)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.2)
    assert contributions(statistics).mean() == pytest.approx(estimate.value, abs=1e-12)


@pytest.mark.usefixtures("outside")
def test_samples_of_an_image_stay_together() -> None:
    samples, outcomes = case(images=30)
    found = score(samples, outcomes)
    assert list(found["cohen-kappa"].groups) == [sample.target.image_id for sample in samples]
    assert list(found["cohen-kappa[odd]"].groups) == [sample.target.image_id for sample in samples[1::2]]


@pytest.mark.usefixtures("outside")
def test_answers_are_classes_alone_or_several_classes() -> None:
    samples, outcomes = case()
    true, said = truth_and_answers(samples, outcomes)
    alone = [Outcome(sample.sample_id, int(c)) for sample, c in zip(samples, said, strict=True)]
    assert score(samples, alone)["cohen-kappa"].value == pytest.approx(cohen_kappa_score(true, said), abs=1e-12)
    none = [Outcome(samples[0].sample_id, -1), *alone[1:]]
    with_none = np.append(-1, said[1:])
    assert score(samples, none)["cohen-kappa"].value == pytest.approx(cohen_kappa_score(true, with_none), abs=1e-12)
    several = [Sample("1", Path(), LabelTarget(0, (1, 0))), Sample("2", Path(), LabelTarget(0, (1, 1)))]
    task = LabelTask(classes=Classes(tuple("ab"), seen=(True, True), multilabel=True), metrics=("mAP",))
    found = score(several, [Outcome("1", [0.9, 0.2]), Outcome("2", [0.6, 0.7])], task)
    assert found["cohen-kappa"] is None and found["mAP"].value == 1


@pytest.mark.usefixtures("outside")
def test_under_a_condition_the_first_metric_calibration_and_installed_ones_are_kept() -> None:
    samples, outcomes = case()
    with Scoring(LabelTask(), None, Path()) as scoring:  # type: ignore[arg-type]
        scoring.prepare(samples)
        found = scoring.score_condition(samples, outcomes)
    assert set(found) == {"top-1", "NLL", "Brier", "ECE", "ECE-null", "cohen-kappa"}


@pytest.mark.usefixtures("outside")
def test_other_kinds_of_answer_do_not_get_it_and_refinements_of_the_kind_do() -> None:
    samples, outcomes = case(20)
    assert "cohen-kappa" not in score(samples, outcomes, LabelTask("boxes"))
    assert "cohen-kappa" in score(samples, outcomes, LabelTask("labels:unseen"))


@pytest.mark.usefixtures("outside")
def test_answers_that_do_not_fit_are_refused_and_other_forms_of_names_are_not() -> None:
    samples, outcomes = case(20)
    with pytest.raises(DataError, match="1 of 20 samples have no answer"):
        score(samples, outcomes[1:])
    named = [Sample("é", Path(), samples[0].target), *samples[1:]]
    other = [o for o in outcomes if o.sample_id != "s0"] + [Outcome("é", outcomes[-1].prediction)]
    assert score(named, other)["cohen-kappa"].value == score(samples, outcomes)["cohen-kappa"].value


@pytest.mark.usefixtures("outside")
def test_what_is_known_of_it() -> None:
    metric = metric_named("cohen-kappa[odd]")
    assert (metric.title, metric.lowest, metric.highest) == ("agreement beyond chance", -1.0, 1.0)
    assert marked("cohen-kappa") == "cohen-kappa ↑"


BROKEN = """
from harness.metrics.answered import Answered
from harness.metrics.metric import Golden, Metric

class Number:
    value = 0.5

def fails(answered):
    if len(answered.targets) == 1:
        return {"mine": Number()}
    raise ZeroDivisionError("planted")

def metric(compute=fails, value=0.5, **more):
    golden = (Golden(Answered.of_labels([0], [0]), {"mine": value}),)
    return Metric("mine", "my metric", True, "Me 2026", compute, golden, answers="labels", **more)
"""


@pytest.mark.parametrize(
    ("name", "line", "error", "message"),
    [
        ("a", "MINE = metric()", PluginError, r"The metric 'mine' failed: ZeroDivisionError: planted"),
        ("b", "MINE = metric(lambda a: {'mine': Number()})", PluginError, "returned Number for 20 samples; wanted"),
        ("c", "MINE = metric(value=0.75)", MetricDrift, r"mine gives 0\.5 instead of 0\.75 on the golden case"),
    ],
)
def test_a_metric_that_fails_says_whose_it_is(
    install: Callable[..., Path], name: str, line: str, error: type[Exception], message: str
) -> None:
    module = f"broken_metric_{name}"
    install(module, {"bench.metrics": {"mine": f"{module}:MINE"}}, BROKEN + line)
    samples, outcomes = case(20)
    with pytest.raises(error, match=message):
        score(samples, outcomes)


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("d", "MINE = metric", "it is function; the entry point must name a Metric"),
        ("e", "MINE = metric(value=1.5)", r"mine is 1\.5 on a golden case, outside its range 0\.0\.\.1\.0"),
        ("f", "MINE = Metric('mine', 't', True, 'r', fails, ())", "mine has no golden inputs"),
        ("g", "MINE = Metric('a[b]', 't', True, 'r', fails, ())", r"its name is 'a\[b\]'"),
        ("h", "MINE = Metric('NLL', 't', True, 'r', fails, (Golden(1, {'NLL': 0.5}),))", "another one is called 'NLL'"),
    ],
)
def test_a_metric_that_does_not_fit_is_left_out_and_named(
    install: Callable[..., Path], name: str, line: str, message: str
) -> None:
    module = f"misfit_metric_{name}"
    install(module, {"bench.metrics": {"zz-mine": f"{module}:MINE"}}, BROKEN + line)
    known, (error,) = load_metrics()
    assert "mine" not in known and "top-1" in known
    with pytest.raises(PluginError, match=message):
        raise error
