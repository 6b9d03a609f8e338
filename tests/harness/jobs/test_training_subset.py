"""Which part of a training split is trained on: nested in a seed, drawn anew with each, as many of each class."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.cell import TrainOptions
from harness.errors import UsageError
from harness.jobs.training_subset import training_subset
from harness.sample import Sample

SIZES = {0: 50, 1: 7, 2: 3}
SAMPLES = [
    Sample(f"{label}-{n}", Path(), SimpleNamespace(label=label)) for label, size in SIZES.items() for n in range(size)
]


def taken(shots: int | None, seed: int = 0, limit: int | None = None) -> list[Sample]:
    return list(training_subset(SAMPLES, TrainOptions(shots=shots, limit=limit), seed))


def test_subsets_are_nested_balanced_and_in_the_order_of_the_split() -> None:
    draws = []
    for seed in range(5):
        before: set[str] = set()
        for shots in (1, 2, 4, 8, 16, 32):
            found = taken(shots, seed)
            counts = Counter(sample.target.label for sample in found)
            assert counts == {label: min(shots, size) for label, size in SIZES.items()}
            own = {sample.sample_id for sample in found}
            assert before <= own
            before = own
            assert found == [sample for sample in SAMPLES if sample.sample_id in own]
        draws.append(frozenset(before))
    assert len(set(draws)) == 5 and taken(4, 3) == taken(4, 3)
    assert taken(100) == SAMPLES == taken(None)
    assert {s.sample_id for s in taken(2, 0, limit=5)} <= {s.sample_id for s in SAMPLES[:5]}


@pytest.mark.parametrize("target", ["a caption", SimpleNamespace(label=0, labels=(1, 1))])
def test_what_has_no_single_class_is_refused(target: Any) -> None:
    with pytest.raises(UsageError, match=r"a sample such as s1 does not have one class\. Take train\.limit=N"):
        training_subset([Sample("s1", Path(), target)], TrainOptions(shots=1), 0)
