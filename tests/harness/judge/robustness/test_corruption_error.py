"""Published cases, a second implementation in pandas on random tables, and what has no number."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import DataError
from harness.judge.robustness.cells import STANDARD_CELLS, ModelTable, table_of
from harness.judge.robustness.corruption_error import mean_corruption_error, not_an_error, under_corruption
from harness.judge.robustness.published import ALEXNET, canonical_name
from harness.judge.robustness.reference import ReferenceTable
from harness.judge.robustness.reference_table import read_reference_table, reference_from, write_reference_table
from harness.perturb.grids import STANDARD_CORRUPTIONS
from harness.record import RobustnessRecord
from harness.stats.propagation import Figure, absent

Make = Callable[..., RobustnessRecord]
Standard = Callable[[float], dict[tuple[str, int], float]]


def table(clean: float | None, scores: dict[tuple[str, int], float]) -> ModelTable:
    first = absent("no clean score") if clean is None else Figure(clean)
    return ModelTable(first, {cell: Figure(value) for cell, value in scores.items()})


def frozen(clean: float | None, scores: dict[tuple[str, int], float]) -> ReferenceTable:
    names = dict.fromkeys(name for name, _ in scores)
    errors = {name: 1 - sum(scores[name, s] for s in range(1, 6)) / 5 for name in names}
    return ReferenceTable("ref", errors, None if clean is None else 1 - clean, "made up")


def test_rpc_of_michaelis_2019(standard: Standard) -> None:
    # Faster R-CNN with ResNet-50 on COCO: clean AP 36.3, mPC 18.2, rPC 50.2 % (arXiv 1907.07484, table 1).
    found = under_corruption(table(0.363, standard(0.182)))
    assert found.mpc.value == pytest.approx(0.182)
    assert round(100 * found.rpc.known, 1) == pytest.approx(50.1, abs=0.11)  # both are rounded in print: 50.14
    assert (found.label, found.cells, found.corruptions, found.complete) == ("mPC", 75, 15, True)


def test_alexnet_against_itself_is_100_percent() -> None:
    scores = {(name, s): 1 - ALEXNET.errors[name] for name, s in STANDARD_CELLS}
    found = mean_corruption_error(table(1 - 0.4345, scores), ALEXNET)
    assert found.mce.value == pytest.approx(1.0, abs=1e-12)
    assert found.relative.value == pytest.approx(1.0, abs=1e-12)


def test_published_errors_are_the_published_ones() -> None:
    # 1 - their plain mean is AlexNet's accuracy under corruption; RobustBench's AlexNet.json has 21.12 % on its 5,000
    # images. test_scores.py has its ResNet-50.
    assert 1 - np.mean(list(ALEXNET.errors.values())) == pytest.approx(0.2112, abs=0.003)
    assert tuple(ALEXNET.errors) == STANDARD_CORRUPTIONS
    assert ALEXNET.errors["brightness"] == 0.564592


def test_a_mean_of_ratios_by_hand() -> None:
    # E_f .2 and .6 on two types, E_ref .4 and .6, clean errors .1 and .2: CE .5 and 1, mCE .75 (a ratio of means would
    # be .8); relative (.2 - .1) / (.4 - .2) = .5 and .5 / .4 = 1.25, mean .875.
    mine = {(name, s): score for name, score in (("fog", 0.8), ("jpeg", 0.4)) for s in range(1, 6)}
    other = {(name, s): score for name, score in (("fog", 0.6), ("jpeg", 0.4)) for s in range(1, 6)}
    found = mean_corruption_error(table(0.9, mine), frozen(0.8, other), ("fog", "jpeg"))
    assert found.mce.value == pytest.approx(0.75)
    assert found.relative.value == pytest.approx(0.875)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_equals_pandas(seed: int) -> None:
    rng = random.Random(seed)
    models = {name: {cell: rng.random() * 0.8 for cell in STANDARD_CELLS} for name in ("mine", "ref")}
    clean = {"mine": 0.9, "ref": 0.85}
    frame = pd.DataFrame(
        [(name, *cell, value) for name, scores in models.items() for cell, value in scores.items()],
        columns=["model", "perturbation", "severity", "value"],
    )
    error = (1 - frame["value"]).groupby([frame["perturbation"], frame["model"]]).sum().unstack()
    grown = error - 5 * (1 - pd.Series(clean))
    found = mean_corruption_error(table(0.9, models["mine"]), frozen(0.85, models["ref"]))
    assert found.mce.value == pytest.approx((error["mine"] / error["ref"]).mean(), rel=1e-9)
    if (grown["ref"] > 0.01).all():
        assert found.relative.value == pytest.approx((grown["mine"] / grown["ref"]).mean(), rel=1e-9)
    else:
        assert found.relative.value is None
    mpc = under_corruption(table(0.9, models["mine"]))
    mean = frame[frame["model"] == "mine"].groupby("perturbation")["value"].mean().mean()
    assert (mpc.mpc.value, mpc.rpc.value) == pytest.approx((mean, mean / 0.9), rel=1e-9)


def test_undefined_where_the_reference_loses_nothing(standard: Standard) -> None:
    found = mean_corruption_error(table(0.9, standard(0.5)), frozen(0.8, standard(0.7981)))
    assert found.mce.value is not None
    assert found.relative.value is None
    assert "undefined" in str(found.relative.reason) and "0.0095" in str(found.relative.reason)
    just = mean_corruption_error(table(0.9, standard(0.5)), frozen(0.8, standard(0.7979)))
    assert just.relative.value == pytest.approx(0.4 / 0.0021)
    perfect = mean_corruption_error(table(0.9, standard(0.5)), frozen(1.0, standard(1.0)))
    assert (perfect.mce.value, perfect.relative.value) == (None, None)


def test_without_clean_scores_only_the_relative_forms_are_missing(standard: Standard) -> None:
    found = mean_corruption_error(table(None, standard(0.5)), frozen(0.8, standard(0.5)))
    assert (found.mce.value, found.relative.reason) == (1.0, "no clean score")
    found = mean_corruption_error(table(0.5, standard(0.5)), frozen(None, standard(0.5)))
    assert found.mce.value == 1.0 and "clean error of the reference" in str(found.relative.reason)
    assert under_corruption(table(0.0, standard(0.5))).rpc.value is None


def test_intervals_of_errors_turn_around(record: Make, standard: Standard) -> None:
    mine = table_of(record("m", 0.9, standard(0.5)))
    found = mean_corruption_error(mine, frozen(0.8, standard(0.6)))
    assert (found.mce.value, found.mce.low, found.mce.high) == pytest.approx((0.5 / 0.4, 0.48 / 0.4, 0.52 / 0.4))
    mpc = under_corruption(mine).mpc
    assert (mpc.low, mpc.high) == pytest.approx((0.48, 0.52)), "fully correlated cells keep the width of one"


@pytest.mark.parametrize("content", ["failed: it broke. Look there", "skipped: the model sees no image"])
def test_a_cell_without_a_score_leaves_no_mean(content: str, record: Make, standard: Standard) -> None:
    cells = {**standard(0.5), ("fog", 3): content}
    mine = table_of(record("m", 0.9, cells))
    found = under_corruption(mine)
    expected = f"fog 3 {content.partition('. ')[0]}"
    assert (found.mpc.value, found.mpc.reason, found.rpc.reason) == (None, expected, expected)
    errors = mean_corruption_error(mine, ALEXNET)
    assert (errors.mce.value, errors.mce.reason) == (None, expected)
    assert errors.parts["snow"].error.value is not None


def test_an_incomplete_grid_is_not_called_mpc(record: Make) -> None:
    cells = {("fog", 3): 0.5, ("jpeg", 5): 0.3}
    mine = table_of(record("m", 0.8, cells))
    part = under_corruption(mine, tuple(cells))
    assert (part.label, part.mpc.value, part.complete) == ("mean over 2 conditions of 2 corruptions", 0.4, False)
    whole = under_corruption(mine)
    assert whole.mpc.reason == "gaussian-noise 1 was not run"
    assert under_corruption(mine, ()).mpc.reason == "no corruption was run"


@pytest.mark.parametrize(("metric", "score"), [("CIDEr", 0.9), ("top-1", 1.2), ("top-1", -0.1)])
def test_a_score_that_is_no_fraction_makes_no_error(metric: str, score: float, standard: Standard) -> None:
    assert "mCE is for errors" in str(not_an_error(metric, table(0.5, standard(score))))
    assert not_an_error("top-1", table(0.5, standard(1.0))) is None


def test_a_reference_is_written_and_read(tmp_path: Path, record: Make, standard: Standard) -> None:
    seeds = [record("vision-only", 0.7 + 0.1 * n, standard(0.4 + 0.2 * n), seed=n) for n in range(2)]
    made = reference_from(seeds, "bench run …")
    write_reference_table(tmp_path / "ref.json", made)
    read = read_reference_table(tmp_path / "ref.json")
    assert read == made
    assert (read.errors["fog"], read.clean_error) == pytest.approx((0.5, 0.25))
    assert read.misfit(seeds[0]) is None
    for name, value in {"limit": 8, "data_digest": "d2", "signature": "x", "shortest_px": 0, "metric": "AP"}.items():
        assert f"with {name}" in str(read.misfit(record("m", **{name: value})))


def test_alexnet_is_for_imagenet_alone(record: Make) -> None:
    fields = {"task": "image-classification", "chance": 0.001, "limit": 500}
    assert ALEXNET.misfit(record("m", **fields)) is None
    assert "chance 0.001" in str(ALEXNET.misfit(record("m", **{**fields, "chance": 0.1})))
    assert "metric top-1" in str(ALEXNET.misfit(record("m", **fields, metric="mAP")))


def test_an_incomplete_reference_is_refused(tmp_path: Path, record: Make, standard: Standard) -> None:
    with pytest.raises(DataError, match="fog 3 failed: it broke"):
        reference_from([record("m", 0.8, {**standard(0.5), ("fog", 3): "failed: it broke"})], "")
    with pytest.raises(DataError, match="clean"):
        reference_from([record("m", "failed: no", standard(0.5))], "")
    with pytest.raises(DataError, match="No robustness record"):
        reference_from([], "")
    with pytest.raises(DataError, match="each severity"):
        write_reference_table(tmp_path / "a.json", ALEXNET)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("nonsense", "not JSON"),
        ("[]", "no reference table"),
        ('{"format": 1}', "scope"),
        ('{"format": 1, "name": "a", "source": "", "scope": null, "clean": 0.5, "values": {"fog": [0.5]}}', "fog"),
        ('{"format": 1, "name": "a", "source": "", "scope": null, "clean": 50, "values": {}}', "clean"),
        ('{"format": 1, "name": "a", "source": "", "scope": {"x": 1}, "clean": 0.5, "values": {}}', "x"),
    ],
)
def test_a_broken_reference_names_the_file_and_the_key(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "ref.json"
    path.write_text(content)
    with pytest.raises(DataError, match=words) as caught:
        read_reference_table(path)
    assert str(path) in str(caught.value)


def test_a_reference_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_reference_table(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("published", "ours"),
    [("gaussian_noise", "gaussian-noise"), ("JPEG Compression", "jpeg"), ("elastic_transform", "elastic-transform"),
     ("elastic", "elastic-transform"), ("typo-keyboard", "typo-keyboard"), (" Fog ", "fog")],
)  # fmt: skip
def test_names(published: str, ours: str) -> None:
    assert canonical_name(published) == ours
