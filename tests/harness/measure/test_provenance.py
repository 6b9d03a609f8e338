"""Provenance: versions, the commit and its state, and no heavy import on the way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.measure import provenance as module
from harness.measure.provenance import git_state, package_versions, provenance


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "harness").mkdir()
    (tmp_path / "harness" / "__init__.py").touch()
    return tmp_path


def test_a_commit_is_named_and_changed_code_is_marked(checkout: Path) -> None:
    assert git_state(checkout) == "not a checkout"
    git(checkout, "add", "harness")
    assert git_state(checkout) == "no commit yet"
    git(checkout, "commit", "-q", "-m", "one")
    commit = git(checkout, "rev-parse", "HEAD")
    (checkout / "notes.txt").write_text("beside the code")
    assert git_state(checkout) == commit
    (checkout / "harness" / "new.py").touch()
    assert git_state(checkout) == f"{commit}+modified"


def test_an_environment_inside_somebody_elses_repository_is_not_that_commit(checkout: Path) -> None:
    git(checkout, "add", "harness")
    git(checkout, "commit", "-q", "-m", "one")
    installed = checkout / ".venv" / "site-packages"
    (installed / "harness").mkdir(parents=True)
    (installed / "harness" / "__init__.py").touch()
    assert git_state(installed) == "not a checkout"


def test_a_machine_without_git_is_not_an_error(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(checkout))
    assert git_state(checkout) == "not a checkout"


def test_versions_are_those_of_the_distributions() -> None:
    import torch

    versions = package_versions(["torch", "no-such-package"])
    assert versions == {"torch": torch.__version__.partition("+")[0], "no-such-package": "not installed"} or (
        versions["torch"] == torch.__version__
    )


def test_provenance_is_flat_text_and_knows_the_packages() -> None:
    found = provenance()
    assert {"python", "git", *module.PACKAGES} == set(found)
    assert all(isinstance(value, str) for value in found.values())
    assert found["transformers"] != "not installed"


def test_the_whole_package_imports_without_torch_numpy_or_psutil() -> None:
    names = "device flops foreign_load latency machine memory parameters provenance throughput"
    program = f"""
import sys
import harness.measure
from importlib import import_module
for name in "{names}".split():
    import_module(f"harness.measure.{{name}}")
import_module("harness.measure.provenance").provenance()
print(*sorted({{"torch", "numpy", "psutil", "transformers"}} & set(sys.modules)))
"""
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == []
