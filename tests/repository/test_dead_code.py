"""Nothing stands in the packages that only tests call: vulture knows every name that something else reaches.

What is reached by a text is no dead code: entry points, "package.module:Name", names in templates, fields that records
and pages hold. All else that vulture cannot see stands in `vulture_whitelist.py`, with its reason.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from vulture import Vulture

ROOT = Path(__file__).parents[2]
PACKAGES = ("harness", "tasks", "baselines")
WHITELIST = Path(__file__).with_name("vulture_whitelist.py")
REFERENCE = re.compile(r'(?:"[a-z_][\w.]*:|\bcast\(")(\w+)"')
"""A text as "package.module:Name" in code, or the type of a cast."""


def names_in_entry_points() -> Iterator[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for group in (project["scripts"], *project["entry-points"].values()):
        yield from (value.rpartition(":")[2] for value in group.values())


def names_in_texts() -> Iterator[str]:
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        yield from REFERENCE.findall(path.read_text(encoding="utf-8"))
    for path in (ROOT / "tasks" / "known_data").glob("*.toml"):
        yield from re.findall(r'"tasks\.[\w.]+:(\w+)"', path.read_text(encoding="utf-8"))
    for path in (ROOT / "harness").rglob("*.jinja"):
        yield from re.findall(r"\.(\w+)", path.read_text(encoding="utf-8"))


def test_nothing_is_dead_and_the_whitelist_holds_nothing_else() -> None:
    listed = {node.attr for node in ast.walk(ast.parse(WHITELIST.read_text())) if isinstance(node, ast.Attribute)}
    vulture = Vulture()
    vulture.scavenge([str(ROOT / package) for package in PACKAGES])
    unused = vulture.get_unused_code(min_confidence=60)
    reached = {*listed, *names_in_entry_points(), *names_in_texts()}
    dead = [
        f"{item.filename}:{item.first_lineno} {item.typ} {item.name}" for item in unused if item.name not in reached
    ]
    assert not dead, "delete it, or say in tests/repository/vulture_whitelist.py what reaches it:\n" + "\n".join(dead)
    assert listed <= {item.name for item in unused}, "vulture sees it in use, or it is gone: it is no exception"
