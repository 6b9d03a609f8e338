"""`bench score --robustness`: published rows, a second implementation, and every way in which a file can be wrong."""

from __future__ import annotations

import contextlib
import csv
import json
import random
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import BenchError, DataError, UsageError
from harness.judge.robustness.external_scores import RobustnessScores, score_cells
from harness.judge.robustness.published import ALEXNET
from harness.perturb.grids import STANDARD_CORRUPTIONS
from harness.report.scored_tables import external_document
from harness.report.tables.document import document_text


def shown(scores: RobustnessScores) -> str:
    return document_text(external_document(scores), "text", None)


# The row Standard_R50 (torchvision's ResNet-50 on 5,000 images of ImageNet-C) of RobustBench,
# model_info/imagenet/corruptions/unaggregated_results_2d.csv, in its order and with its column "average".
ROBUSTBENCH = {
    "shot_noise": "0.5744,0.4294,0.2528,0.0792,0.029", "impulse_noise": "0.4844,0.358,0.2546,0.083,0.0182",
    "defocus_blur": "0.5956,0.5152,0.382,0.2748,0.183", "contrast": "0.6494,0.5852,0.469,0.2122,0.0546",
    "brightness": "0.7392,0.7244,0.6956,0.6498,0.5866", "jpeg_compression": "0.6664,0.6244,0.5982,0.4728,0.3144",
    "pixelate": "0.6402,0.6426,0.4598,0.2898,0.2068", "glass_blur": "0.54,0.4012,0.1688,0.131,0.1024",
    "motion_blur": "0.6382,0.537,0.3758,0.2154,0.1482", "zoom_blur": "0.529,0.4324,0.358,0.2878,0.2206",
    "gaussian_noise": "0.5978,0.4686,0.2748,0.1128,0.0218", "fog": "0.6138,0.5612,0.4704,0.4088,0.241",
    "frost": "0.615,0.4346,0.309,0.2896,0.2294", "snow": "0.5498,0.3154,0.3518,0.2382,0.1654",
    "elastic_transform": "0.6704,0.4556,0.5526,0.4196,0.1746",
}  # fmt: skip
AVERAGE = 0.392304


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    names = ",".join(name for name in ROBUSTBENCH for _ in range(5))
    severities = ",".join("1,2,3,4,5" for _ in ROBUSTBENCH)
    row = ",".join(ROBUSTBENCH.values())
    lines = [f",{names},average", f",{severities},", f"Standard_R50,{row},{AVERAGE}"]
    return write(tmp_path / "unaggregated_results_2d.csv", lines)


def test_robustbench_resnet50(wide: Path) -> None:
    scores = score_cells(wide, "alexnet")
    (model,) = scores.to_json()["models"].values()
    assert model["mPC"] == pytest.approx(AVERAGE, abs=1e-9), "RobustBench's own average"
    # 76.7 % on all 50,000 images (README of hendrycks/robustness), 76.38 % of another evaluation by RobustBench.
    assert model["mCE"] == pytest.approx(0.767, abs=0.004)
    assert (model["clean"], model["rPC"], model["relative_mCE"]) == (None, None, None)
    assert set(model["reasons"]) == {"clean", "rPC", "relative_mCE"}
    assert model["corruptions"]["jpeg"]["CE"] == pytest.approx((1 - 0.53524) / 0.6065, abs=1e-9)
    assert scores.standard and scores.to_json()["averaged"] == list(STANDARD_CORRUPTIONS)


def test_wide_as_pandas_writes_it(tmp_path: Path) -> None:
    # What corruptions_evaluation in RobustBench's eval.py does with its results.
    cells = {(name, s): 0.1 * s for name in ("gaussian_noise", "fog") for s in range(1, 6)}
    path = tmp_path / "unaggregated_results.csv"
    pd.DataFrame({("clean", 0): 0.6, **cells}, index=["a", "b"]).to_csv(path)
    found = score_cells(path, "a").to_json()
    assert found["models"]["b"]["mPC"] == pytest.approx(0.3)
    assert found["models"]["b"]["rPC"] == pytest.approx(0.5)
    assert found["models"]["b"]["mCE"] == found["models"]["b"]["relative_mCE"] == pytest.approx(1.0)
    assert not found["standard"] and found["averaged"] == ["gaussian-noise", "fog"]


def long(models: dict[str, float], names: tuple[str, ...] = STANDARD_CORRUPTIONS, clean: float = 0.8) -> list[str]:
    lines = ["model,perturbation,severity,value"]
    for model, value in models.items():
        lines += [f"{model},clean,0,{clean}"]
        lines += [f"{model},{name},{s},{value}" for name in names for s in range(1, 6)]
    return lines


