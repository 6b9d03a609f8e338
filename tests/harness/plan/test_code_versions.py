"""A perturbation's source is part of what names its scores, also where its class only calls what stands beside it."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from harness.plan.plugins import load_perturbations
from harness.run.robustness_runner import _code_versions

PERTURBATION = """
from dataclasses import dataclass
@dataclass(frozen=True)
class Planted:
    name: str = "planted"
    version: int = 3
"""


def test_code_beside_the_class_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "planted_perturbations"
    folder.mkdir()
    for name, content in (("__init__", ""), ("planted", PERTURBATION), ("beside", "STRENGTH = 1\n")):
        (folder / f"{name}.py").write_text(content)
    monkeypatch.syspath_prepend(str(tmp_path))
    planted = importlib.import_module("planted_perturbations.planted").Planted()
    before = _code_versions([planted])
    assert before["planted"].startswith("3:") and before == _code_versions([planted])
    (folder / "beside.py").write_text("STRENGTH = 2\n")
    assert _code_versions([planted]) != before


def test_those_of_one_package_share_its_source_and_keep_their_version() -> None:
    known = load_perturbations()
    versions = _code_versions([known["fog"], known["snow"], known["pgd-linf"]])
    assert versions["fog"] == versions["snow"] != versions["pgd-linf"]
