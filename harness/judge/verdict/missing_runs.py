"""The command that makes a missing record, with the profile and settings of a record that is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from harness.errors import BenchError
from harness.judge.verdict.needs import LEAST_SEEDS
from harness.judge.verdict.settings import record_settings_of
from harness.plan.config import RunConfig, build_config
from harness.record import RunRecord

_PROFILES = ("standard", "smoke", "full", "reference", "study-quick", "study-standard")
_FLAGS = ("vision", "vision_weights", "language", "tune")


def run_command(like: RunRecord, results: str | None, extra: Sequence[str] = (), model: str | None = None) -> str:
    """Write the `bench run` that makes records as this one, with five seeds and what else is wanted (`--set a.b=c`).

    Of data on disk the record knows the folder's name only.
    """
    training = like.cell.get("training", {})
    options, data = training.get("options", {}), training.get("data", {})
    given = " ".join(extra).split()
    words = ["bench run", "--task", like.task, "--model", model or like.model, "--seeds", str(LEAST_SEEDS), *extra]
    if data.get("layout") not in (None, "scenes"):
        words += ["--data", f"…/{data.get('root')}"]
    if like.split != data.get("default_split", like.split) and "--split" not in given:
        words += ["--split", like.split]
    for name, flag in (("track", "--scenes-track"), ("lexicon", "--lexicon"), ("test_lexicon", "--test-lexicon")):
        value = data.get("options", {}).get(name)
        if value is not None:
            words += [flag, str(value)]
    if "badge_agreement" in data.get("options", {}):
        words += ["--set", f"task.badge_agreement={data['options']['badge_agreement']}"]
    for name in _FLAGS:
        if options.get(name) is not None and f"--{name.replace('_', '-')}" not in given:
            words += [f"--{name.replace('_', '-')}", str(options[name])]
    if options.get("vision_args"):
        words += ["--vision-args", ",".join(f"{k}={v}" for k, v in options["vision_args"].items())]
    words += _profile_words(like, {word.partition("=")[0] for word in given})
    return " ".join([*words, *(["--results", results] if results else [])])


def _profile_words(like: RunRecord, given: set[str]) -> list[str]:
    """Choose the profile that is nearest to a record's settings, and set what it has otherwise."""
    wanted = {
        name: value
        for name, value in record_settings_of(like).items()
        if value is not None and name.partition(".")[0] in ("train", "decode", "evaluate") and name not in given
    }
    wanted |= {f"model.{k}": v for k, v in like.cell.get("training", {}).get("options", {}).get("settings", {}).items()}
    if not wanted:
        return []
    best: list[str] | None = None
    for profile in _PROFILES:
        try:
            have = _flat(build_config({"task": like.task, "profile": profile}, (), None, None, like.task))
        except BenchError:
            continue
        other = [f"--set {name}={_shown(value)}" for name, value in wanted.items() if have.get(name) != value]
        words = [*(["--profile", profile] if profile != "standard" else []), *other]
        if best is None or len(words) < len(best):
            best = words
    return best or []


def _flat(config: RunConfig) -> Mapping[str, Any]:
    parts = {"train": asdict(config.train), "decode": asdict(config.decode), "evaluate": asdict(config.evaluate)}
    found = {f"{section}.{name}": value for section, part in parts.items() for name, value in part.items()}
    return found | {f"model.{name}": value for name, value in config.options.settings.items()}


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
