"""Former names of metrics: read from stored records, taken on the command line, and left to others who use them."""

from __future__ import annotations

import pytest

from harness.record import Efficiency, Estimate, RunRecord
from harness.storage.metric_names import asked_name, base_name, current_name, with_current_names

LABELS = "labels:v2|ece:15"


@pytest.mark.parametrize(
    ("name", "base"),
    [("top-1", "top-1"), ("top-1[left: a]", "top-1"), ("AP:cat", "AP"), ("mCE@alexnet", "mCE"), ("AP:a[b]", "AP")],
)
def test_the_base_of_a_column(name: str, base: str) -> None:
    assert base_name(name) == base


@pytest.mark.parametrize(
    ("old", "signature", "new"),
    [
        ("area", LABELS, "AUSUC"),
        ("mean-per-class", LABELS, "balanced-accuracy"),
        ("seen[night]", LABELS, "S[night]"),
        ("unseen", LABELS, "U"),
        ("PQ-things", "segmentation:v1|pq:panopticapi", "PQ-Th"),
        ("PQ-stuff:sky", "segmentation:v1", "PQ-St:sky"),
        ("unseen-top-1", LABELS, "unseen-top-1"),
        ("area", "segmentation:v1", "area"),
        ("area", "mine:1", "area"),
        ("area", None, "area"),
    ],
)
def test_a_stored_name_becomes_the_current_one(old: str, signature: str | None, new: str) -> None:
    assert current_name(old, signature) == new


def test_the_order_of_metrics_stays() -> None:
    assert list(with_current_names({"H": 1, "area": 2, "top-1": 3}, LABELS)) == ["H", "AUSUC", "top-1"]


def test_a_user_may_still_say_the_former_name() -> None:
    assert asked_name("area", ["H", "AUSUC"]) == "AUSUC"
    assert asked_name("AUSUC", ["H", "AUSUC"]) == "AUSUC"
    assert asked_name("area", ["area", "AUSUC"]) == "area", "somebody's own"
    assert asked_name("nonsense", ["AUSUC"]) == "nonsense"


def record(signature: str | None, *names: str) -> RunRecord:
    estimate = Estimate(0.5, 0.4, 0.6, 10)
    return RunRecord(
        fingerprint="f", task="t", data="d", data_digest="0", split="test", model="m", control=None, seed=0,
        status="ok", error=None, metrics=dict.fromkeys(names, estimate), signature=signature,
        efficiency=Efficiency(), device="cpu", provenance={}, cell={}, created="now",
        ceilings={names[0]: {"vision": 1.0}},
    )  # fmt: skip


def test_a_record_of_an_earlier_version_is_read_by_todays_names() -> None:
    read = RunRecord.from_json(record(LABELS, "area", "mean-per-class").to_json())
    assert read == record(LABELS, "AUSUC", "balanced-accuracy")
    others = record("mine:1", "area")
    assert RunRecord.from_json(others.to_json()) == others
