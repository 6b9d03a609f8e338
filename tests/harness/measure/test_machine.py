"""The machine's description, foreign load, and the flag of a noisy row."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from harness.measure import foreign_load as noise
from harness.measure.foreign_load import ForeignLoad, noise_reasons
from harness.measure.machine import describe_machine


def test_a_machine_is_described_in_plain_json() -> None:
    machine = describe_machine("cpu")
    assert json.loads(json.dumps(machine.to_json()))["cpu"] == machine.cpu
    assert 1 <= machine.usable_cores <= machine.logical_cores
    assert machine.memory_bytes > 2**28
    assert machine.gpu is None
    assert machine.cpu in machine.label


def test_foreign_load_is_a_share_of_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([(10.0, 100.0, 5.0), (20.0, 108.0, 9.0)])
    monkeypatch.setattr(noise, "_reading", lambda: next(readings))
    monkeypatch.setattr(noise, "_cores", lambda: 2)
    with ForeignLoad() as load:
        assert load.share is None
    assert load.share == pytest.approx((8 - 4) / (10 * 2))


def test_shares_stay_between_0_and_1_whatever_the_ticks_say() -> None:
    assert noise._share(1.0, 0.5, 0.6, 2) == 0.0
    assert noise._share(1.0, 5.0, 0.0, 2) == 1.0
    assert noise._share(0.0, 1.0, 0.0, 2) == 0.0


def test_a_living_child_is_our_own_work() -> None:
    own = noise._own_seconds()
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as child:
        time.sleep(0.6)
        living = noise._own_seconds()
        child.kill()
    assert living - own > 0.1
    assert noise._busy_seconds() >= noise._own_seconds()


@pytest.mark.parametrize(
    ("spread", "foreign", "reasons"),
    [(0.05, 0.01, 0), (0.11, 0.01, 1), (0.05, 0.06, 1), (0.5, 0.5, 2), (None, None, 0), (0.10, 0.05, 0)],
)
def test_noise_is_flagged_above_the_limits(spread: float | None, foreign: float | None, reasons: int) -> None:
    assert len(noise_reasons(spread, foreign)) == reasons


def test_a_reason_names_the_number_and_the_limit() -> None:
    assert noise_reasons(0.234, None) == ("timings spread by 23% of the median (limit 10%)",)


@pytest.mark.parametrize(("others", "reasons"), [(None, ()), (0, ()), (1, ("1 other process computed on the GPU",))])
def test_others_on_the_gpu_are_noise(others: int | None, reasons: tuple[str, ...]) -> None:
    assert noise_reasons(None, None, others) == reasons
