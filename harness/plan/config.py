"""TOML files and flags -> one frozen RunConfig; unknown keys and wrong values are errors that name the nearest key."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cell import (
    DecodeOptions,
    EvaluateOptions,
    ExplainOptions,
    MeasureOptions,
    ModelOptions,
    PerturbOptions,
    TrainOptions,
)
from harness.errors import UsageError, nearest
from harness.option_fields import Declared, declared
from harness.perturb.scales import CANVAS_PX, CIFAR_SCALE, IMAGENET
from harness.plan.run_request import RunRequest
from harness.plan.study_options import StudyOptions
from harness.plan.track_names import renamed, tracker_names

if TYPE_CHECKING:
    from pydantic import TypeAdapter

SECTIONS: dict[str, type] = {
    "train": TrainOptions,
    "decode": DecodeOptions,
    "evaluate": EvaluateOptions,
    "measure": MeasureOptions,
    "perturb": PerturbOptions,
    "explain": ExplainOptions,
    "study": StudyOptions,
}
FREE_SECTIONS = ("model", "vision_args", "task")
"""Sections whose keys belong to models and tasks, which refuse those that they do not know."""


@dataclass(frozen=True)
class RunConfig:
    """Everything that a run may be told."""

    request: RunRequest
    options: ModelOptions
    train: TrainOptions = field(default_factory=TrainOptions)
    decode: DecodeOptions = field(default_factory=DecodeOptions)
    evaluate: EvaluateOptions = field(default_factory=EvaluateOptions)
    measure: MeasureOptions = field(default_factory=MeasureOptions)
    perturb: PerturbOptions = field(default_factory=PerturbOptions)
    explain: ExplainOptions = field(default_factory=ExplainOptions)
    study: StudyOptions = field(default_factory=StudyOptions)
    task_settings: Mapping[str, Any] = field(default_factory=dict)
    own_sections: tuple[str, ...] = ()
    """The tasks that have a `[for.TASK.SECTION]` in the profile or the file."""
    trackers: tuple[str, ...] = ()
    """Where the run is logged, too."""
    notices: tuple[str, ...] = ()
    """What the user is to be told of names that will go."""

    @property
    def names_one_task(self) -> bool:
        """Whether the run is about a single task, so that each named model must serve it."""
        return self.request.task != "all" and "," not in self.request.task

    @property
    def excluded(self) -> tuple[str, ...]:
        """The models that are left out of those that were named."""
        return tuple(name.strip() for name in (self.request.exclude or "").split(",") if name.strip())

    @property
    def models(self) -> tuple[str, ...]:
        """The models that were named, without blanks and repetitions."""
        return tuple(dict.fromkeys(name.strip() for name in self.request.model.split(",") if name.strip()))


def build_config(
    flags: Mapping[str, Any],
    settings: Sequence[str] = (),
    vision_args: str | None = None,
    file: Path | None = None,
    task: str | None = None,
) -> RunConfig:
    """Lay the profile, the TOML file, the flags and `--set` over each other, the last one wins.

    `flags` holds what was given on the command line, None for what was not. A profile or file may hold
    `[for.TASK.SECTION]`, which counts for one task only and more than `[SECTION]`. Raises UsageError.
    """
    top, sections = _parts(read_toml(file)) if file else ({}, {})
    given = {key: value for key, value in flags.items() if value is not None}
    request, notices = renamed(_checked(RunRequest, {**top, **given}, str(file or "the command line")))
    sources = (read_toml(profile_path(request.profile)), sections)
    layers = [layer for source in sources for layer in _general_then_own(source, task)]
    merged: dict[str, dict[str, Any]] = {name: {} for name in (*SECTIONS, *FREE_SECTIONS)}
    for layer in layers:
        for section, content in layer.items():
            if not isinstance(content, dict):
                raise UsageError(f"'{section}' = {content!r} stands where a section was wanted: [{section}].")
            _section(merged, section).update(content)
    for section, content in merged.items():
        content.update(configured_settings(section, request))
    if vision_args:
        merged["vision_args"].update(_pairs(vision_args))
    for setting in settings:
        section, key, value = parse_setting(setting)
        merged[section][key] = value
    for name in FREE_SECTIONS:
        require_finite_settings(merged[name], name)
    _choose_canvas(merged["perturb"])
    parts: dict[str, Any] = {name: _checked(kind, merged[name], f"[{name}]") for name, kind in SECTIONS.items()}
    return RunConfig(
        request=request,
        options=_options(request, merged),
        task_settings=merged["task"],
        trackers=tracker_names(request.log),
        notices=notices,
        own_sections=tuple(name for source in sources for name in source.get("for", {})),
        **parts,
    )


def configured_settings(section: str, request: RunRequest) -> dict[str, Any]:
    """Gather the settings of a section that a request's options are shorter names of.

    >>> configured_settings("task", RunRequest(lexicon="opaque", limit=5))
    {'lexicon': 'opaque'}
    """
    found = {}
    for item in declared(RunRequest):
        home, _, key = item.option.sets.partition(".") if item.option else ("", "", "")
        value = getattr(request, item.name)
        if home == section and item.option and value is not None and value is not False:
            found[key] = value if item.option.to is None else item.option.to
    return found


def parse_setting(text: str) -> tuple[str, str, Any]:
    """Split `section.key=value`; a key that only one section has may stand alone.

    >>> parse_setting("train.steps=50")
    ('train', 'steps', 50)
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set {text}: wanted key=value, for example train.steps=50.")
    section, dot, key = name.strip().rpartition(".")
    if not dot:
        homes = [home for home, kind in SECTIONS.items() if key in _names(kind)]
        if len(homes) > 1:
            raise UsageError(f"--set {text}: '{key}' stands in {' and '.join(homes)}; write {homes[0]}.{key}=….")
        section = homes[0] if homes else ""
    known = [f"{home}.{other}" for home, kind in SECTIONS.items() for other in _names(kind)]
    if section in FREE_SECTIONS:
        parsed = parse_value(value)
        require_finite_settings(parsed, f"--set {section}.{key}")
        return section, key, parsed
    if f"{section}.{key}" not in known:
        raise UsageError(f"--set {text}: unknown key '{name.strip()}'. {nearest(name.strip(), known)}")
    return section, key, parse_value(value)


