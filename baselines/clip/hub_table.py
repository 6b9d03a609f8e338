"""open_clip's own table of published weights, read from its source: to import it costs seconds, for it takes torch."""

from __future__ import annotations

import ast
import importlib.util
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from harness.errors import UsageError, WeightsUnavailable, nearest

_SAFE, _PLAIN = "open_clip_model.safetensors", "open_clip_pytorch_model.bin"
WEIGHT_NAMES = (_SAFE, _PLAIN)
"""Names of a checkpoint's weights where its entry says none, the safe one first."""


@dataclass(frozen=True)
class HubEntry:
    """Where a tag's weights are on the Hugging Face hub; `names` are those of the file, in the order of preference."""

    repository: str
    names: tuple[str, ...]
    quick_gelu: bool


def find_entry(architecture: str, tag: str) -> HubEntry:
    """Look up published weights; raises UsageError for an architecture or a tag that open_clip does not know."""
    architecture_config(architecture)
    tags = hub_table().get(architecture, {})
    entry = tags.get(tag.lower().replace("-", "_"))
    if entry is None:
        known = [f"{architecture}/{name}" for name in tags]
        raise UsageError(
            f"open_clip has no weights '{architecture}/{tag}'. {nearest(f'{architecture}/{tag}', known)} "
            f"For weights of your own: {architecture}/./FILE.safetensors."
        )
    return entry


def architecture_config(name: str) -> Mapping[str, Any]:
    """Read what open_clip knows of an architecture; raises UsageError with the nearest name for an unknown one."""
    folder = _package() / "model_configs"
    path = folder / f"{name}.json"
    if path.parent != folder or not path.is_file():
        known = [config.stem for config in folder.glob("*.json")]
        raise UsageError(f"open_clip has no architecture '{name}'. {nearest(name, known)}")
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return config


@cache
def hub_table() -> Mapping[str, Mapping[str, HubEntry]]:
    """Read all published weights, by architecture and tag."""
    named: dict[str, dict[str, HubEntry]] = {}
    table: dict[str, dict[str, HubEntry]] = {}
    for name, value in _assignments(ast.parse((_package() / "pretrained.py").read_text(encoding="utf-8"))):
        if name == "_PRETRAINED" and isinstance(value, ast.Dict):
            for key, tags in zip(value.keys, value.values, strict=True):
                assert isinstance(key, ast.Constant)
                table[str(key.value)] = named[tags.id] if isinstance(tags, ast.Name) else _tags(tags)
        elif isinstance(value, ast.Call):
            named[name] = _tags(value)
    quick = {  # open_clip offers these weights under both names
        f"{architecture}-quickgelu": {tag: entry for tag, entry in tags.items() if entry.quick_gelu}
        for architecture, tags in table.items()
    }
    return table | {architecture: tags for architecture, tags in quick.items() if tags}


def _assignments(module: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in module.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value


def _tags(call: ast.expr) -> dict[str, HubEntry]:
    """Read `dict(tag=_pcfg(hf_hub="OWNER/REPOSITORY/[FILE]", quick_gelu=True), ...)`."""
    tags = {}
    for keyword in call.keywords if isinstance(call, ast.Call) else ():
        if keyword.arg is None or not isinstance(keyword.value, ast.Call):
            continue
        given = {k.arg: k.value.value for k in keyword.value.keywords if isinstance(k.value, ast.Constant)}
        if given.get("hf_hub"):
            repository, _, file = str(given["hf_hub"]).rpartition("/")
            tags[keyword.arg] = HubEntry(repository, _names(file), bool(given.get("quick_gelu")))
    return tags


def _names(file: str) -> tuple[str, ...]:
    if not file:
        return WEIGHT_NAMES
    return (str(Path(file).with_suffix(".safetensors")), file)


def _package() -> Path:
    found = importlib.util.find_spec("open_clip")
    if found is None or found.origin is None:
        raise WeightsUnavailable("weights not available: open_clip is not installed. Run `uv sync`.")
    return Path(found.origin).parent
