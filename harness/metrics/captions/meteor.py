"""METEOR 1.5 (Denkowski & Lavie 2014, ACL W14-3348) with the jar that pycocoevalcap ships.

The jar aligns each candidate with its references and returns counts; the score is computed from the counts
here, so that the corpus score of any resample needs no Java.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from harness.metrics.captions.java import PATIENCE_S, JavaFailed, JavaProcess, find_java, with_one_restart
from harness.metrics.captions.java_archives import meteor_jar
from harness.metrics.captions.paraphrases import find_or_write_filtered_table
from harness.processors import usable_processors
from harness.stats.resampling import FloatArray, IntArray, weighted_sums

# The jar's parameters for English, task "rank".
_ALPHA, _BETA, _GAMMA, _DELTA = 0.85, 0.2, 0.6, 0.75
_MODULE_WEIGHTS = np.array([1.0, 0.6, 0.8, 0.6])  # exact, stem, synonym, paraphrase
_COUNTS = 23
_HEAP_MB, _ROWS_PER_MB = 192, 3000  # for WordNet and the program, and for the table on top
# For one image on top: 9,000 words against 7 need under 1,500 MB, 1,150 against 1,140 under 384 MB, in all. It is a
# limit, which the heap reaches only where it must; pycocoevalcap always allows 2,048 MB.
_MB_PER_WORD, _PAIRS_PER_MB, _SHORT = 0.25, 4000, 100
_MOST_HEAP_MB = 16_384
_IMAGES_EACH, _MOST = 1000, 4  # of each process at least: one takes a second to start; and processes
_PART = 100  # images that a process is asked about at once


@dataclass(frozen=True)
class MeteorStatistics:
    """METEOR from per-image counts.

    `components` [N, 23] in the jar's order: words of the candidate, of the reference; function words of each;
    for each of the four modules content matches of the candidate, of the reference, function matches of each;
    chunks, none where all words match as one; matched words of the candidate, of the reference.
    """

    components: FloatArray

    @property
    def value(self) -> float:
        """The corpus score, 0..1, from the counts summed over all images."""
        return float(meteor_from_sums(self.components.sum(axis=0, keepdims=True))[0])

    @property
    def per_sample(self) -> FloatArray:
        """[N] the score of each image alone, 0..1."""
        return meteor_from_sums(self.components)

    def resample(self, counts: IntArray) -> FloatArray:
        """[R, N] multiplicities -> [R] corpus METEOR."""
        return meteor_from_sums(weighted_sums(counts, self.components))


def meteor_from_sums(sums: FloatArray) -> FloatArray:
    """[R, 23] summed counts -> [R] METEOR: the weighted harmonic mean of P and R, less a penalty for chunks.

    F = 1 / ((1 - alpha) / P + alpha / R); score = F * (1 - gamma * (chunks / matched words)^beta).
    """
    length, function, chunks, matched = sums[:, 0:2], sums[:, 2:4], sums[:, 20], sums[:, 21:23]
    by_module = sums[:, 4:20].reshape(-1, 4, 4)
    content_matches, function_matches = by_module[:, :, 0:2], by_module[:, :, 2:4]
    weighted = _DELTA * content_matches + (1 - _DELTA) * function_matches
    matches = np.einsum("rms,m->rs", weighted, _MODULE_WEIGHTS)
    weighted_length = _DELTA * (length - function) + (1 - _DELTA) * function
    with np.errstate(divide="ignore", invalid="ignore"):
        precision, recall = (matches / weighted_length).T
        f_mean = 1.0 / ((1.0 - _ALPHA) / precision + _ALPHA / recall)
        fragmentation = chunks / (matched.sum(axis=1) / 2)
    score = f_mean * (1.0 - _GAMMA * fragmentation**_BETA)
    return np.asarray(np.where(np.isfinite(score), np.maximum(score, 0.0), 0.0), dtype=np.float64)


def without_free_chunks(counts: FloatArray) -> FloatArray:
    """[N, 23] counts of the jar with no chunk where all words of both sides match as one.

    The jar does so too, both for one image and when it sums: a caption like its reference costs no penalty.
    """
    length, by_module, chunks = counts[:, 0:2], counts[:, 4:20].reshape(-1, 8, 2), counts[:, 20]
    identical = (by_module.sum(axis=1) == length).all(axis=1) & (chunks == 1)
    return np.column_stack([counts[:, :20], np.where(identical, 0.0, chunks), counts[:, 21:]])


class Meteor:
    """Live METEOR processes, whose paraphrase table is cut to the references seen so far.

    References that were not seen before widen the table and start the processes anew; candidates never do. Cutting the
    table takes seconds, so a `cache_folder` keeps cut tables for later runs. Thousands of images are shared among as
    many processes as this one may use processors.
    """

    def __init__(
        self,
        search_path: str | None = None,
        cache_folder: Path | None = None,
        patience_s: float | None = PATIENCE_S,
    ) -> None:
        self._cache_folder, self._patience_s = cache_folder, patience_s
        self._java = find_java(search_path)
        self._seen: set[str] = set()
        self._processes: list[JavaProcess] = []
        self._extra_mb = self._heap_mb = 0

    def prepare(self, references: Iterable[str], images: int = 0) -> None:
        """Make ready for tokenised references, of so many images at once: those of several calls start anew once."""
        wanted = set(references)
        with_one_restart(lambda: self._processes_for(wanted, 0, images), self.close)

    def score(self, candidates: Sequence[str], references: Sequence[Sequence[str]]) -> MeteorStatistics:
        """Count the matches of tokenised captions; `references[i]` belong to `candidates[i]`."""
        return with_one_restart(lambda: self._score(candidates, references), self.close)

    def _score(self, candidates: Sequence[str], references: Sequence[Sequence[str]]) -> MeteorStatistics:
        longest = longest_pair(candidates, references)
        seen = {caption for image in references for caption in image}
        processes = self._processes_for(seen, heap_for(*longest), len(candidates))
        questions = [_question(*pair) for pair in zip(candidates, references, strict=True)]
        try:
            counts = _asked(processes, questions)
        except JavaFailed as error:
            raise type(error)(
                f"METEOR: {error} The longest caption has {longest[0]:,} words, the longest reference {longest[1]:,}; "
                f"{self._heap_mb} MB of memory were allowed."
            ) from None
        return MeteorStatistics(without_free_chunks(np.array(counts, dtype=np.float64)))

    def _processes_for(self, references: set[str], extra_mb: int, images: int) -> list[JavaProcess]:
        new = references - self._seen
        if new or extra_mb > self._extra_mb:
            self._extra_mb = max(extra_mb, self._extra_mb)
            self._seen |= new
            self.close()
        helpers = 0 if self._extra_mb else min(usable_processors(), _MOST, images // _IMAGES_EACH) - 1
        lacking = 1 + max(0, helpers) - len(self._processes)
        if lacking > 0:
            self._processes += self._start(lacking)
        return self._processes

    def _start(self, count: int) -> list[JavaProcess]:
        with ExitStack() as until_loaded:
            folder = self._cache_folder or Path(
                until_loaded.enter_context(tempfile.TemporaryDirectory(prefix="fusemark-meteor-"))
            )
            table = find_or_write_filtered_table(folder, self._seen, self._java)
            self._heap_mb = min(_MOST_HEAP_MB, _HEAP_MB + table.rows // _ROWS_PER_MB + self._extra_mb)
            with ThreadPoolExecutor(count) as threads:
                started = [threads.submit(self._start_one, table.path) for _ in range(count)]
        try:
            return [each.result() for each in started]
        except BaseException:
            for each in started:
                if each.exception() is None:
                    each.result().close()
            raise

    def _start_one(self, table: Path) -> JavaProcess:
        """Start a process and wait until the table is in its memory: then its folder can go."""
        options = ["-", "-", "-stdio", "-l", "en", "-norm", "-a", str(table)]
        process = JavaProcess(self._java, self._heap_mb, ["-jar", str(meteor_jar()), *options], self._patience_s)
        try:
            process.send([_question("a", ["a"])])
            _counts(process.read_line())
        except BaseException:
            process.close()
            raise
        return process

    def close(self) -> None:
        """End the processes; safe to call twice."""
        for process in self._processes:
            process.close()
        self._processes = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _asked(processes: Sequence[JavaProcess], questions: Sequence[str]) -> list[list[str]]:
    """The counts that answer each question; of several processes the one that is free first takes the next part."""
    parts = [questions[start : start + _PART] for start in range(0, len(questions), _PART)]
    numbers = iter(range(len(parts)))
    found: dict[int, list[list[str]]] = {}

    def ask(process: JavaProcess) -> None:
        for number in numbers:
            process.send(parts[number])
            found[number] = [_counts(process.read_line()) for _ in parts[number]]

    with ThreadPoolExecutor(len(processes)) as threads:
        asked = [threads.submit(ask, process) for process in processes]
    for each in asked:
        each.result()
    return [counts for number in range(len(parts)) for counts in found[number]]


def _counts(answer: str) -> list[str]:
    """Take an answer of the jar apart; another line, such as a word of Java's own, would move all that follow."""
    counts = answer.split()
    if len(counts) != _COUNTS:
        raise JavaFailed(f"METEOR answered {answer!r} instead of {_COUNTS} counts.")
    return counts


def longest_pair(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[int, int]:
    """Words of the candidate and of the longest reference of the image that has the most to be aligned."""
    pairs = [
        (_words(candidate), max(map(_words, image), default=0))
        for candidate, image in zip(candidates, references, strict=True)
    ]
    return max(pairs, key=lambda pair: heap_for(*pair), default=(0, 0))


def heap_for(candidate: int, reference: int) -> int:
    """MB of heap beside the usual to align so many words with so many; 0 for captions as people write them."""
    if max(candidate, reference) <= _SHORT:
        return 0
    return math.ceil(_MB_PER_WORD * max(candidate, reference) + candidate * reference / _PAIRS_PER_MB)


def _words(text: str) -> int:
    return text.count(" ") + 1


def _question(candidate: str, references: Sequence[str]) -> str:
    """One line of the jar's protocol, with pycocoevalcap's cleaning of the candidate."""
    return " ||| ".join(["SCORE", *references, candidate.replace("|||", "").replace("  ", " ")])
