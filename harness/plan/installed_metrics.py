"""Finds metrics by entry point and says what a column of that name is: title, unit, direction, reference."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache

from harness.errors import PluginError
from harness.metrics.interaction import PROJECTED
from harness.metrics.metric import Metric
from harness.plan.plugins import load_named
from harness.storage.metric_names import base_name

GROUP = "bench.metrics"


def load_metrics() -> tuple[dict[str, Metric], list[PluginError]]:
    """Load every metric by name (group `bench.metrics`: one, or a tuple of them), and what went wrong with others."""
    return load_named(GROUP, "metric", "harness.metrics.metric.Metric", _misfit)


def metric_named(name: str) -> Metric:
    """What is known of a metric, of one class's share of it, of it on a slice, for a reference, or of a projection.

    A name that nobody has registered is a metric without title and direction, and is taken for a share, 0..1.

    >>> [metric_named(name).arrow for name in ("top-1", "top-1[night]", "AP:cat", "EMAP top-1", "ECE", "ECE-null")]
    ['↑', '↑', '↑', '↑', '↓', '']
    """
    if name.startswith(PROJECTED):
        whole = metric_named(name.removeprefix(PROJECTED))
        return replace(whole, name=name, title=f"{whole.title}, of the additive projection")
    base = base_name(name)
    known = _installed(tuple(sys.path)).get(base)
    return known or Metric(base, base, None, "", lambda inputs: {}, ())


def in_table_order(names: Iterable[str]) -> list[str]:
    """Put metrics in the order in which they are registered; those that nobody has registered come last.

    >>> in_table_order(["top-1", "zzz", "CIDEr"])
    ['CIDEr', 'top-1', 'zzz']
    """
    place = {name: at for at, name in enumerate(_installed(tuple(sys.path)))}
    return sorted(names, key=lambda name: place.get(name, len(place)))


def marked(name: str) -> str:
    """Put an arrow behind the name of a metric: which way it is read, in a pipe too.

    >>> marked("NLL"), marked("top-1"), marked("ECE-null")
    ('NLL ↓', 'top-1 ↑', 'ECE-null')
    """
    return f"{name} {metric_named(name).arrow}".rstrip()


def metrics_of(answers: str | None) -> list[Metric]:
    """The metrics that the harness itself computes on every task of a kind of answers, or of its form."""
    known = _installed(tuple(sys.path)).values()
    return [metric for metric in known if answers and metric.answers in (answers, answers.partition(":")[0])]


@cache
def _installed(path: tuple[str, ...]) -> Mapping[str, Metric]:
    """Load once for each `sys.path`, since tables ask for each of their columns."""
    return load_metrics()[0]


def _misfit(metric: object) -> str | None:
    """Say how a plugin differs from a metric that can be trusted: it has golden inputs, within its range."""
    if not isinstance(metric, Metric):
        return f"it is {type(metric).__name__}; the entry point must name a Metric, or a tuple of them"
    if any(mark in metric.name for mark in "[]:@") or not metric.name.strip() or metric.name.startswith(PROJECTED):
        return f"its name is {metric.name!r}; [ ] : @ mark slices, classes and references"
    known = [case.scores[metric.name] for case in metric.golden if metric.name in case.scores]
    if not known:
        return f"{metric.name} has no golden inputs (Golden(inputs, {{{metric.name!r}: value}})), so drift is not seen"
    low = -float("inf") if metric.lowest is None else metric.lowest
    high = float("inf") if metric.highest is None else metric.highest
    outside = [value for value in known if not low <= value <= high]
    return f"{metric.name} is {outside[0]} on a golden case, outside its range {low}..{high}" if outside else None
