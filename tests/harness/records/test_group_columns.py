"""Files of groups: read as they are written, and refused where anything would have to be guessed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import BenchError, DataError, MissingPath, UsageError
from harness.records.group_columns import read_group_columns


def written(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_columns_and_what_is_predicted_of_them(tmp_path: Path) -> None:
    name = written(tmp_path / "g.csv", "place,sample_id,light,light predicted\nhome,1,day,night\n,2,night,day\n")
    found = read_group_columns(name)
    assert list(found.columns) == ["place", "light"]
    assert found.of("place", ["2", "1"]) == ["", "home"]
    assert found.predicted_of("light", ["1"]) == ["night"] and found.predicted_of("place", ["1"]) is None
    assert list(read_group_columns(f"{name}:light").columns) == ["light"]
    assert list(read_group_columns(f"{name}:light, place").columns) == ["light", "place"]


@pytest.mark.parametrize(
    ("text", "suffix", "message"),
    [
        ("id,a\n1,x\n", "", "has the columns id, a; wanted sample_id"),
        ("sample_id\n1\n", "", "wanted sample_id and one or more"),
        ("sample_id,a,a\n1,x,y\n", "", "each named once"),
        ("", "", "has the columns none"),
        ("sample_id,a\n1,x\n1,y\n", "", "the sample 1 stands there more than once"),
        ("sample_id,a\n1,x,z\n", "", "line 2 has 3 fields, its header 2"),
        ("sample_id,light\n1,x\n", ":lihgt", "has no column 'lihgt'. Did you mean 'light'"),
        ('sample_id,a\n1,"x\n', "", "is no CSV"),
    ],
)
def test_what_is_not_clear_is_refused(text: str, suffix: str, message: str, tmp_path: Path) -> None:
    with pytest.raises((DataError, UsageError)) as refused:
        read_group_columns(written(tmp_path / "g.csv", text) + suffix)
    assert message in str(refused.value)


def test_samples_without_a_line_and_files_that_are_not_there(tmp_path: Path) -> None:
    found = read_group_columns(written(tmp_path / "g.csv", "sample_id,a\n1,x\n"))
    with pytest.raises(DataError, match=r"column 'a' lacks 2 of 3 samples \(first: 2, 3\)"):
        found.of("a", ["1", "2", "3"])
    with pytest.raises(MissingPath, match="no file"):
        read_group_columns(str(tmp_path / "no.csv:a"))


@given(content=st.text(max_size=60))
def test_any_file_is_read_or_refused(content: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("groups") / "g.csv"
    path.write_text(f"sample_id,a\n{content}", encoding="utf-8", newline="")
    try:
        found = read_group_columns(str(path))
    except BenchError:
        return
    assert list(found.columns) == ["a"]
