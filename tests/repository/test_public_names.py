"""A public name stands for one thing: no two modules define it with two meanings."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import REPOSITORY

HOOKS = {
    "app": "each part of the command line is a typer application",
    "build": "how each adaptation of CLIP is built (baselines/clip)",
    "judge": "how each claim is judged (harness/judge/verdict)",
    "judge_all": "how each claim about several models is judged (harness/judge/verdict)",
    "needs": "which runs each claim reads (harness/judge/verdict)",
    "tune": "what each tuning policy does (baselines/tuning)",
    "GROUP": "the group of entry points of each kind of part",
    "METRICS": "what each catalogue of metrics offers to its entry point",
}
"""Names that modules of one kind share, so that they can be exchanged for each other."""
SAME_OPERATION = ("harness/cli/", "harness/api.py")
"""A command, and its function for notebooks, are called as what they do."""
FIXED = "tasks/scenes/"
"""Its bytes are the digest of the built-in data, so that its names cannot change."""


def definitions(path: Path) -> Iterator[tuple[str, str]]:
    """Public names that a module defines, each with what it stands for: a definition of its own, or a value."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, str(path)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Name) and not target.id.islower():  # instances are named as entry points
                    yield target.id, ast.dump(node.value)


def test_no_name_has_two_meanings() -> None:
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for package in ("harness", "tasks", "baselines"):
        for path in sorted((REPOSITORY / package).rglob("*.py")):
            place = path.relative_to(REPOSITORY).as_posix()
            if place.startswith((FIXED, *SAME_OPERATION)):
                continue
            for name, meaning in definitions(path):
                if not name.startswith("_") and name not in HOOKS:
                    found[name][meaning].append(place)
    several = {name: dict(meanings) for name, meanings in found.items() if len(meanings) > 1}
    assert not several
    assert len(found) > 1000
