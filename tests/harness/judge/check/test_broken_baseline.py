"""`bench check` with a baseline that is not there, broken, or changed by hand: refused, and the file is named."""

from __future__ import annotations

import hashlib
import json

import pyarrow as arrow
import pytest
from pyarrow import parquet

from harness.storage.digest import with_digest

COLUMNS = ("fingerprint", "condition", "sample_id", "cluster", "value")


def test_no_baseline_and_no_records(baseline, check, tmp_path):
    absent = check("base", "before")
    assert absent.code == 3
    assert "base/baseline.json is not there. Make it with 'bench check" in absent.text
    empty = check("base", "before", "--update")
    assert empty.code == 3
    assert "There is no scored record" in empty.text
    baseline()
    assert check("base", "nowhere").code == 3


def edit(path, change):
    content = json.loads(path.read_bytes())
    change(content)
    path.write_text(json.dumps(content))


def resealed(path, change):
    content = json.loads(path.read_bytes())
    change(content)
    path.write_bytes(with_digest({key: value for key, value in content.items() if key != "digest"}))


@pytest.mark.parametrize(
    ("name", "break_it", "message"),
    [
        ("baseline.json", lambda p: edit(p, lambda c: c.update(schema_version=9)), "has schema version 9"),
        ("baseline.json", lambda p: edit(p, lambda c: c["rows"][0].update(memory_bytes=1)), "it was changed by hand"),
        ("baseline.json", lambda p: edit(p, lambda c: c.pop("digest")), "it has no digest"),
        ("baseline.json", lambda p: resealed(p, lambda c: c["rows"][0].update(more=1)), "is no baseline (TypeError"),
        ("baseline.json", lambda p: resealed(p, lambda c: c["rows"][0].pop("subject")), "is no baseline (KeyError"),
        ("baseline.json", lambda p: p.write_text("[]"), "is no baseline (AttributeError"),
        ("baseline.json", lambda p: p.write_bytes(b"\xff{"), "is no baseline (UnicodeDecodeError"),
        ("baseline.json", lambda p: p.write_text("{"), "is no baseline (JSONDecodeError"),
        ("scores.parquet", lambda p: p.unlink(), "scores.parquet is not there"),
        ("scores.parquet", lambda p: p.write_bytes(p.read_bytes() + b" "), "is not the file that the baseline was"),
    ],
)  # fmt: skip
def test_a_broken_baseline_is_refused(name, break_it, message, baseline, check, tmp_path):
    baseline()
    break_it(tmp_path / "base" / name)
    checked = check("base", "before")
    assert checked.code == 3
    assert message in checked.text
    assert "--update" in checked.text


def test_scores_changed_by_hand_are_refused(baseline, check, tmp_path):
    baseline()
    path = tmp_path / "base" / "scores.parquet"
    table = parquet.read_table(path)
    parquet.write_table(table.set_column(4, "value", arrow.array([1.0] * len(table))), path)
    assert "is not the file that the baseline was written with" in check("base", "before").text


def test_a_broken_file_with_a_digest_that_fits_is_no_traceback(baseline, check, tmp_path):
    baseline()
    (tmp_path / "base" / "scores.parquet").write_bytes(b"nothing")
    digest = hashlib.sha256(b"nothing").hexdigest()
    resealed(tmp_path / "base" / "baseline.json", lambda content: content.update(scores_sha256=digest))
    checked = check("base", "before")
    assert checked.code == 3
    assert "scores.parquet holds no sample scores (Arrow" in checked.text


def test_a_record_changed_by_hand_is_refused(baseline, check, tmp_path):
    baseline()
    edit(tmp_path / "before/image-classification/records/a-0.json", lambda c: c.update(device="faster"))
    checked = check("base", "before")
    assert checked.code == 3
    assert "it was changed by hand" in checked.text


def test_a_baseline_that_cannot_be_written(baseline, check, tmp_path):
    (tmp_path / "base").write_text("a file")
    written = baseline()
    assert written.code == 3
    assert f"Cannot write {tmp_path / 'base'}" in written.text


def rewritten(folder, table):
    """Write scores as if the baseline had been written with them."""
    parquet.write_table(table, folder / "scores.parquet")
    digest = hashlib.sha256((folder / "scores.parquet").read_bytes()).hexdigest()
    resealed(folder / "baseline.json", lambda content: content.update(scores_sha256=digest))


def test_scores_without_a_column_are_named(baseline, check, tmp_path):
    baseline()
    table = parquet.read_table(tmp_path / "base" / "scores.parquet")
    rewritten(tmp_path / "base", table.drop_columns(["cluster", "value"]))
    checked = check("base", "before")
    assert checked.code == 3
    assert "wanted a Parquet file with columns fingerprint, condition, sample_id, cluster, value" in checked.text
    assert "--update" in checked.text


@pytest.mark.parametrize("types", [None, arrow.null()])
def test_a_baseline_of_records_without_sample_scores_compares_intervals(types, baseline, check, tmp_path):
    baseline()
    for path in (tmp_path / "before").glob("*/scores/*.parquet"):
        path.unlink()
    assert check("base", "before", "--update").code == 0
    if types is not None:  # as earlier versions wrote it
        rewritten(tmp_path / "base", arrow.table({name: arrow.array([], types) for name in COLUMNS}))
    checked = check("base", "before", "--wide")
    assert checked.code == 0
    assert "no sample scores" in checked.text
    assert "Arrow" not in checked.text and "Null" not in checked.text
