"""With which settings a record was made: what must be equal before two records are compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.cell import FORMER_TRAINING
from harness.judge.record_settings import evaluate_precision, scoring_of
from harness.plan.parts import load_parts
from harness.record import RunRecord

LIMIT, TUNE, MODEL_CODE, SEQUENCE = "train.limit", "model.tune", "versions.model", "train.sequence"
SHOTS = "train.shots"
_NOT_COMPARED = ("train.threads",)
REMEDIES = ("replay", "pull", "keep", "mix", "adversarial", "words", "soup", "ensemble", "unlabelled", "acquire")
"""Options of training that change what a model withstands or keeps: a model with one is not the model by itself."""


def record_settings_of(record: RunRecord) -> dict[str, Any]:
    """Flatten what a record's training and evaluation were told, by `section.name`: `train.steps`, `model.vision`.

    Versions of code and packages are among them: what a change of code has moved is no effect of fusion.

    The tuning policy is the one that the model had, whether by its own nature or by `--tune`.
    """
    training = record.cell.get("training", {})
    options = training.get("options", {})
    found = {f"train.{name}": value for name, value in {**FORMER_TRAINING, **training.get("train", {})}.items()}
    found |= {f"decode.{name}": value for name, value in training.get("decode", {}).items()}
    found |= {f"model.{name}": value for name, value in options.items() if name not in ("settings", "task", "tune")}
    found |= {f"model.{name}": value for name, value in options.get("settings", {}).items()}
    versions = {**training.get("versions", {}), **scoring_of(record)}
    found |= {f"versions.{name}": value for name, value in versions.items()}
    found["evaluate.limit"] = record.cell.get("evaluate", {}).get("limit")
    found["evaluate.precision"] = evaluate_precision(record)
    found[TUNE] = tuning_of(record)
    return {name: value for name, value in found.items() if name not in _NOT_COMPARED}


def tuning_of(record: RunRecord) -> str | None:
    """Name the tuning policy of the language model; None for a model that has none."""
    training = record.cell.get("training", {})
    policy: str | None = training.get("recipe", {}).get("tune") or training.get("options", {}).get("tune")
    return policy


def remedies_told(settings: Mapping[str, Any]) -> list[str]:
    """Name the remedies that a model was trained with, as `replay 0.5`.

    >>> remedies_told({"train.replay": 0.5, "train.mix": "mixup", "train.soup": 0})
    ['replay 0.5', 'mix mixup']
    """
    used = [(name, value) for name in REMEDIES if (value := settings.get(f"train.{name}"))]
    return [f"{name} {value if isinstance(value, str) else f'{value:g}'}" for name, value in used]


def unmatched(first: Mapping[str, Any], second: Mapping[str, Any], free: tuple[str, ...] = ()) -> list[str]:
    """Say in which settings that both have two records differ, but for those that are `free`."""
    return [
        f"{name} {second[name]}, not {first[name]}"
        for name in sorted(first.keys() & second.keys())
        if name not in free and first[name] != second[name]
    ]


def tuning_free() -> tuple[str, ...]:
    """Settings that may differ between a model and the same model tuned otherwise: the policy and its own settings."""
    return (TUNE, MODEL_CODE, *(f"model.{name}" for policy in load_parts("tuning")[0] for name in policy.settings))
