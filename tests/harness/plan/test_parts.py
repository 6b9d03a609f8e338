"""Parts of models are declared beside their code, found by entry point, and read without running what is heavy."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from baselines.fusion.operator import FusionOperator, find_operator
from baselines.tuning.policy import find_policy
from harness.errors import PluginError, UsageError
from harness.plan.installed import catalogue
from harness.plan.parts import GROUPS, load_code, load_part, load_parts, part_defaults, part_names
from harness.plan.plugins import entries_of, load_all, load_model

Install = Callable[[str, dict[str, dict[str, str]], str], Path]
DECLARED = """
from baselines.fusion.operator import FusionOperator

planted = FusionOperator("planted", "a summary", features="planted_parts:Planted", settings={"depth": 3})
"""


def plant(install: Install, source: str, group: str = "bench.fusion") -> None:
    install("planted_parts", {group: {"planted": "planted_parts:planted"}}, source)


def test_a_declaration_is_read_without_running_its_file(install: Install) -> None:
    plant(install, DECLARED + "import not_there_at_all\n")
    assert load_part("fusion", "planted") == FusionOperator(
        "planted", "a summary", features="planted_parts:Planted", settings={"depth": 3}
    )
    assert "planted_parts" not in sys.modules
    assert part_defaults()["depth"] == 3
    assert ("planted", "depth=3") in [(entry.name, entry.kind) for entry in catalogue("fusion")[0]]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"a summary"', '"a " + "summary"'),
        ('"a summary"', "SUMMARY"),
        ("planted = ", "planted = other = "),
        ("FusionOperator(", "make("),
    ],
)
def test_any_other_declaration_is_imported_and_means_the_same(old: str, new: str, install: Install) -> None:
    start = 'SUMMARY = "a summary"\ndef make(*a, **k): return FusionOperator(*a, **k)\n'
    plant(install, start + DECLARED.replace(f"planted = {old}" if old == "FusionOperator(" else old,
                                            f"planted = {new}" if old == "FusionOperator(" else new))  # fmt: skip
    assert load_part("fusion", "planted").summary == "a summary"


def test_the_last_declaration_of_a_name_counts(install: Install) -> None:
    plant(install, DECLARED + DECLARED.partition("\n\n")[2].replace("a summary", "another"))
    assert load_part("fusion", "planted").summary == "another"


@pytest.mark.parametrize("group", GROUPS)
def test_what_is_read_is_what_the_file_declares(group: str) -> None:
    """All built-in parts: by reading the source, and by importing it."""
    names = part_names(group)
    assert len(names) >= 4
    for name in names:
        (entry,) = entries_of(f"bench.{group}")[name]
        assert load_part(group, name) == getattr(importlib.import_module(entry.module), entry.attr)


@pytest.mark.parametrize("group", GROUPS)
def test_the_code_that_parts_name_is_there(group: str) -> None:
    for part in load_parts(group)[0]:
        places = [value for value in vars(part).values() if isinstance(value, str) and value.startswith("baselines.")]
        assert places
        for place in places:
            assert callable(load_code(place))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (DECLARED.replace('"planted",', '"other",'), "it calls itself 'other'"),
        (DECLARED.replace("features=", "feature="), "declares what cannot be made.*feature"),
        ("planted = 3", "it is 3; the entry point must name an object with a name, a summary and settings"),
        (DECLARED.replace('{"depth": 3}', '("depth",)'), r"its settings are \('depth',\); wanted defaults by name"),
        ("def (", "cannot be imported: SyntaxError"),
        ("import not_there_at_all", "cannot be imported: ModuleNotFoundError"),
    ],
)
def test_a_part_that_does_not_work_is_named_and_the_others_do(source: str, message: str, install: Install) -> None:
    plant(install, source)
    with pytest.raises(PluginError, match=rf"'planted' \(planted_parts:planted\).*{message}"):
        load_part("fusion", "planted")
    good, broken = load_parts("fusion")
    assert len(good) >= 8 and len(broken) == 1
    assert load_model("film").summary
    _, without = load_all("models")
    assert len(without) == 1, "the model of the broken operator"


def test_an_operator_with_neither_side_or_of_another_group_is_refused(install: Install) -> None:
    plant(install, DECLARED.replace('features="planted_parts:Planted", ', ""))
    with pytest.raises(PluginError, match="neither features nor a decoder"):
        find_operator("planted")
    install("second_parts", {"bench.tuning": {"planted": "planted_parts:planted"}}, "")
    with pytest.raises(PluginError, match="'planted' is a FusionOperator; wanted a TuningPolicy"):
        find_policy("planted")


def test_unknown_parts_get_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"Unknown fusion operator 'flim'. Did you mean 'film'.*bench list fusion"):
        load_model("fuse:flim")
    with pytest.raises(UsageError, match=r"Unknown tuning policy 'loar'. Did you mean 'lora'"):
        find_policy("loar")


def test_what_is_installed_is_found_anew_when_a_package_comes(install: Install) -> None:
    assert "planted" not in part_names("fusion")
    plant(install, DECLARED)
    assert "planted" in part_names("fusion")
    assert "fuse:planted" in [model.name for model in load_all("models")[0]]


def test_parts_are_loaded_once_for_what_is_installed_and_what_a_caller_does_to_their_settings_stays_with_it() -> None:
    assert load_part("fusion", "film") is load_part("fusion", "film")
    assert load_parts("heads")[0][0] is load_parts("heads")[0][0]
    part_defaults().clear()
    assert "lora_alpha" in part_defaults()
