"""With which settings and which code a record was made, and the shortest names that tell records apart by them.

A *setting* is all that a user can choose for a model and that can move its score; how often was measured or resampled
is none. The *code* is the versions of model, task, scoring and packages: records of other code answer for the same
row of a table, only that an older state of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from itertools import combinations
from typing import Any, TypeVar

from harness.cell import FORMER_TRAINING
from harness.plan.code_digests import BY_OPTION
from harness.record import RunRecord

_Told = TypeVar("_Told")
_OF_THE_ROW = ("task", "model", "control", "seed", "data", "versions", "prerequisite")
_SECTIONS = {"options": "model", "train": "train", "decode": "decode"}
_MOST_KEYS = 3
_LONGEST = 40
_DIGEST = re.compile(r"(\d+:)?[0-9a-f]{12,}")
_DRAWN = frozenset(f"code.{name}" for name in BY_OPTION)
_OF_MODEL = "code.model"
_UNSET: tuple[Any, ...] = (None, "", {}, [], ())


def _once_a_record(tell: Callable[[RunRecord], _Told]) -> Callable[[RunRecord], _Told]:
    """Keep what is told of a record with it: a record is never changed, and tables ask many times."""
    place = f"_told_by_{tell.__name__}"

    @wraps(tell)
    def told(record: RunRecord) -> _Told:
        known = vars(record)
        if place not in known:
            known[place] = tell(record)
        answer: _Told = known[place]
        return answer

    return told


def settings_of_row(record: RunRecord) -> dict[str, Any]:
    """Flatten what a record was told, by `section.name`; what was not set is left out.

    What the user chose comes first, then the recipe that the model made of it.
    """
    return dict(_settings(record))


@_once_a_record
def _settings(record: RunRecord) -> dict[str, Any]:
    training = record.cell.get("training", {})
    found: dict[str, Any] = {}
    for section, name in _SECTIONS.items():
        _flatten(training.get(section, {}), name, found)
    rest = {k: v for k, v in training.items() if k not in (*_OF_THE_ROW, *_SECTIONS, "recipe")}
    _flatten(rest, "", found)
    evaluate = record.cell.get("evaluate", {})
    precision = evaluate_precision(record)
    moving = {"batch_size": evaluate.get("batch_size"), "precision": None if precision == "fp32" else precision}
    _flatten(moving, "evaluate", found)
    found.pop("model.task", None)
    for option, former in FORMER_TRAINING.items():
        if found.get(f"train.{option}") == former:
            found.pop(f"train.{option}", None)
    taken = record.provenance.get("training", {}).get("accumulation", 1)
    if taken > training.get("train", {}).get("accumulation", taken):  # for lack of memory: another training
        found["train.accumulation_taken"] = taken
    _flatten(training.get("recipe", {}), "recipe", found)
    return found


def code_of_row(record: RunRecord) -> dict[str, Any]:
    """Versions of the code and packages that made a record, by `code.name`."""
    return dict(_code(record))


@_once_a_record
def _code(record: RunRecord) -> dict[str, Any]:
    training = record.cell.get("training", {})
    variant = (record.cell.get("variant") or {}).get("versions", {})
    versions = {**training.get("versions", {}), **scoring_of(record), **variant}
    found: dict[str, Any] = {}
    _flatten({**versions, "prerequisite": training.get("prerequisite")}, "code", found)
    return found


def scoring_of(record: RunRecord) -> dict[str, str]:
    """The digest of the code that made a record's metrics, and packages of it; earlier versions hold it elsewhere."""
    scoring: Mapping[str, str] = record.cell.get("scoring") or {}
    return {"scoring" if name == "digest" else f"scoring.{name}": value for name, value in scoring.items()}


def evaluate_precision(record: RunRecord) -> str:
    """The number format of a record's answers; fp32 where it was made before there was another."""
    return str(record.cell.get("evaluate", {}).get("precision", "fp32"))


def setting_key(record: RunRecord, *, of_all_prompts: bool = False) -> str:
    """What must be equal for two seeds of the same code to be averaged, and for two prompts."""
    return _key(without_prompt(_settings(record))) if of_all_prompts else _setting_key(record)


@_once_a_record
def _setting_key(record: RunRecord) -> str:
    return _key(_settings(record))