def test_by_hand(tmp_path: Path) -> None:
    path = write(tmp_path / "cells.csv", long({"ref": 0.4, "good": 0.6}))
    found = score_cells(path, "ref").to_json()
    good = found["models"]["good"]
    assert {key: good[key] for key in ("clean", "mPC", "rPC", "mCE", "relative_mCE")} == pytest.approx(
        {"clean": 0.8, "mPC": 0.6, "rPC": 0.75, "mCE": 0.4 / 0.6, "relative_mCE": 0.2 / 0.4}
    )
    assert found["reference"] == "ref" and found["standard"] is True
    assert found["models"]["ref"]["mCE"] == 1.0
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert good["corruptions"]["fog"] == pytest.approx({"mean": 0.6, "CE": 0.4 / 0.6, "relative_CE": 0.5})


def test_alexnet_against_itself(tmp_path: Path) -> None:
    lines = ["model,perturbation,severity,value", "me,clean,0,0.5655"]
    lines += [f"me,{n.replace('-', '_')},{s},{1 - e:.6f}" for n, e in ALEXNET.errors.items() for s in range(1, 6)]
    path = write(tmp_path / "cells.csv", [line.replace("jpeg", "jpeg_compression") for line in lines])
    (found,) = score_cells(path, "alexnet").to_json()["models"].values()
    assert (found["mCE"], found["relative_mCE"]) == pytest.approx((1.0, 1.0), abs=1e-9)


def test_the_extra_four_are_shown_and_not_averaged(tmp_path: Path) -> None:
    lines = [*long({"a": 0.5}), *(f"a,speckle_noise,{s},0.1" for s in range(1, 6))]
    found = score_cells(write(tmp_path / "cells.csv", lines))
    assert found.standard
    assert found.models["a"].to_json()["mPC"] == pytest.approx(0.5)
    assert found.models["a"].to_json()["corruptions"]["speckle-noise"]["mean"] == pytest.approx(0.1)


def test_other_perturbations_alone_are_averaged_and_named(tmp_path: Path) -> None:
    lines = ["Model, Perturbation, Severity, Value, note", "a,,0,0.8,x", "a,typo-keyboard,1,0.6,", "a,formal,1,0.4,"]
    scores = score_cells(write(tmp_path / "cells.csv", lines), "alexnet")
    found = scores.to_json()
    assert (found["averaged"], found["standard"]) == (["typo-keyboard", "formal"], False)
    assert found["models"]["a"]["mPC"] == pytest.approx(0.5)
    assert found["models"]["a"]["mCE"] is None
    text = shown(scores)
    assert "mPC (2 perturbations, not the standard 15 x 5)" in text and "alexnet has no typo-keyboard" in text