def parse_value(text: str) -> Any:
    """Read a value as TOML does; what TOML cannot read is a plain string.

    >>> [parse_value(text) for text in ("3", "1e-4", "true", "[1, 2]", "same")]
    [3, 0.0001, True, [1, 2], 'same']
    """
    try:
        value = tomllib.loads(f"value = {text.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        return text.strip()
    except (ValueError, RecursionError):  # more digits or brackets than Python reads
        raise UsageError(f"{_short(text)}: wanted a number of at most 18 digits, or a list of few levels.") from None
    return _not_absurd(value, text)


def _not_absurd(value: Any, text: str) -> Any:
    """Refuse whole numbers that need more than 64 bits: neither JSON nor arrays nor clocks hold them."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise UsageError(f"{_short(text)}: wanted a number of at most 18 digits.")
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _not_absurd(part, text)
    return value


def _short(text: str) -> str:
    text = text.strip()
    return text if len(text) <= 60 else f"{text[:40]}… ({len(text):,} characters)"


def require_finite_settings(value: Any, name: str) -> None:
    """Refuse NaN and infinity anywhere in a setting, which no record could hold; raises UsageError with its name.

    >>> require_finite_settings({"crop": 0.9, "mean": [0.5, 0.5, 0.5]}, "vision_args")
    """
    if isinstance(value, Mapping):
        for key, entry in value.items():
            require_finite_settings(entry, f"{name}.{key}")
    elif isinstance(value, list | tuple):
        for number, entry in enumerate(value):
            require_finite_settings(entry, f"{name}[{number}]")
    elif isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{name} = {value}; wanted a finite number.")


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file; raises UsageError that names the file and the line."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        for key, value in content.items():
            _not_absurd(value, f"{path}: {key}")
        return content
    except FileNotFoundError:
        raise UsageError(f"No file {path}.") from None
    except RecursionError:
        raise UsageError(f"{path} cannot be read as TOML: too many levels of brackets.") from None
    except (ValueError, OSError) as error:
        raise UsageError(f"{path} cannot be read as TOML: {error}.") from None


def profile_path(name: str) -> Path:
    """Find a profile among the installed `runs/*.toml`, or take a path to one."""
    folder = _profiles()
    if has_profile(name):
        return folder / f"{name}.toml"
    if name.endswith(".toml") and Path(name).is_file():
        return Path(name)
    raise UsageError(f"Unknown profile '{name}'. {nearest(name, [path.stem for path in folder.glob('*.toml')])}")


def has_profile(name: str) -> bool:
    """Whether a profile of that name is installed."""
    return (_profiles() / f"{name}.toml").is_file()


def _profiles() -> Path:
    package = Path(__file__).parents[1]
    return next((place for place in (package / "runs", package.parent / "runs") if place.is_dir()), package)


def _choose_canvas(perturb: dict[str, Any]) -> None:
    """Perturb images at the size that a scale's strengths were published for, and refuse to mix the two.

    Records of robustness are told apart by the canvas.
    """
    scale = perturb.get("scale", IMAGENET)
    if scale == CIFAR_SCALE:
        given = perturb.setdefault("shortest_px", CANVAS_PX[scale])
        if given != CANVAS_PX[scale]:
            raise UsageError(f"perturb.shortest_px={given}: --perturb-scale cifar is for 32 px. Leave one of them out.")
    elif perturb.get("shortest_px") == CANVAS_PX[CIFAR_SCALE]:
        raise UsageError("perturb.shortest_px=32: take --perturb-scale cifar, whose strengths are for 32 px.")


def _parts(table: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Split a file into its plain keys and its sections.

    `[model]` and `[task]` may hold `name`, since TOML cannot have both `model = "a,b"` and a section of that name.
    """
    plain = {key: value for key, value in table.items() if not isinstance(value, dict)}
    sections = {key: dict(value) for key, value in table.items() if isinstance(value, dict)}
    for section in ("model", "task"):
        if "name" in sections.get(section, {}):
            plain[section] = sections[section].pop("name")
    return plain, sections


def _general_then_own(source: Mapping[str, Any], task: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split a file's sections into those for every task and those for this one."""
    general = {name: content for name, content in source.items() if name != "for"}
    own = source.get("for", {})
    if not isinstance(own, dict) or not all(isinstance(sections, dict) for sections in own.values()):
        raise UsageError(f"[for] holds {own!r:.80}; wanted sections [for.TASK.SECTION], as [for.coco-caption.train].")
    return general, own.get(task, {})


def _options(request: RunRequest, merged: Mapping[str, Mapping[str, Any]]) -> ModelOptions:
    return ModelOptions(
        vision=request.vision,
        vision_weights=request.vision_weights,
        vision_args=dict(merged["vision_args"]),
        language=request.language,
        tune=request.tune,
        settings=dict(merged["model"]),
    )


def _section(merged: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    if name not in merged:
        raise UsageError(f"Unknown section [{name}]. {nearest(name, merged)}")
    return merged[name]


def _checked(kind: type, values: Mapping[str, Any], place: str) -> Any:
    """Build a dataclass from outside values with pydantic; raises UsageError naming the key."""
    from pydantic import ValidationError

    known = {item.name: item for item in declared(kind)}
    meant = dict(values)
    for key, value in values.items():
        if key not in known:
            raise UsageError(f"Unknown key '{key}' in {place}. {nearest(key, known)}")
        option = known[key].option
        if isinstance(value, bool) and option is not None and option.alone:
            meant[key] = option.alone if value else None
        elif isinstance(value, bool) and known[key].kind is not bool:
            raise UsageError(f"{place}: {key} = {str(value).lower()}; wanted a value, not true or false.")
    try:
        return _adapter(kind).validate_python(meant)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{place}: {_what_is_wrong(first, known[str(first['loc'][0])])}") from None


@cache
def _adapter(kind: type) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _what_is_wrong(error: Mapping[str, Any], field: Declared) -> str:
    """Say what was seen in a field and what was wanted, by the range or the choices that it declares."""
    value, wrong = error["input"], error["type"]
    number = float(value) if field.kind is float and isinstance(value, int) else value
    if wrong == "literal_error":
        return f"{field.name} = '{_short(str(value))}'. {nearest(str(value), field.choices)}"
    if wrong == "finite_number":
        return f"{field.name} = {number}; wanted a finite number."
    if wrong == "value_error":
        return f"{field.name} = '{_short(str(value))}'; {error['ctx']['error']}."
    if wrong == "less_than_equal":
        return f"{field.name} = {number}; wanted at most {error['ctx']['le']:,}."
    if wrong in ("greater_than", "greater_than_equal", "less_than"):
        return f"{field.name} = {number}; wanted {field.range}."
    key = ".".join(str(part) for part in error["loc"])
    return f"{key} = {_short(repr(value))}: {error['msg'].lower()}."


def _pairs(text: str) -> dict[str, Any]:
    pairs = {}
    for part in _split_outside_brackets(text):
        key, equals, value = part.partition("=")
        if not equals:
            raise UsageError(f"--vision-args {text}: '{part}' is not key=value.")
        pairs[key.strip()] = parse_value(value)
    return pairs


def _split_outside_brackets(text: str) -> Iterable[str]:
    depth, start = 0, 0
    for position, letter in enumerate(text):
        depth += {"[": 1, "(": 1, "]": -1, ")": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            yield text[start:position]
            start = position + 1
    yield text[start:]


def _names(kind: type) -> list[str]:
    return [item.name for item in fields(kind)]
