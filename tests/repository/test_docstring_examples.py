"""The examples in docstrings are true: each is run, in every module that has one."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("harness", "tasks", "baselines")


def modules_with_examples() -> list[str]:
    return [
        ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")
        for package in PACKAGES
        for path in sorted((REPOSITORY / package).rglob("*.py"))
        if ">>> " in path.read_text(encoding="utf-8")
    ]


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_of_docstrings_are_true(name: str) -> None:
    done = doctest.testmod(import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert done.attempted > 0
    assert done.failed == 0, "see above for what was wanted and what was got"


def test_examples_are_found() -> None:
    assert len(modules_with_examples()) > 5
