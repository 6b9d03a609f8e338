"""The shape of the three packages: no file needs itself in a circle, and each package says what it holds."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("harness", "tasks", "baselines")


def sources(root: Path, packages: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """The text of each module by its dotted name."""
    found = {}
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text(encoding="utf-8")
    return found


def imported(name: str, text: str, known: Mapping[str, object]) -> set[str]:
    """The known modules that one imports anywhere in it: above, inside functions, and for types alone."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports by a relative name"
            assert node.module is not None
            below = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {module if module in known else node.module for module in below}
    return {module for module in found if module in known and module != name}


def circle(modules: Mapping[str, str]) -> list[str]:
    """One circle of imports among modules; empty where there is none."""
    try:
        TopologicalSorter({name: imported(name, text, modules) for name, text in modules.items()}).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circle(sources(REPOSITORY)) == []


def test_a_circle_through_a_late_import_is_found() -> None:
    modules = {"a": "import b", "b": "def late():\n    from c.d import x", "c": "", "c.d": "from a import y"}
    assert set(circle(modules)) == {"a", "b", "c.d"}
    assert circle(modules | {"c.d": "import c"}) == []


def package_docstrings() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        for path in sorted((REPOSITORY / package).rglob("__init__.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            yield path.relative_to(REPOSITORY).as_posix(), ast.get_docstring(tree) or ""


@pytest.mark.parametrize(("path", "told"), list(package_docstrings()))
def test_each_package_says_in_a_sentence_what_lives_there(path: str, told: str) -> None:
    first = told.split("\n\n")[0]
    assert len(first.split()) >= 4 and first.rstrip().endswith((".", "?", "!")), f"{path}: {first!r}"


def test_every_folder_with_code_is_a_package() -> None:
    folders = {path.parent for package in PACKAGES for path in (REPOSITORY / package).rglob("*.py")}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []
