"""Names of models with modifiers: taken apart, refused where they are wrong, planned as variants of their parent."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from harness.cell import Cell, ModelVariant
from harness.errors import UsageError
from harness.plan.modifiers import Modifier, compressions_of, load_modifier, split_modifiers, trained_name
from harness.plan.plugins import load_model
from harness.plan.variants import WantedVariant, lacking_packages, named_models


def test_names_are_taken_apart() -> None:
    assert split_modifiers("film") == ("film", ())
    assert split_modifiers("hf:org/a+b+int8") == ("hf:org/a+b", ("int8",))
    assert split_modifiers("api:http://host:1/v1#A+int8:weight") == ("api:http://host:1/v1#A", ("int8:weight",))
    base, modifiers = compressions_of("film+int8:weight")
    assert (base, [each.word for each in modifiers]) == ("film", ["int8:weight"])
    assert trained_name("film+int8") == load_model("film+int8").name == "film"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("film+int9", "Unknown modifier '+int9'. Did you mean 'int8'"),
        ("film+int8:wieght", "wanted int8 or int8:weight"),
        ("film+int4:weight", "wanted int4 alone"),
        ("film+int8+int8", "stands there twice"),
    ],
)
def test_wrong_modifiers_are_refused(name: str, told: str) -> None:
    with pytest.raises(UsageError, match=told.replace("+", r"\+").replace("?", r"\?")):
        named_models([(name, None)])


def test_variants_go_with_the_controls_of_the_run_and_with_those_named_with_them() -> None:
    named = named_models([("film+int8", None), ("film+int4", "C0"), ("gated", None)])
    assert named.models == (("film", None), ("film", "C0"), ("gated", None))
    assert [each.name for each in named.of("film", None, None)] == ["int8"]
    assert [each.name for each in named.of("film", "C0", None)] == ["int4"]
    assert [each.name for each in named.of("film", "C0", "C0")] == ["int8", "int4"]
    assert [each.name for each in named.of("film", "C1", "all")] == ["int8"]
    assert named.of("gated", None, "all") == []


@dataclass(frozen=True)
class Missing:
    """A modifier of a package that is not there."""

    name: str = "gone"
    packages: tuple[str, ...] = ("no-such-package",)
    extra: str = "quantise"


def test_a_package_that_is_not_installed_is_named_with_its_extra() -> None:
    told = lacking_packages(WantedVariant("film", None, (Modifier(Missing(), ""),)))
    assert told is not None and "no-such-package" in told and "fusemark[quantise]" in told
    assert lacking_packages(WantedVariant("film", None, (load_modifier("int8"),))) is None


def test_a_variant_is_another_cell_of_the_same_training(cell: Cell) -> None:
    variant = replace(cell, variant=ModelVariant("int8", {"torchao": "1"}))
    other = replace(cell, variant=ModelVariant("int8", {"torchao": "2"}))
    assert variant.model == f"{cell.training.model}+int8"
    assert len({each.fingerprint for each in (cell, variant, other)}) == 3
    assert len({each.answers for each in (cell, variant, other)}) == 3
    assert variant.training.fingerprint == cell.training.fingerprint
    assert "variant" not in cell.content and "variant" not in cell.told
