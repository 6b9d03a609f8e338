"""`bench score --out` keeps what each sample scores, under the documented columns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from pyarrow import parquet

from harness.errors import UsageError
from harness.plan.plugins import load_task
from harness.protocols import DataContext
from harness.records.score_file import score_file, table_path, write_sample_table
from harness.sample import Dataset, Sample


def test_a_file_or_a_folder_is_named(tmp_path: Path) -> None:
    assert table_path(tmp_path / "a.parquet", Path("p.csv")) == tmp_path / "a.parquet"
    assert table_path(tmp_path / "new", Path("x/p.csv")) == tmp_path / "new" / "p.parquet"
    with pytest.raises(UsageError, match=r"--out .*a\.csv: per-sample scores are Parquet"):
        table_path(tmp_path / "a.csv", Path("p.csv"))


def test_the_table_holds_each_sample(tmp_path: Path) -> None:
    """Four images, two classes: top-1 3/4, of which sample `c` is wrong."""
    for name in ("a", "b"):
        for number in range(2):
            folder = tmp_path / "data" / "val" / name
            folder.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 4), (number, 0, 0)).save(folder / f"{name}{number}.png")
    task = load_task("image-classification")
    data: Dataset = task.open_data(
        DataContext(str(tmp_path / "data"), None, None, tmp_path, tmp_path / "cache", lambda *_: None)
    )
    samples: list[Sample] = list(task.samples(data, data.default_split))
    answers = {sample.sample_id: sample.target.label for sample in samples}
    wrong = samples[2].sample_id
    answers[wrong] = 1 - answers[wrong]
    lines = ["sample_id,label", *(f"{key},{data_name(label)}" for key, label in answers.items())]
    (tmp_path / "p.csv").write_text("\n".join(lines))
    scores = score_file(task, task.read_predictions(tmp_path / "p.csv", data), (data, samples), 20, tmp_path / "cache")
    assert scores.scored is not None
    write_sample_table(tmp_path / "out" / "p.parquet", scores.scored, task.metrics)
    table = parquet.read_table(tmp_path / "out" / "p.parquet")
    assert table["sample_id"].to_pylist() == [sample.sample_id for sample in samples]
    assert table["top-1"].to_pylist() == [1.0, 1.0, 0.0, 1.0]
    assert sum(table["contribution: top-1"].to_pylist()) / 4 == pytest.approx(0.75)
    assert [json.loads(text) for text in table["prediction"].to_pylist()] == list(answers.values())
    assert table.column_names[:3] == ["sample_id", "cluster", "prediction"]


def data_name(label: int) -> str:
    return ("a", "b")[label]
