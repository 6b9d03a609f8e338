"""The contract tests take in every installed operator: one from outside too, where its package is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parents[2]


def test_the_contract_tests_run_over_an_outside_operator(own_parts: Path) -> None:
    """In a process of their own, where the outside package is installed: one pair of the many."""
    command = [
        sys.executable, "-m", "pytest", "-v", "-n", "0", "-p", "no:cacheprovider",
        "tests/contracts/test_pairs.py", "-k", "image-classification-fuse:highway",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(own_parts), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout
