"""Files of prompts that packages offer by name (group `bench.prompts`: each entry point is the path of one)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.entry_points import entries_of, entry_of, import_entry


def prompt_files() -> dict[str, Path]:
    """Find the installed files by name; raises PluginError."""
    entries = entries_of("bench.prompts")
    return {name: Path(import_entry(entry_of(entries, name), "prompts")) for name in entries}


def installed_prompts() -> Iterator[tuple[str, str, str]]:
    """Name file, kind of answer and name of every installed prompt with its text: (name, kind, text)."""
    from harness.plan.config import read_toml

    for file, path in prompt_files().items():
        for kind, prompts in read_toml(path).items():
            for prompt in prompts:
                yield prompt["name"], f"{kind}, {file}", " ".join(prompt["user"].split())
