"""What writers that were killed have left is cleared away, and nothing else."""

from __future__ import annotations

import os
import time
from pathlib import Path

from harness.files import clear_parts


def test_only_parts_that_nobody_writes_any_more_are_deleted(tmp_path: Path) -> None:
    for name, age in ((".0a.part", 7200), (".0b.part", 60), ("checkpoint.safetensors", 7200), ("x.part", 7200)):
        path = tmp_path / name
        path.write_bytes(b"1")
        os.utime(path, (time.time() - age,) * 2)
    clear_parts(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".0b.part", "checkpoint.safetensors", "x.part"]
