"""Digests of the code that makes a number, each over all that a job really uses, and nothing else.

*Training* is what moves weights and predictions, *scoring* what makes metrics and intervals of these, *perturbing* what
changes inputs and targets before, *explaining* what attributes answers to parts of the input. A change of scoring alone
trains nothing: stored predictions are scored anew. Libraries are known by their versions
(`harness.measure.provenance`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType

from harness.cell import ModelOptions, TrainOptions
from harness.measure.provenance import OF_SCORING, package_versions
from harness.perturb.perturbation import Perturbation
from harness.plan.import_closure import NOBODY, PARTS_MODULE, Codebase, Definition, NamedParts
from harness.plan.installed_metrics import metrics_of
from harness.plan.parsed_sources import ParsedSources
from harness.plan.plugin_code import PluginCode, methods_of
from harness.protocols import Model, Task

TRAINING: tuple[Definition, ...] = (
    ("harness.jobs.jobs", "train_job"),
    ("harness.jobs.jobs", "train_in_parts_job"),
    ("harness.jobs.jobs", "predict_job"),
)
"""Where the code of a job begins. Named, not imported: only a job's process may import torch."""
BY_OPTION: Mapping[str, tuple[Definition, ...]] = MappingProxyType(
    {
        "sequence": (("harness.jobs.sequence", "DomainSequence"),),
        "ensemble": (("harness.jobs.ensemble", "build_ensemble"),),
        "acquire": (("harness.jobs.label_rounds", "spend_labels"),),
        "augment=augmix": (("harness.inputs.augmix", "drawn_mixture"),),
        "unlabelled": (
            ("harness.jobs.pseudo_labels", "PseudoLabelledLoss"),
            ("harness.jobs.pseudo_labels", "unlabelled_data"),
        ),
        "words": (("harness.jobs.word_edits", "batch_reworded"),),
    }
)
"""What an option of training draws in besides, or one value of it: no other training rests on it."""
SCORING: tuple[Definition, ...] = (
    ("harness.records.score_answers", "score_answers"),
    ("harness.records.score_answers", "metrics_of"),
    ("harness.records.scoring", "Scoring"),
)
PERTURBING: tuple[Definition, ...] = (
    ("harness.jobs.robustness_job", "robustness_job"),
    ("harness.run.condition_scores", "ConditionScores"),
)
EXPLAINING: tuple[Definition, ...] = (("harness.jobs.explain_job", "explain_job"),)
_STOPS = frozenset({"harness.plan.plugins", "harness.plan.modifiers", "harness.plan.installed_metrics", PARTS_MODULE})
"""What is loaded there are plugins, whose code is looked at by itself.

Were the group of metrics looked into, any string that is the name of one ("boxes") would draw its code in.
"""
_STOPS_OF_TRAINING = _STOPS | {module for roots in BY_OPTION.values() for module, _ in roots}
SCORING_METHODS = frozenset({"scorer", "scoring_settings", "ceilings"})
"""What a task does for scoring alone."""
PERTURBING_METHODS = frozenset({"moved", "moved_text", "shifts", "corruptions", "chance"})
"""What a task does for perturbed inputs alone."""
EXPLAINING_METHODS = frozenset({"evidence"})
"""What a task does for explanations alone."""
REPORT_METHODS = frozenset({"begin_predictions", "read_predictions", "read_references", "slices", "twins"})
"""What a task does for other commands alone."""
_NOT_TRAINING = SCORING_METHODS | PERTURBING_METHODS | EXPLAINING_METHODS | REPORT_METHODS


class CodeDigests:
    """The digests of one run; a file is read once, so that a run goes on with the code that it was planned with."""

    def __init__(self, cache: Path | None = None) -> None:
        """`cache` is the folder where files are remembered that were taken apart before (None: nowhere)."""
        self._sources = ParsedSources(cache)
        self._entries = _plugins()
        self._packages = {"harness"} | {_package(e.value) for entries in self._entries.values() for e in entries}
        self._code: dict[tuple[str, frozenset[str]], Codebase] = {}
        self._known: dict[tuple[frozenset[Definition], NamedParts, frozenset[str]], str] = {}

    def training(
        self, task: Task, model: Model, options: ModelOptions, train: TrainOptions | None = None
    ) -> dict[str, str]:
        """What moves weights and predictions: the code of the harness, of the task and of the model with its options.

        It is the same for a model and its controls. What an option of `train` alone draws in has a digest by its name.
        Raises PluginError for a plugin whose source is not found.
        """
        drawn = [name for name in BY_OPTION if train is not None and _asks_for(train, name)]
        own = PluginCode.of(model)
        chosen = NamedParts(frozenset(own.strings | PluginCode.of(options).strings))
        methods = methods_of(task, without=_NOT_TRAINING)
        return {
            **{name: self._digest(None, BY_OPTION[name]) for name in drawn},
            "training": self._digest(None, TRAINING, stops=_STOPS_OF_TRAINING),
            "task": f"{task.version}:{self._digest(task, methods, NamedParts(frozenset(PluginCode.of(task).strings)))}",
            "model": self._digest(model, own.targets, chosen),
        }

    def scoring(self, task: Task) -> str:
        """What makes a task's metrics and their intervals; raises PluginError for a task whose source is not found."""
        installed = PluginCode.of(*metrics_of(getattr(task, "answers", None))).targets
        return self._digest(task, [*SCORING, *methods_of(task, only=SCORING_METHODS), *installed])

    def scoring_versions(self, task: Task) -> dict[str, str]:
        """The digest of scoring, with the versions of packages that scoring uses: what `Cell.scoring` holds."""
        return {"digest": self.scoring(task), **package_versions(OF_SCORING)}

    def perturbing(self, task: Task) -> str:
        """What changes inputs and targets under any condition; raises PluginError for a task without source."""
        return self._digest(task, [*PERTURBING, *methods_of(task, only=PERTURBING_METHODS)])

    def explaining(self, task: Task) -> str:
        """What makes maps and scores of them; raises PluginError for a task without source."""
        return self._digest(task, [*EXPLAINING, *methods_of(task, only=EXPLAINING_METHODS)])

    def perturbation(self, perturbation: Perturbation) -> str:
        """One perturbation: its version, its code and the values that it was made with; raises PluginError."""
        return f"{perturbation.version}:{self.plugin(perturbation)}"

    def plugin(self, plugin: object) -> str:
        """A plugin of any kind: its code and the values that it was made with; raises PluginError."""
        own = PluginCode.of(plugin)
        values = hashlib.sha256("\n".join(own.values).encode()).hexdigest()[:16]
        return f"{self._digest(plugin, own.targets, NamedParts(frozenset(own.strings)))}:{values}"

    def keep(self) -> None:
        """Remember the files that were taken apart, for the next run."""
        self._sources.keep()

    def _digest(
        self,
        plugin: object,
        roots: Iterable[Definition],
        named: NamedParts = NOBODY,
        stops: frozenset[str] = _STOPS,
    ) -> str:
        """Digest what some definitions reach in the harness, in packages with plugins and in the plugin's own."""
        package = "harness" if plugin is None else _package(type(plugin).__module__)
        if (package, stops) not in self._code:
            packages = frozenset(self._packages | {package})
            self._code[package, stops] = Codebase(packages, self._sources, self._entries, stops)
        code = self._code[package, stops]
        asked = frozenset(root for root in roots if code.is_own(root[0])), named, stops
        if asked not in self._known:
            self._known[asked] = code.digest(asked[0], named)
        return self._known[asked]


def _asks_for(train: TrainOptions, name: str) -> bool:
    """Whether an option is given; of `option=value`, whether its value is that, alone or beside others."""
    option, _, value = name.partition("=")
    given = getattr(train, option)
    return value in str(given).split("+") if value else bool(given)


def _package(place: str) -> str:
    return place.partition(":")[0].partition(".")[0]


def _plugins() -> dict[str, list[EntryPoint]]:
    """Every installed entry point of the tool's own groups."""
    installed = entry_points()
    return {group: list(installed.select(group=group)) for group in installed.groups if group.startswith("bench.")}
