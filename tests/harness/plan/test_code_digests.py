"""Every module that a job reaches is edited in memory: the digests that must change do, and no others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from harness import metrics as metrics_folder
from harness import protocols
from harness.cell import ModelOptions, TrainOptions
from harness.plan import code_digests
from harness.plan.code_digests import CodeDigests
from harness.plan.import_closure import NOBODY, Codebase, Definition, NamedParts, code_digest_of
from harness.plan.plugins import load_model, load_perturbations, load_task, task_names
from harness.plan.source_parts import Module, SourcePart

EDIT = SourcePart("0" * 16)
"""A line at the top level of a module, which runs whenever the module is imported."""
JOBS = {
    "coco-caption": ("prefix", "cross-attention-lora", "hf-blip"),
    "coco-detection": ("hf-owlvit", "hf-detr", "film"),
}
PERTURBATIONS = ("fog", "typo-ocr", "rotate", "pgd-linf")


@dataclass(frozen=True)
class Asked:
    """What one digest is taken of."""

    code: Codebase
    roots: frozenset[Definition]
    named: NamedParts

    def modules(self) -> set[str]:
        """The modules that it reaches."""
        return {module for module, _ in self._with(Everything()).reached(self.roots, self.named)}

    def edited(self, modules: Collection[str]) -> str:
        """The digest when some modules have one line more."""
        return self._with(modules).digest(self.roots, self.named)

    def _with(self, edits: Collection[str]) -> Codebase:
        code = self.code
        return Edited(code.packages, code.sources, code.entries, code.stops, code._modules, code._places, edits=edits)


class Everything(Collection[str]):
    """Every module there is."""

    def __contains__(self, module: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


@dataclass
class Edited(Codebase):
    """Source with one line more in some modules."""

    edits: Collection[str] = ()

    def digest(self, roots: Iterable[Definition], named: NamedParts = NOBODY) -> str:
        return code_digest_of(self.reached(roots, named))

    def module(self, name: str) -> Module | None:
        found = super().module(name)
        return replace(found, loose=(*found.loose, EDIT)) if found is not None and name in self.edits else found


class Recording(CodeDigests):
    """Keeps what each digest is taken of."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Asked] = []

    def _digest(
        self,
        plugin: object,
        roots: Iterable[Definition],
        named: NamedParts = NOBODY,
        stops: frozenset[str] = code_digests._STOPS,
    ) -> str:
        wanted = list(roots)
        found = super()._digest(plugin, wanted, named, stops)
        package = "harness" if plugin is None else type(plugin).__module__.partition(".")[0]
        code = self._code[package, stops]
        self.asked.append(Asked(code, frozenset(root for root in wanted if code.is_own(root[0])), named))
        return found

    def last(self, count: int = 1) -> list[Asked]:
        return self.asked[-count:]


@cache
def asked() -> Mapping[str, Asked]:
    """Every digest of the jobs above, by name."""
    code, found = Recording(), dict[str, Asked]()
    for name, models in JOBS.items():
        task = load_task(name)
        for model in models:
            code.training(task, load_model(model), ModelOptions(task=name))
            of_model = dict(zip(("training", f"task {name}", f"model {model}"), code.last(3), strict=True))
            found |= of_model
        code.scoring(task)
        found[f"scoring {name}"] = code.last()[0]
        code.perturbing(task)
        found[f"perturbing {name}"] = code.last()[0]
    known = load_perturbations()
    for name in PERTURBATIONS:
        code.perturbation(known[name])
        found[f"perturbation {name}"] = code.last()[0]
    return found


def test_an_edit_of_any_module_changes_the_digests_that_reach_it_and_no_others() -> None:
    reached = {name: each.modules() for name, each in asked().items()}
    every = set().union(*reached.values())
    assert len(every) > 120
    plain = {name: each.edited(()) for name, each in asked().items()}
    for name, each in asked().items():
        assert each.edited(every - reached[name]) == plain[name], name
    for module in every:
        reaching = [name for name in reached if module in reached[name]]
        for name in reaching[:1] + reaching[-1:]:
            assert asked()[name].edited((module,)) != plain[name], (module, name)


TRAINING = ("jobs.jobs", "jobs.train", "jobs.predict", "jobs.attainable", "jobs.emap", "inputs.images", "inputs.modes")
SCORING = ("stats.intervals", "stats.t_distribution", "records.scoring", "records.score_answers")
SPEAKING = (
    "harness.cli*", "harness.report*", "harness.judge*", "harness.run*", "harness.text.error_text",
    "harness.text.outside_text", "harness.records.store", "harness.plan.plugins", "harness.plan.run_plan",
)  # fmt: skip


NO_MOVEMENT = ("*.perturb.[!i]*", "*.perturb.image.[!g]*")  # augmentation crops and flips by perturb.image.geometry


