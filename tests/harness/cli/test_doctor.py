"""Golden vectors in `bench doctor`: each passport by itself, so that a broken one hides no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cli import doctor
from harness.metrics.captions import clip_score
from harness.plan.run_plan import Environment


@pytest.fixture
def golden(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], list[doctor.Finding]]:
    """Look at golden vectors alone; the captions' need Java and seconds."""
    for name in ("_java", "_device", "_plugins", "_weights"):
        monkeypatch.setattr(doctor, name, lambda: [])
    monkeypatch.setattr(doctor, "_data", lambda environment: [])
    monkeypatch.setattr(doctor, "_captions", lambda cache: "caption:v1")

    def look() -> list[doctor.Finding]:
        found = doctor.examine(Environment(tmp_path, tmp_path / "cache"), "memory://results")
        return [finding for finding in found if finding.subject == "golden vectors"]

    return look


def test_every_passport_is_shown(golden: Callable[[], list[doctor.Finding]]) -> None:
    findings = golden()
    assert {finding.state for finding in findings} == {"ok"}
    names = [finding.detail.partition(":")[0] for finding in findings]
    assert names == ["preprocessing", "caption", "labels", "detection", "segmentation", "clipscore"]


def test_a_broken_one_is_named_and_hides_no_other(
    golden: Callable[[], list[doctor.Finding]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.inputs import images

    real = images.to_channels_first
    monkeypatch.setattr(clip_score, "FACTOR", 1.0)
    monkeypatch.setattr(images, "to_channels_first", lambda image: real(image)[::-1])
    states = [(finding.state, finding.detail) for finding in golden()]
    assert [state for state, _ in states] == ["broken", "ok", "ok", "ok", "ok", "broken"]
    assert "red and blue are exchanged" in states[0][1]
    assert "CLIPScore gives 0.64" in states[-1][1]