def without_prompt(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out of flat settings what one prompt differs in from another of the same file."""
    own = ("model.settings.prompt_name", "recipe.prompt.")
    return {name: value for name, value in settings.items() if not name.startswith(own)}


@_once_a_record
def code_key(record: RunRecord) -> str:
    """What must be equal for two records to be of the same state of the code."""
    return _key(_code(record))


def of_newest_code(records: Sequence[RunRecord]) -> list[RunRecord]:
    """Those of some records, oldest first, that are of the code of the newest; those without a cell are kept.

    Code that an option draws in must be the newest among the records of the same setting, and the model's own code
    among those that are composed alike: a tuning policy, for instance, brings code of its own.
    """
    codes = [_code(record) if record.cell else None for record in records]
    commons = [None if code is None else _common(code) for code in codes]
    current = next((common for common in reversed(commons) if common is not None), None)
    every = list(zip(records, codes, commons, strict=True))
    parts = {_composed(r): code.get(_OF_MODEL) for r, code, _ in every if code is not None}
    drawn = {setting_key(r): code for r, code, _ in every if code is not None and not _DRAWN.isdisjoint(code)}

    def is_newest(record: RunRecord, code: dict[str, Any], common: dict[str, Any]) -> bool:
        if common != current or parts[_composed(record)] != code.get(_OF_MODEL):
            return False
        return not drawn or drawn.get(setting_key(record), code) == code

    return [r for r, code, common in every if code is None or common is None or is_newest(r, code, common)]


def _common(code: Mapping[str, Any]) -> dict[str, Any]:
    return {name: version for name, version in code.items() if name not in _DRAWN and name != _OF_MODEL}


@_once_a_record
def _composed(record: RunRecord) -> str:
    """What of a model was chosen: its parts and its own settings."""
    return _key(record.cell.get("training", {}).get("options", {}))


def telling_names(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name each of some settings by the fewest keys that tell them apart: `steps=50`; "" where there is nothing to.

    Of as few keys those that come first in the settings are taken. A key that one of them has not set is left out of
    its name.

    >>> telling_names([{"train.steps": 50, "train.limit": 9}, {"train.steps": 400, "train.limit": 9}])
    ['steps=50', 'steps=400']
    >>> telling_names([{}, {"model.vision_args.interpolation": "bicubic"}])
    ['', 'interpolation=bicubic']
    """
    keys = [key for key in dict.fromkeys(k for each in settings for k in each) if _differs(key, settings)]
    chosen = _fewest(keys, settings)
    names = _short(chosen)
    return [" ".join(f"{names[key]}={_value(each[key])}" for key in chosen if key in each) for each in settings]


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """Say in which settings two differ: `train.steps 50 and 400`; of a recipe only what no other key says.

    >>> differences({"train.steps": 50}, {"train.steps": 400, "model.tune": "lora"})
    ['train.steps 50 and 400', 'model.tune not set and lora']
    """
    keys = [key for key in dict.fromkeys((*a, *b)) if a.get(key) != b.get(key)]
    told = [key for key in keys if not key.startswith("recipe.")] or keys
    return [f"{key} {_value(a.get(key, 'not set'))} and {_value(b.get(key, 'not set'))}" for key in told]


def _differs(key: str, settings: Sequence[Mapping[str, Any]]) -> bool:
    return any(each.get(key) != settings[0].get(key) for each in settings)


def _fewest(keys: Sequence[str], settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The fewest keys by which as many settings are told apart as by all of them."""
    wanted = _told_apart(keys, settings)
    for size in range(min(_MOST_KEYS, len(keys)) + 1):
        for chosen in combinations(keys, size):
            if _told_apart(chosen, settings) == wanted:
                return list(chosen)
    return list(keys)


def _told_apart(keys: Sequence[str], settings: Sequence[Mapping[str, Any]]) -> int:
    return len({json.dumps([each.get(key) for key in keys], default=str) for each in settings})


def _short(keys: Sequence[str]) -> dict[str, str]:
    """The last part of each key, and all of it where two end alike."""
    ends = [key if key.startswith("code.") else key.rpartition(".")[2] for key in keys]
    return {key: end if ends.count(end) == 1 else key for key, end in zip(keys, ends, strict=True)}


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    if _DIGEST.fullmatch(text):
        return text[:8]
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _key(settings: Mapping[str, Any]) -> str:
    return json.dumps(settings, sort_keys=True, default=str)


def _flatten(content: Any, prefix: str, found: dict[str, Any]) -> None:
    """Add what nested tables hold and is set to `found`, by `prefix.name`."""
    for name, value in content.items():
        key = f"{prefix}.{name}" if prefix else name
        if isinstance(value, dict | Mapping):  # JSON makes dicts, which are told in no time
            _flatten(value, key, found)
        elif value or value not in _UNSET:
            found[key] = value