@pytest.mark.parametrize(
    ("digest", "wanted", "refused"),
    [
        ("training", [f"harness.{m}" for m in TRAINING], ["harness.stats*", *NO_MOVEMENT, "*profile*", *SPEAKING]),
        ("task coco-caption", ["tasks.captioning.task", "tasks.formats.coco_layout"], ["*clip*", "harness.metrics*"]),
        ("task coco-detection", ["tasks.detection.task", "tasks.formats.coco_instances"], ["tasks.targets.moved"]),
        ("scoring coco-caption", [f"harness.{m}" for m in SCORING], ["harness.jobs*", "harness.perturb*", *SPEAKING]),
        ("scoring coco-caption", ["harness.metrics.captions.cider", "tasks.captioning.clip_scoring"], ["*.maps*"]),
        ("scoring coco-detection", ["harness.metrics.boxes.matching", "tasks.detection.scoring"], ["*captions*"]),
        ("perturbing coco-detection", ["harness.perturb.natural_shifts", "harness.inputs.perturbed_inputs"], ["*cli*"]),
        ("perturbing coco-detection", ["tasks.targets.moved", "harness.jobs.robustness_job"], ["harness.report*"]),
        ("perturbation fog", ["harness.perturb.image.weather"], ["harness.perturb.text*", "harness.perturb.attack*"]),
        ("perturbation typo-ocr", ["harness.perturb.text.characters"], ["harness.perturb.image*"]),
        ("perturbation rotate", ["harness.perturb.image.geometry", "harness.affine"], ["*.weather", "*.text.*"]),
        ("perturbation pgd-linf", ["harness.perturb.attack.pgd"], ["harness.perturb.image*", "harness.perturb.text*"]),
        ("model hf-owlvit", ["baselines.pretrained.owl_detector"], ["*grounding*", "*captioner", "*.segmenter"]),
        ("model hf-detr", ["baselines.pretrained.object_detector"], ["*owl_detector", "baselines.fusion*"]),
        ("model hf-blip", ["baselines.pretrained.transformers_captioner"], ["*detector", "baselines.tuning*"]),
        ("model film", ["baselines.fusion.film", "baselines.tuning.frozen"], ["*gated*", "*.lora", "baselines.clip*"]),
        ("model prefix", ["baselines.fusion.prefix", "baselines.tuning.full"], ["*.lora", "*.film", "*.adapter"]),
        ("model cross-attention-lora", ["baselines.tuning.lora", "baselines.fusion.cross_attention"], ["*.adapter"]),
    ],
)  # fmt: skip
def test_what_is_reached_is_what_moves_the_numbers(digest: str, wanted: list[str], refused: list[str]) -> None:
    modules = asked()[digest].modules()
    assert not set(wanted) - modules
    assert not [module for module in modules if any(fnmatch(module, pattern) for pattern in refused)]


@pytest.mark.parametrize("task", task_names())
def test_scoring_a_task_reaches_the_metrics_of_its_answers_and_no_others(task: str) -> None:
    """Strings that happen to be names of metrics, as the column "boxes" of a file, draw in none."""
    code, loaded = Recording(), load_task(task)
    code.scoring(loaded)
    families = {name.split(".")[2] for name in code.last()[0].modules() if name.startswith("harness.metrics.")}
    own = {"answers": "questions"}.get(loaded.answers, loaded.answers.partition(":")[0])
    assert families - {"answered", "metric", "unparsed"} <= {own}, "what is of all kinds and what is of its own"
    assert (own in families) == (Path(metrics_folder.__path__[0]) / own).is_dir()


def test_options_choose_the_tuning_policy() -> None:
    code, task, model = Recording(), load_task("coco-caption"), load_model("prefix")
    code.training(task, model, ModelOptions(task=task.name, tune="lora"))
    assert "baselines.tuning.lora" in code.last()[0].modules()


def test_what_an_option_of_training_draws_in_moves_those_trainings_alone() -> None:
    code, task, model = Recording(), load_task("image-classification"), load_model("film")
    plain = code.training(task, model, ModelOptions(task=task.name), TrainOptions())
    told = code.training(task, model, ModelOptions(task=task.name), TrainOptions(sequence="style", words="word-delete"))
    assert told.keys() - plain.keys() == {"sequence", "words"} and plain.items() <= told.items()
    sequence, words = code.last(5)[:2]
    mixed = code.training(task, model, ModelOptions(task=task.name), TrainOptions(augment="crop+augmix"))
    other = code.training(task, model, ModelOptions(task=task.name), TrainOptions(augment="crop+randaugment"))
    assert mixed.keys() - plain.keys() == {"augment=augmix"} and other == plain
    assert "harness.stats.estimates" in sequence.modules() and "harness.perturb.text.words" in words.modules()


def test_a_model_and_its_controls_have_the_same_code() -> None:
    code, task, model = CodeDigests(), load_task("image-classification"), load_model("film")
    options = ModelOptions(task=task.name)
    same = {code.training(task, made, options)["model"] for made in (model, model.with_control("C0"))}
    assert len(same) == 1


def test_whatever_a_task_does_is_of_one_kind() -> None:
    """A new method of the task protocols must be sorted: one that is not counts as training."""
    sorted_out = code_digests.SCORING_METHODS | code_digests.PERTURBING_METHODS | code_digests.REPORT_METHODS
    training = {"open_data", "samples", "spec", "validation_score"}
    optional: list[Any] = [
        protocols.MovesTargets, protocols.MovesTexts, protocols.HasShifts, protocols.HasCorruptedCopies,
        protocols.HasChanceLevel, protocols.HasSlices, protocols.HasScoringSettings,
    ]  # fmt: skip
    methods = {n for kind in (protocols.Task, *optional) for n, v in vars(kind).items() if callable(v) and n[0] != "_"}
    assert methods - sorted_out == training
