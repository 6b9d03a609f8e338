"""What is installed, for `bench list`: read from the plugins without importing anything heavy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.entry_points import entries_of
from harness.errors import PluginError
from harness.measure.provenance import package_versions
from harness.metrics.metric import Metric
from harness.plan.installed_metrics import load_metrics
from harness.plan.modifiers import installed_modifiers
from harness.plan.parts import GROUPS, PluginPart, load_parts
from harness.plan.plugins import INTERNAL_TASKS, is_internal, load_all, load_all_perturbations, load_summaries
from harness.plan.taken_whole import needs_training
from harness.protocols import Compression, Model


@dataclass(frozen=True)
class InstalledEntry:
    """A line of `bench list`."""

    name: str
    kind: str
    summary: str


def catalogue(what: str) -> tuple[list[InstalledEntry], list[PluginError]]:
    """List tasks, models, data, metrics, perturbations, prompts or parts of models, and the plugins that are broken."""
    if what == "perturbations":
        known, faulty = load_all_perturbations()
        return [
            InstalledEntry(p.name, f"{p.modality}, {p.family}", f"{p.summary} ({_span(p.severities)})")
            for p in known.values()
        ], faulty
    if what == "modifiers":
        return [InstalledEntry(m.name, _kind_of_modifier(m), m.summary) for m in installed_modifiers().values()], []
    if what == "metrics":
        metrics, faulty = load_metrics()
        return [_metric_entry(metric) for metric in metrics.values()], faulty
    if what == "prompts":
        from harness.plan.installed_prompts import installed_prompts  # reads TOML, which no other list needs

        return [InstalledEntry(*found) for found in installed_prompts()], []
    if what in GROUPS:
        parts, broken = load_parts(what)
        return [InstalledEntry(part.name, _own_settings(part), part.summary) for part in parts], broken
    if what == "data":
        summaries, broken = load_summaries()
        return [InstalledEntry(name, "data", summary) for name, summary in summaries.items()], broken
    plugins, broken = load_all(what)
    if what == "tasks":
        shown = [task for task in plugins if task.name not in INTERNAL_TASKS]
        return [InstalledEntry(task.name, f"ranked by {task.metrics[0]}", task.summary) for task in shown], broken
    public = [model for model in plugins if not is_internal(model)]
    return [InstalledEntry(model.name, _kind(model), model.summary) for model in public], broken


def families_told(what: str) -> tuple[str, ...]:
    """Say of models that more of them are known by what stands behind a prefix, as `hf:NAME` and `api:URL#MODEL`."""
    prefixes = ", ".join(f"{family}:…" for family in sorted(entries_of("bench.model_families")))
    return (f"also by name: {prefixes} (docs/models.md, docs/endpoints.md)",) if what == "models" else ()


def _kind(model: Model) -> str:
    return ("fused" if model.fused else "un-fused") + ("" if needs_training(model) else ", not trained")


def _kind_of_modifier(modifier: object) -> str:
    if not isinstance(modifier, Compression):
        return "of training"
    lacking = [package for package in modifier.packages if package_versions([package])[package] == "not installed"]
    return f"of trained models (needs {', '.join(lacking)})" if lacking else "of trained models"


def _metric_entry(metric: Metric) -> InstalledEntry:
    summary = f"{metric.title} ({metric.reference})" if metric.reference else metric.title
    return InstalledEntry(metric.name, f"{metric.arrow} {metric.answers or 'of a task'}".strip(), summary)


def _own_settings(part: PluginPart) -> str:
    return " ".join(f"{name}={default}" for name, default in part.settings.items()) or "no settings"


def _span(severities: Sequence[int]) -> str:
    return f"{min(severities)}-{max(severities)}" if len(severities) > 1 else str(severities[0])
