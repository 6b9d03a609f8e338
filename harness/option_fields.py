"""What a field of options declares: the range of its values, and the words and the panel of its flag.

A field is `name: Annotated[int, Range(gt=0), Option("What it is.", "Panel")] = 1`; pydantic holds values to the range.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache
from typing import Annotated, Any, Literal, TypeAlias, get_args, get_type_hints


@dataclass(frozen=True)
class Range:
    """Which numbers a field takes; of real ones only finite.

    Above the largest whole number a run would plan for hours, or never end.
    """

    gt: int | None = None
    ge: int | None = None
    lt: int | None = None
    le: int | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """Lay the bounds on the schema of a number, as pydantic asks of what stands in `Annotated`."""
        bounds = {item.name: getattr(self, item.name) for item in fields(self) if getattr(self, item.name) is not None}
        return {**handler(source), **bounds, **({"allow_inf_nan": False} if source is float else {})}

    def __str__(self) -> str:
        """Say the range in words, but for the largest number.

        >>> str(Range(ge=0, lt=1)), str(Range(gt=0, le=1000))
        ('0 or more and less than 1', 'more than 0')
        """
        words = {"{} or more": self.ge, "more than {}": self.gt, "less than {}": self.lt}
        return " and ".join(text.format(bound) for text, bound in words.items() if bound is not None)


_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_TIME = re.compile(rf"\s*(-?\d+(?:\.\d+)?)\s*({'|'.join(_UNITS)})\s*")


@dataclass(frozen=True)
class Time:
    """Says that a number is one of seconds, which may be written with a unit."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """Read a text before it is checked as a number, as pydantic asks of what stands in `Annotated`."""
        from pydantic_core.core_schema import no_info_before_validator_function

        return no_info_before_validator_function(seconds_of, handler(source))


@dataclass(frozen=True)
class Listed:
    """Says that a text is a list with commas between, which may be written as one number or as a list, too."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """Join a list before it is checked as a text, as pydantic asks of what stands in `Annotated`."""
        from pydantic_core.core_schema import no_info_before_validator_function

        return no_info_before_validator_function(listed_text, handler(source))


def listed_text(value: Any) -> Any:
    """Write numbers and lists as texts with commas between; what is neither stays as it is.

    >>> listed_text([125, 250]), listed_text(3), listed_text("a,b")
    ('125,250', '3', 'a,b')
    """
    if isinstance(value, list | tuple):
        return ",".join(str(part) for part in value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def seconds_of(value: Any) -> Any:
    """Read a time of `90`, `90s`, `30m`, `2h` or `1d` in seconds; a number is one. Raises ValueError.

    >>> seconds_of("90"), seconds_of("1.5h"), seconds_of(7)
    (90.0, 5400.0, 7)
    """
    if not isinstance(value, str):
        return value
    if (found := _TIME.fullmatch(value)) is None:
        raise ValueError("wanted a time, as 90 or 90s, 30m, 2h, 1d")
    return float(found[1]) * _UNITS[found[2]]


def time_text(seconds: float) -> str:
    """Write a time so that `seconds_of` reads it, in the largest unit that divides it.

    >>> time_text(3600), time_text(90), time_text(0.5), time_text(0)
    ('1h', '90s', '0.5s', '0')
    """
    if seconds == 0:
        return "0"
    unit = next(unit for unit in ("d", "h", "m", "s") if seconds % _UNITS[unit] == 0 or unit == "s")
    return f"{seconds / _UNITS[unit]:g}{unit}"


MOST = 1_000_000_000
AtLeastOne: TypeAlias = Annotated[int, Range(gt=0, le=MOST)]
NoneOrMore: TypeAlias = Annotated[int, Range(ge=0, le=MOST)]
Threads: TypeAlias = Annotated[int, Range(gt=0, le=1024)]
Positive: TypeAlias = Annotated[float, Range(gt=0)]
NotNegative: TypeAlias = Annotated[float, Range(ge=0)]
Names: TypeAlias = Annotated[str, Listed()]
Duration: TypeAlias = Annotated[float, Range(ge=0), Time()]
Fraction: TypeAlias = Annotated[float, Range(ge=0, lt=1)]
Precision: TypeAlias = Literal["auto", "fp32", "bf16", "fp16"]
Mix: TypeAlias = Literal["mixup", "cutmix"]
Acquire: TypeAlias = Literal["random", "entropy", "margin", "coreset"]
WordEdit: TypeAlias = Literal["word-delete", "word-synonym"]
Augment: TypeAlias = Literal[
    "crop", "flip", "crop+flip", "randaugment", "crop+randaugment", "flip+randaugment", "crop+flip+randaugment",
    "augmix", "crop+augmix", "flip+augmix", "crop+flip+augmix",
]  # fmt: skip


@dataclass(frozen=True)
class Option:
    """What the help says of an option, in which panel, and for which setting it stands.

    `sets` is the `section.key` that it is a shorter name of, set to `to` where that is given and else to its value.
    `left_out` says in words what is taken without it, where its default does not say so. `many` may be given more than
    once, which is the same as commas between. `alone` is what a flag without a value stands for, or true in a file.
    """

    help: str
    panel: str
    sets: str = ""
    to: Any = None
    left_out: str = ""
    alone: str = ""
    many: bool = False
    hidden: bool = False


@dataclass(frozen=True)
class Declared:
    """A field of options as it was declared; `kind` is the type of a value as it is written.

    `is_time` says that it is a number of seconds, which may be written with a unit.
    """

    name: str
    kind: type
    default: Any
    range: Range | None
    choices: tuple[str, ...]
    option: Option | None
    is_time: bool = False

    @property
    def flag(self) -> str:
        """Name the flag of an option of `bench run`."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def shown_default(self) -> str:
        """Say what is taken where the option is not given; nothing where that is nothing."""
        words = self.option.left_out if self.option else ""
        if words or self.default in (None, False):
            return words
        if self.is_time:
            return time_text(self.default)
        return f"{self.default:g}" if self.kind is float else str(self.default)


@cache
def declared(kind: type) -> tuple[Declared, ...]:
    """Read what the fields of a dataclass of options declare, in their order.

    >>> declared(Range)[0].name, declared(Range)[0].kind
    ('gt', <class 'int'>)
    """
    hints, found = get_type_hints(kind, include_extras=True), []
    for item in fields(kind):
        parts = list(_parts(hints[item.name]))
        written = next((part for part in parts if part in (bool, int, float)), str)
        limits = next((part for part in parts if isinstance(part, Range)), None)
        choices = tuple(part for part in parts if isinstance(part, str))
        option = next((part for part in parts if isinstance(part, Option)), None)
        is_time = any(isinstance(part, Time) for part in parts)
        found.append(Declared(item.name, written, item.default, limits, choices, option, is_time))
    return tuple(found)


def _parts(hint: Any) -> Iterator[Any]:
    """Go through what a type is made of: plain types, ranges, options, and the values of a Literal."""
    inner = get_args(hint)
    if not inner:
        yield hint
    for part in inner:
        yield from _parts(part)
