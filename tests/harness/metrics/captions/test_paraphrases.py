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
    as_meteor_sees,
    find_or_write_filtered_table,
    hash_lines,
    hash_runs,
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
    captions = [b"a big dog", b"caf\xc3\xa9", b"people people a", b"absent"]
    phrases = {b"a", b"big", b"dog", b"a big", b"big dog", b"a big dog", b"caf\xc3\xa9", b"people", b"people people"}
    phrases |= {b"people a", b"people people a"}
    rows = write_filtered_table(tmp_path / "table.gz", captions)
    expected = [row for row in small_table if row[1] in phrases or row[2] in phrases]
    written = gzip.decompress((tmp_path / "table.gz").read_bytes())
    assert written == b"".join(b"\n".join(row) + b"\n" for row in expected)
    assert rows == len(expected) > 0


def test_a_second_run_takes_the_table_from_the_folder(
    small_table: list[tuple[bytes, bytes, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = find_or_write_filtered_table(tmp_path / "cache", ["dog", "big dog", "dog"], find_java())
    assert first.rows == write_filtered_table(tmp_path / "wanted.gz", [b"big dog", b"dog"]) > 0
    monkeypatch.setattr(paraphrases, "write_filtered_table", None)
    monkeypatch.setattr(paraphrases, "as_meteor_sees", None)  # takes longer than finding the table
    assert find_or_write_filtered_table(tmp_path / "cache", {"big dog", "dog"}, find_java()) == first
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [first.path.name]


def test_no_phrases(small_table: list[tuple[bytes, bytes, bytes]], tmp_path: Path) -> None:
    assert find_or_write_filtered_table(tmp_path, [], find_java()).rows == 0


def test_hash_of_a_line_does_not_depend_on_its_place() -> None:
    text = np.frombuffer(b"dog\na cat\ndog\n\ngod\n", dtype=np.uint8)
    hashes = hash_lines(text, np.array([3, 9, 13, 14, 18]), Powers.up_to(len(text)))
    assert hashes[0] == hashes[2]
    assert len(set(hashes.tolist())) == 4


def test_runs_of_words_are_hashed_as_lines_of_them_are() -> None:
    source = random.Random(1)
    captions = [
        source.choices(["a", "big", "caf\u00e9", "cats", "'s", "4"], k=source.randint(1, 12)) for _ in range(40)
    ]
    runs = {" ".join(words[i:j]) for words in captions for i in range(len(words)) for j in range(i + 1, i + 8)}
    text, lines = ("".join(f"{line}\n" for line in part).encode() for part in (map(" ".join, captions), runs))
    powers = Powers.up_to(len(lines) + len(text))
    found = hash_runs(np.frombuffer(text, np.uint8), powers)
    read = np.frombuffer(lines, np.uint8)
    np.testing.assert_array_equal(found, np.unique(hash_lines(read, np.flatnonzero(read == ord("\n")), powers)))
    assert not hash_runs(np.frombuffer(b"", np.uint8), powers).size


def test_captions_are_worded_as_meteor_sees_them() -> None:
    assert sorted(as_meteor_sees(["a t-shirt", "1  2\t3 ", "", " "], find_java())) == [b"1 2 3", b"a t shirt"]
