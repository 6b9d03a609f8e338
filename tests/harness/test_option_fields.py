"""What fields of options declare is what they are held to: every field of every kind of options is tried."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import pytest

from harness.errors import UsageError
from harness.option_fields import Declared, declared, seconds_of, time_text
from harness.plan.config import SECTIONS, build_config
from harness.plan.run_request import RunRequest

ALL = [
    pytest.param(section, item, id=f"{section or 'bench run'} {item.name}")
    for section, kind in (("", RunRequest), *SECTIONS.items())
    for item in declared(kind)
]
FLAGS = [item.name for item in declared(RunRequest)]


def build(section: str, name: str, value: Any) -> Any:
    if section:
        return getattr(build_config({}, [f"{section}.{name}={value}"]), section)
    return build_config({name: value}).request


def wrong_values(item: Declared) -> list[tuple[Any, str]]:
    """Values next to and beyond each declared bound, with what an error must say of them."""
    found: list[tuple[Any, str]] = [("zzz", "Known: ")] if item.choices else []
    bounds = item.range
    if bounds is None:
        return found
    if bounds.gt is not None:
        found.append((bounds.gt, f"wanted more than {bounds.gt}"))
    if bounds.ge is not None:
        found.append((bounds.ge - 1, f"wanted {bounds.ge} or more"))
    if bounds.lt is not None:
        found.append((bounds.lt, f"less than {bounds.lt}"))
    if bounds.le is not None:
        found.append((bounds.le + 1, f"wanted at most {bounds.le:,}"))
    if item.kind is float:
        found += [(value, "wanted a finite number") for value in (math.inf, -math.inf, math.nan)]
    return found


@pytest.mark.parametrize(("section", "item"), ALL)
def test_each_number_has_a_range_and_each_range_and_choice_is_held(section: str, item: Declared) -> None:
    if item.kind in (int, float):
        assert item.range is not None, "a number of any size is never meant"
    for value, message in wrong_values(item):
        with pytest.raises(UsageError, match=rf"{item.name} = '?{value}.*{message}"):
            build(section, item.name, value)


@pytest.mark.parametrize(("section", "item"), ALL)
def test_the_outermost_values_of_a_range_and_all_choices_are_taken(section: str, item: Declared) -> None:
    for choice in item.choices:
        assert getattr(build(section, item.name, choice), item.name) == choice
    if item.range is not None:
        least = item.range.ge if item.range.ge is not None else 1
        for value in (least, *([item.range.le] if item.range.le else [])):
            assert getattr(build(section, item.name, value), item.name) == value


TIMES = [item.name for item in declared(RunRequest) if item.is_time]


@pytest.mark.parametrize("name", TIMES)
@pytest.mark.parametrize(
    ("written", "seconds"),
    [(90, 90.0), ("90", 90.0), ("90s", 90.0), ("30m", 1800.0), (" 2 h ", 7200.0), ("1.5h", 5400.0), ("1d", 86400.0)],
)
def test_a_time_is_seconds_or_has_a_unit(name: str, written: Any, seconds: float) -> None:
    assert getattr(build("", name, written), name) == seconds
    assert seconds_of(time_text(seconds)) == seconds


@pytest.mark.parametrize("name", TIMES)
@pytest.mark.parametrize("written", ["", "soon", "90x", "1h30m", "inf", "1e3"])
def test_what_is_no_time_is_refused(name: str, written: str) -> None:
    with pytest.raises(UsageError, match=f"{name} = '{written}'; wanted a time, as 90 or 90s, 30m, 2h, 1d"):
        build("", name, written)


@pytest.mark.parametrize("name", TIMES)
def test_a_time_is_not_negative(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} = .*; wanted 0 or more"):
        build("", name, "-2h")


def test_a_choice_that_is_nearly_right_gets_the_right_one() -> None:
    with pytest.raises(UsageError, match=r"precision = 'bf15'\. Did you mean 'bf16'"):
        build("train", "precision", "bf15")


@pytest.mark.parametrize("item", declared(RunRequest), ids=FLAGS)
def test_an_option_that_stands_for_a_setting_sets_one_that_there_is(item: Declared) -> None:
    assert item.option is not None
    section, _, key = item.option.sets.partition(".")
    assert section in ("", "task", "model", *SECTIONS)
    if section in SECTIONS:
        assert key in {field.name for field in fields(SECTIONS[section])}


def test_options_that_stand_for_settings_set_them() -> None:
    config = build_config({"limit": 7, "no_measure": True, "perturb_scale": "cifar", "templates": "simple"})
    assert (config.evaluate.limit, config.measure.timed) == (7, False)
    assert (config.perturb.scale, config.perturb.shortest_px) == ("cifar", 32)
    assert config.task_settings == {"templates": "simple"}
    assert build_config({}).measure.timed is True
