from __future__ import annotations

import gzip
import random
from pathlib import Path

import numpy as np
import pytest

from harness.metrics.captions import paraphrases
from harness.metrics.captions.java import find_java
from harness.metrics.captions.paraphrases import (
    Powers,
    find_or_write_filtered_table,
    hash_lines,
    phrases_of,
    write_filtered_table,
)


@pytest.fixture
def small_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, bytes, bytes]]:
    """A table of random phrases in place of the installed one, read in chunks of a few rows."""
    source = random.Random(0)
    words = [b"a", b"big", b"large", b"dog", b"caf\xc3\xa9", b"cats", b"'s", b"people"]
    phrase = lambda: b" ".join(source.choices(words, k=source.randint(1, 4)))  # noqa: E731
    rows = [(b"0.5", phrase(), phrase()) for _ in range(2000)]
    table = tmp_path / "all.gz"
    table.write_bytes(gzip.compress(b"".join(b"\n".join(row) + b"\n" for row in rows)))
    monkeypatch.setattr(paraphrases, "paraphrase_table", lambda: table)
    monkeypatch.setattr(paraphrases, "_CHUNK_BYTES", 256)
    return rows


def test_keeps_rows_with_a_side_among_the_phrases(
    small_table: list[tuple[bytes, bytes, bytes]], tmp_path: Path
) -> None:
    phrases = {b"big dog", b"caf\xc3\xa9", b"people people a", b"absent"}
    rows = write_filtered_table(tmp_path / "table.gz", phrases)
    expected = [row for row in small_table if row[1] in phrases or row[2] in phrases]
    written = gzip.decompress((tmp_path / "table.gz").read_bytes())
    assert written == b"".join(b"\n".join(row) + b"\n" for row in expected)
    assert rows == len(expected) > 0


def test_a_second_run_takes_the_table_from_the_folder(
    small_table: list[tuple[bytes, bytes, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = find_or_write_filtered_table(tmp_path / "cache", ["dog", "big dog", "dog"], find_java())
    assert first.rows == write_filtered_table(tmp_path / "wanted.gz", {b"dog", b"big", b"big dog"}) > 0
    monkeypatch.setattr(paraphrases, "write_filtered_table", None)
    monkeypatch.setattr(paraphrases, "phrases_of", None)  # takes longer than finding the table
    assert find_or_write_filtered_table(tmp_path / "cache", {"big dog", "dog"}, find_java()) == first
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [first.path.name]


def test_no_phrases(small_table: list[tuple[bytes, bytes, bytes]], tmp_path: Path) -> None:
    assert find_or_write_filtered_table(tmp_path, [], find_java()).rows == 0


def test_hash_of_a_line_does_not_depend_on_its_place() -> None:
    text = np.frombuffer(b"dog\na cat\ndog\n\ngod\n", dtype=np.uint8)
    ends, hashes = hash_lines(text, Powers.up_to(len(text)))
    assert ends.tolist() == [3, 9, 13, 14, 18]
    assert hashes[0] == hashes[2]
    assert len(set(hashes.tolist())) == 4


def test_phrases_are_worded_as_meteor_sees_them() -> None:
    phrases = phrases_of(["a t-shirt", "1 2 3 4 5 6 7 8"], find_java())
    assert {b"a", b"a t", b"t shirt", b"1 2 3 4 5 6 7"} <= phrases
    assert b"1 2 3 4 5 6 7 8" not in phrases
