"""METEOR 1.5 (Denkowski & Lavie 2014, ACL W14-3348) with the jar that pycocoevalcap ships.

The jar aligns each candidate with its references and returns counts; the score is computed from the counts
here, so that the corpus score of any resample needs no Java.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np

from harness.metrics.java import JavaLines, find_java
from harness.metrics.ptb import package_folder
from harness.metrics.resampling import FloatArray, IntArray, weighted_sums

JAR = "meteor-1.5.jar"
# The jar's parameters for English, task "rank".
_ALPHA, _BETA, _GAMMA, _DELTA = 0.85, 0.2, 0.6, 0.75
_MODULE_WEIGHTS = np.array([1.0, 0.6, 0.8, 0.6])  # exact, stem, synonym, paraphrase


@dataclass(frozen=True)
class MeteorStatistics:
    """METEOR from per-image counts.

    `components` [N, 23] in the jar's order: length of candidate, of reference, function words of each; for each of
    the four modules content matches of candidate, of reference, function matches of each; chunks, matched words of
    candidate, of reference.
    """

    components: FloatArray

    @property
    def value(self) -> float:
        return float(meteor_from_sums(self.components.sum(axis=0, keepdims=True))[0])

    @property
    def per_sample(self) -> FloatArray:
        return meteor_from_sums(self.components)

    def resample(self, counts: IntArray) -> FloatArray:
        """[R, N] multiplicities -> [R] corpus METEOR."""
        return meteor_from_sums(weighted_sums(counts, self.components))


def meteor_from_sums(sums: FloatArray) -> FloatArray:
    """[R, 23] summed counts -> [R] METEOR, 0..1."""
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
    identical = (matched == length).all(axis=1) & (chunks == 1)
    fragmentation = np.where(identical, 0.0, fragmentation)
    score = f_mean * (1.0 - _GAMMA * fragmentation**_BETA)
    return np.asarray(np.where(np.isfinite(score), score, 0.0), dtype=np.float64)


class Meteor:
    """One live METEOR process."""

    def __init__(self, search_path: str | None = None) -> None:
        jar = package_folder() / "meteor" / JAR
        self._lines = JavaLines(
            find_java(search_path), ["-Xmx2G", "-jar", str(jar), "-", "-", "-stdio", "-l", "en", "-norm"]
        )

    def score(self, candidates: Sequence[str], references: Sequence[Sequence[str]]) -> MeteorStatistics:
        """METEOR of tokenised captions."""
        questions = [_question(*pair) for pair in zip(candidates, references, strict=True)]
        answers = self._lines.ask(questions)
        return MeteorStatistics(np.array([answer.split() for answer in answers], dtype=np.float64))

    def close(self) -> None:
        """End the process."""
        self._lines.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _question(candidate: str, references: Sequence[str]) -> str:
    return " ||| ".join(["SCORE", *references, candidate.replace("|||", "").replace("  ", " ")])
