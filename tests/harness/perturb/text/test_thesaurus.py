from __future__ import annotations

import gzip
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.perturb.text import thesaurus
from harness.perturb.text.thesaurus import load_thesaurus, same_meaning
from harness.storage.cache_in_use import digests_remembered

SYNSETS = {
    "photo": "1 2", "photograph": "1", "picture": "2 3", "image": "3", "dog": "4", "hound": "4", "walk": "5",
    "walking": "5", "stroll": "5", "cry": "6", "weep": "6", "stop": "7", "halt": "7", "bad": "8", "red": "9",
}  # fmt: skip


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[float, str, str]]]:
    """A table and a jar of a few words in place of the installed ones, read in chunks of a few rows."""
    rows = [
        (0.3, "photo", "photograph"), (0.02, "photograph", "photo"), (0.5, "photo", "picture"),
        (0.4, "picture", "photo"), (0.4, "picture", "image"),  # no way back
        (0.1, "dogs", "hounds"), (0.1, "hounds", "dogs"), (0.2, "red", "bad"), (0.2, "bad", "red"),
        (0.2, "a dog", "hound"), (0.2, "dog", "hound"), (0.009, "hound", "dog"), (0.3, "caf\u00e9", "red"),
        (0.2, "walking", "walk"), (0.2, "walk", "walking"), (0.2, "stopped", "halted"), (0.2, "halted", "stopped"),
    ]  # fmt: skip
    table, jar = tmp_path / "table.gz", tmp_path / "meteor.jar"
    table.write_bytes(gzip.compress("".join(f"{p}\n{a}\n{b}\n" for p, a, b in rows).encode()))
    with zipfile.ZipFile(jar, "w") as archive:
        archive.writestr("synonym/english.synsets", "".join(f"{w}\n{numbers}\n" for w, numbers in SYNSETS.items()))
    monkeypatch.setattr(thesaurus, "paraphrase_table", lambda: table)
    monkeypatch.setattr(thesaurus, "meteor_jar", lambda: jar)
    monkeypatch.setattr(thesaurus, "_CHUNK_BYTES", 64)
    load_thesaurus.cache_clear()
    yield rows
    load_thesaurus.cache_clear()


EXPECTED = {
    "photo": ("picture", "photograph"), "photograph": ("photo",), "picture": ("photo",), "dogs": ("hounds",),
    "hounds": ("dogs",), "stopped": ("halted",), "halted": ("stopped",),
}  # fmt: skip


def test_both_witnesses_and_both_directions(small: list[tuple[float, str, str]]) -> None:
    assert load_thesaurus() == EXPECTED


def test_it_is_made_once_a_cache_until_the_table_changes(
    small: list[tuple[float, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with digests_remembered(tmp_path / "cache"):
        assert load_thesaurus() == EXPECTED
        with monkeypatch.context() as patch:
            patch.setattr(thesaurus, "_single_words", lambda path: pytest.fail("the table was read again"))
            load_thesaurus.cache_clear()  # as another process
            assert load_thesaurus() == EXPECTED
        table = thesaurus.paraphrase_table()
        table.write_bytes(gzip.compress(b"0.3\nphoto\nphotograph\n0.3\nphotograph\nphoto\n"))
        load_thesaurus.cache_clear()
        assert load_thesaurus() == {"photo": ("photograph",), "photograph": ("photo",)}


@pytest.mark.parametrize(
    ("word", "other", "same"),
    [
        ("cried", "wept", False), ("cries", "weeps", True), ("walk", "walking", False), ("walks", "strolls", True),
        ("dog", "hounds", False), ("stopping", "halting", True), ("dog", "dog", False), ("red", "bad", False),
    ],
)  # fmt: skip
def test_the_same_form_of_synonyms(word: str, other: str, same: bool) -> None:
    synsets = {word: frozenset(numbers.split()) for word, numbers in SYNSETS.items()}
    assert same_meaning(word, other, synsets) == same == same_meaning(other, word, synsets)


def test_the_installed_files() -> None:
    """Known pairs of general English are there, and what the table alone would give is not."""
    found = load_thesaurus()
    assert 2000 < len(found) < 4000
    assert found["telephone"] == ("phone",)
    assert "mistakes" in found["errors"] and "quickly" in found["rapidly"]
    assert "morning" not in found and "bureaucratic" not in found.get("red", ())
    assert all(word in found[other] for word, others in found.items() for other in others)