def test_text_is_in_percent(wide: Path, tmp_path: Path) -> None:
    text = shown(score_cells(wide, "alexnet"))
    assert "39.2 %" in text and "76.6 %" in text and "no clean score" in text
    plain = shown(score_cells(write(tmp_path / "cells.csv", long({"a": 0.5}))))
    assert "no --reference-model" in plain and "\nCE" not in plain


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_equals_pandas(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    rng = random.Random(seed)
    names = rng.sample(STANDARD_CORRUPTIONS, rng.randint(1, 15))
    rows = [(m, "clean", 0, 0.9) for m in "abc"]
    rows += [(m, n, s, round(rng.uniform(0, 0.8), 4)) for m in "abc" for n in names for s in range(1, 6)]
    rng.shuffle(rows)
    path = tmp_path_factory.mktemp("scores") / "cells.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("model", "perturbation", "severity", "value"), *rows])
    frame = pd.read_csv(path)
    frame = frame[frame["severity"] > 0]
    mean = frame.groupby(["model", "perturbation"])["value"].mean().unstack()
    error, grown = (1 - mean) / (1 - mean.loc["a"]), (0.9 - mean) / (0.9 - mean.loc["a"])
    found = score_cells(path, "a").to_json()["models"]
    for model in "abc":
        mine = [found[model][key] for key in ("mPC", "rPC", "mCE", "relative_mCE")]
        m = mean.loc[model].mean()
        assert mine == pytest.approx([m, m / 0.9, error.loc[model].mean(), grown.loc[model].mean()], rel=1e-9)


GOOD = long({"a": 0.5, "b": 0.4}, ("fog", "jpeg"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: [], "is empty"),
        (lambda lines: lines[:1], "no scores"),
        (lambda lines: ["model,perturbation,value", *lines[1:]], "lacks the column severity"),
        (lambda lines: [*lines, "a,fog,2,0.5"], "line 24: a, fog, severity 2 is there twice, first in line 4"),
        (lambda lines: [*lines, "a,Fog,2,0.6"], "is there twice"),
        (lambda lines: [line for line in lines if line != "a,fog,3,0.5"], "a has no score under fog 3"),
        (lambda lines: [line for line in lines if not line.startswith("b,jpeg")], "b has no score under jpeg 1, "),
        (lambda lines: [line for line in lines if line != "b,clean,0,0.8"], "b has no clean score"),
        (lambda lines: [*lines, "a,fog,0,0.7"], "different clean scores in lines 2, 24"),
        (lambda lines: [*lines, "a,snow,6,0.7"], "severity '6'"),
        (lambda lines: [*lines, "a,snow,1.5,0.7"], "severity '1.5'"),
        (lambda lines: [*lines, "a,snow,x,0.7"], "severity 'x'"),
        (lambda lines: [*lines, "a,clean,1,0.7"], "clean has 0"),
        (lambda lines: [*lines, "a,snow,1,nan"], "line 24: the value 'nan'"),
        (lambda lines: [*lines, "a,snow,1,inf"], "the value 'inf'"),
        (lambda lines: [*lines, "a,snow,1,"], "the value ''"),
        (lambda lines: [*lines, "a,snow,1,-0.1"], "the value -0.1"),
        (lambda lines: [*lines, "a,snow,1,1.3"], "scores within 0..1"),
        (lambda lines: [*lines, "a,snow,1"], "3 fields"),
        (lambda lines: [*lines, ",snow,1,0.5"], "no name"),
        (lambda lines: [line.replace("0.5", "50").replace("0.4", "40") for line in lines], "divide by 100"),
        (lambda lines: [lines[0], "a,clean,0,0.5"], "clean scores only"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(change: object, words: str, tmp_path: Path) -> None:
    path = tmp_path / "cells.csv"
    assert callable(change)
    write(path, change(list(GOOD)))
    with pytest.raises(DataError) as caught:
        score_cells(path)
    assert words in str(caught.value) and str(path) in str(caught.value)


def test_a_clean_score_may_stand_beside_each_perturbation(tmp_path: Path) -> None:
    lines = [*GOOD, "a,fog,0,0.8", "a,jpeg,0,0.8"]
    assert score_cells(write(tmp_path / "cells.csv", lines)).models["a"].to_json()["clean"] == 0.8


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("0.5744", "", "line 3: the value ''"),
        (",1,2", ",1,x", "severity 'x'"),
        ("0.5744,", "", "line 3: 76 fields"),
        (",1,2", ",1", "as many"),
        (",1,2", ",1,1", "is there twice"),
        ("Standard_R50", "", "wanted a model's name"),
    ],
)
def test_what_is_wrong_in_a_wide_table(wide: Path, old: str, new: str, words: str) -> None:
    wide.write_text(wide.read_text().replace(old, new, 1))
    with pytest.raises(DataError, match=words):
        score_cells(wide)


def test_a_wide_table_that_lacks_a_severity(tmp_path: Path) -> None:
    lines = [",fog,fog,fog,fog", ",1,2,3,4", "a,.5,.5,.5,.5"]
    with pytest.raises(DataError, match="a has no score under fog 5"):
        score_cells(write(tmp_path / "cells.csv", lines))


def test_an_unknown_reference_is_answered_with_the_nearest(tmp_path: Path) -> None:
    path = write(tmp_path / "cells.csv", long({"resnet50": 0.5}))
    with pytest.raises(UsageError, match="Did you mean 'resnet50'"):
        score_cells(path, "resnet")
    with pytest.raises(UsageError, match="alexnet"):
        score_cells(path, "alxnet")


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        score_cells(tmp_path / "none.csv")
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00model")
    with pytest.raises(DataError, match="no CSV file in UTF-8"):
        score_cells(tmp_path / "a.csv")


@settings(max_examples=150, deadline=None)
@given(content=st.text(alphabet="model,perturbationseverityvalue01.5-\n\"'| \t", max_size=120))
def test_wild_files_never_end_in_a_traceback(content: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "wild.csv"
    path.write_text("model,perturbation,severity,value\n" + content)
    with contextlib.suppress(BenchError):
        shown(score_cells(path, None))
