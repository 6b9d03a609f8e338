"""Which compressed variants of which models a run makes: those named in `--model film+int8,film[C0]+int4`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from harness.cell import Cell, ModelVariant
from harness.errors import UsageError
from harness.measure.provenance import package_versions
from harness.plan.code_digests import CodeDigests
from harness.plan.control_choice import EVERY, Named
from harness.plan.modifiers import Modifier, compressions_of
from harness.plan.names import words


@dataclass(frozen=True)
class WantedVariant:
    """A variant that was asked for: of which model (or `all`), with which of its controls, and what is done to it."""

    parent: str
    control: str | None
    modifiers: tuple[Modifier, ...]

    @property
    def name(self) -> str:
        """What is done, as it stands behind the model's name: `prune:0.5+int8`."""
        return "+".join(each.word for each in self.modifiers)


@dataclass(frozen=True)
class NamedModels:
    """Models of `--model` without what is done to them, with controls as they were named, and the variants."""

    models: Named
    variants: tuple[WantedVariant, ...]

    def of(self, model: str, control: str | None, controls: str | None) -> list[WantedVariant]:
        """List the variants of a model, or of its control: those named so, and of all `controls` of the run."""
        found: dict[str, WantedVariant] = {}
        for wanted in self.variants:
            with_run = wanted.control is None and (control is None or controls == EVERY or control in words(controls))
            if wanted.parent in (model, "all") and (wanted.control == control or with_run):
                found.setdefault(wanted.name, wanted)
        return list(found.values())


def named_models(named: Named) -> NamedModels:
    """Split what `--model` names into models and variants; raises UsageError for unknown modifiers."""
    models: dict[tuple[str, str | None], None] = {}
    variants = []
    for name, control in named:
        parent, modifiers = compressions_of(name)
        models.setdefault((parent, control))
        if modifiers:
            _require_each_once(name, modifiers)
            variants.append(WantedVariant(parent, control, modifiers))
    return NamedModels(tuple(models), tuple(variants))


def lacking_packages(wanted: WantedVariant) -> str | None:
    """Say which package a variant needs that is not installed, and what brings it; None where all are there."""
    for each in wanted.modifiers:
        for package in each.plugin.packages:
            try:
                version(package)
            except PackageNotFoundError:
                remedy = f"pip install 'fusemark[{each.plugin.extra}]'" if each.plugin.extra else f"install {package}"
                return f"+{each.word} needs {package}, which is not installed. Run: {remedy}."
    return None


def variant_of(wanted: WantedVariant, code: CodeDigests) -> ModelVariant:
    """Name a variant by what moves its answers: the code of its modifiers and the packages that they need."""
    versions = {f"code of {each.plugin.name}": code.plugin(each.plugin) for each in wanted.modifiers}
    packages = dict.fromkeys(package for each in wanted.modifiers for package in each.plugin.packages)
    return ModelVariant(wanted.name, versions | package_versions(packages))


def order_of_cells(cell: Cell) -> tuple[bool, bool, bool]:
    """Cells that build on others later, controls after models, and variants after what they are made of."""
    return cell.training.prerequisite is not None, cell.training.control is not None, cell.variant is not None


def _require_each_once(name: str, modifiers: Sequence[Modifier]) -> None:
    seen = [each.plugin.name for each in modifiers]
    for one in seen:
        if seen.count(one) > 1:
            raise UsageError(f"'{name}': '+{one}' stands there twice. Name each modifier once.")
