"""Ctrl-C and SIGKILL at any moment: nothing done is lost or repeated, and the end is the same."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


def stamps(results: Path) -> dict[Path, int]:
    """When each finished job was written; the last file of a job vouches for it."""
    done = (*results.glob("*/training/*/training.json"), *results.glob("*/records/*.json"))
    return {path: path.stat().st_mtime_ns for path in done}


def test_ctrl_c_ends_everything_at_once_and_says_how_to_go_on(
    bench: Any, quick: tuple[str, ...], captions: Path, tmp_path: Path, processes: Any
) -> None:
    slow = ("--set", "model.outsider_fault=slow", "--set", "train.steps=500")
    run = bench.start("run", *quick, *slow, "--data", captions, "--results", tmp_path / "results")
    try:
        assert any("training" in line for line in iter(run.stderr.readline, ""))
        time.sleep(1)
        os.killpg(run.pid, signal.SIGINT)
        started = time.monotonic()
        _, told = run.communicate(timeout=30)
        assert time.monotonic() - started < 6
        processes.wait_until(lambda: not processes.in_group(run.pid), 10)
    finally:
        processes.kill_group(run.pid)
    assert run.returncode == 130
    assert "bench: interrupted. Finished cells are kept; the same command goes on from here." in told
    assert "Traceback" not in told


def test_a_training_that_was_killed_goes_on_from_the_state_that_it_kept(
    bench: Any, quick: tuple[str, ...], captions: Path, tmp_path: Path, processes: Any
) -> None:
    slow = ("--set", "model.outsider_fault=slow", "--set", "train.steps=4", "--checkpoint-every", "0.001s")
    command = ("run", *quick, *slow, "--data", captions, "--results")
    assert bench(*command, tmp_path / "whole").returncode == 0
    cut = bench.start(*command, tmp_path / "cut")
    try:
        processes.wait_until(lambda: list((tmp_path / "cut").glob("*/training/*/resume.safetensors")), 60)
    finally:
        processes.kill_group(cut.pid)
    cut.communicate(timeout=30)
    again = bench(*command, tmp_path / "cut")
    assert again.returncode == 0, again.stderr
    assert re.search(r"goes on from step [1-3] of 4", again.stderr)
    whole, cut = (next((tmp_path / name).glob("*/training/*")) for name in ("whole", "cut"))
    assert (whole / "checkpoint.safetensors").read_bytes() == (cut / "checkpoint.safetensors").read_bytes()
    assert {path.name for path in cut.iterdir()} == {path.name for path in whole.iterdir()}
    assert "resume.safetensors" not in {path.name for path in cut.iterdir()}


def test_sigkill_anywhere_changes_nothing_in_the_end(
    bench: Any, quick: tuple[str, ...], captions: Path, tmp_path: Path, processes: Any, scores: Any
) -> None:
    both = ("run", *quick, "--model", "most-common-caption,nearest-colour", "--seeds", "3", "--data", captions)
    assert bench(*both, "--results", tmp_path / "whole").returncode == 0
    generator, cut = random.Random(0), tmp_path / "cut"
    kept: dict[Path, int] = {}
    for more in (0, 1, 2, 1, 3):  # finished jobs, of twelve
        run = bench.start(*both, "--results", cut)
        try:
            assert run.stderr.readline()
            wanted = len(kept) + more
            processes.wait_until(
                lambda wanted=wanted, run=run: len(stamps(cut)) >= wanted or run.poll() is not None, 60
            )
            time.sleep(generator.uniform(0.0, 0.1))
            run.kill()
            run.communicate(timeout=30)
            processes.wait_until(lambda group=run.pid: not processes.in_group(group), 20)
        finally:
            processes.kill_group(run.pid)
        now = stamps(cut)
        assert kept.items() <= now.items()
        kept = now
    assert kept
    assert bench(*both, "--results", cut).returncode == 0
    assert kept.items() <= stamps(cut).items()
    assert scores(cut) == scores(tmp_path / "whole")
    assert len(scores(cut)) == 6
