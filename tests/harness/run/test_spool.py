"""Two runs never share a folder, and what a killed one leaves is taken away by the next."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from harness.run.spool import own_folder

WAITING = """
import sys, time
from pathlib import Path
from harness.run.spool import own_folder
with own_folder(Path(sys.argv[1])) as folder:
    (folder / "kept").touch()
    print(folder, flush=True)
    time.sleep(60)
"""


def test_a_folder_is_ones_own_and_gone_after_the_block(tmp_path: Path) -> None:
    with own_folder(tmp_path / "base") as one, own_folder(tmp_path / "base") as other:
        assert one != other
        (one / "file").touch()
    assert not one.exists() and not other.exists()
    assert [path.name for path in (tmp_path / "base").iterdir()] == ["folders.lock"]


def test_what_a_killed_process_leaves_is_taken_away_and_what_a_living_one_has_is_not(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WAITING, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        with own_folder(tmp_path):
            assert (folder / "kept").exists()
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert folder.exists()
        with own_folder(tmp_path):
            assert not folder.exists()
