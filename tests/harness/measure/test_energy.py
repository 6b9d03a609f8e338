"""Energy is what counters say, less idle; absent, with the reason, where there is no counter."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.measure.energy import NVML, EnergySource, energy_sources, joules_per_sample, measure_energy


def zone(root: Path, name: str, kind: str, energy: str, most: str = "262143328850") -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{kind}\n")
    (folder / "energy_uj").write_text(f"{energy}\n")
    (folder / "max_energy_range_uj").write_text(f"{most}\n")
    return folder


def test_packages_of_a_kernel_are_read_and_their_parts_are_not_counted_twice(tmp_path: Path) -> None:
    first = zone(tmp_path, "intel-rapl:0", "package-0", "1500000")
    zone(tmp_path, "intel-rapl:0:0", "core", "900000")
    zone(tmp_path, "intel-rapl:1", "psys", "9900000")
    sources, why = energy_sources("cpu", tmp_path)
    assert [source.name for source in sources] == ["RAPL package-0"] and why == ""
    assert sources[0].read() == 1.5
    (first / "energy_uj").write_text("2500000\n")
    assert sources[0].read() == 2.5
    assert sources[0].between(262143.0, 1.0) == pytest.approx(1.32885)  # it began again at 262143.32885 J


def test_absent_where_there_is_no_counter_with_the_reason(tmp_path: Path) -> None:
    assert energy_sources("cpu", tmp_path / "none") == ([], f"the kernel shows no RAPL package in {tmp_path / 'none'}")
    hidden = zone(tmp_path, "intel-rapl:0", "package-0", "1")
    (hidden / "energy_uj").unlink()  # as one that only root may read
    sources, why = energy_sources("cpu", tmp_path)
    assert sources == [] and "root alone" in why


@pytest.mark.parametrize(
    ("device", "seen", "wanted"),
    [
        ("cpu", {"RAPL package-0": 0.5, "RAPL package-1": 0.25}, 0.75),
        ("cpu", {}, None),
        ("cpu", {"RAPL package-0": -0.01}, None),  # the work cannot be told from idling
        ("cuda:0", {"RAPL package-0": 0.5}, None),  # of the GPU nothing is known
        ("cuda:0", {NVML: 2.0, "RAPL package-0": 0.5}, 2.5),
    ],
)
def test_a_row_has_the_sum_of_its_counters_or_nothing(
    device: str, seen: dict[str, float], wanted: float | None
) -> None:
    told = {"sources": [{"source": name, "net_joules_per_sample": joules} for name, joules in seen.items()]}
    assert joules_per_sample(told if seen else {"absent": "no counter"}, device) == wanted


def test_idle_is_subtracted_and_shown() -> None:
    """A machine of 10 W that takes 30 W while it works: 20 J a second are the work's."""
    now, power = [0.0], [10.0]
    energy = [100.0]

    def spend(seconds: float) -> None:
        now[0] += seconds
        energy[0] = (energy[0] + power[0] * seconds) % 120.0

    def work() -> None:
        power[0] = 30.0
        spend(0.5)

    source = EnergySource("meter", lambda: energy[0], wraps_at=120.0)
    (use,) = measure_energy([source], work, 4, idle_s=1.0, work_s=1.0, clock=lambda: now[0], rest=spend)
    assert (use.idle_watts, use.seconds, use.joules, use.samples) == (10.0, 1.0, 30.0, 8)
    assert use.net_joules_per_sample == pytest.approx(20.0 / 8)
    assert use.to_json()["net_joules_per_sample"] == pytest.approx(2.5)
