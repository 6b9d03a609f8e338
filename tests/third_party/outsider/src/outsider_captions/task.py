"""A task plugin: captions again, but scored by the words that they share with a reference; needs no Java."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from harness.protocols import Scorer
from harness.sample import Dataset, Outcome, Sample
from tasks.captioning.task import CaptionTask


@dataclass(frozen=True)
class Mean:
    """A metric that is the mean of what each sample scores."""

    per_sample: npt.NDArray[np.float64]

    @property
    def value(self) -> float:
        """The mean over all samples, 0..1."""
        return float(self.per_sample.mean())

    def resample(self, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Recompute for multiplicities `[R, N]`; returns `[R]`."""
        return np.asarray(counts @ self.per_sample / counts.sum(axis=1))


class WordScorer:
    """Best share of common words over a sample's references; a second metric is always absent."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def prepare(self, samples: Sequence[Sample]) -> str:
        """Check one golden case and say which version this is."""
        assert _overlap("a red dog", "a dog") == 2 / 3
        return "words:1"

    def score(self, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> Mapping[str, Mean | None]:
        """Score in the order of the samples."""
        answers = {outcome.sample_id: outcome.prediction for outcome in outcomes}
        best = [max(_overlap(answers[s.sample_id], r) for r in s.target.references) for s in samples]
        return {"word-overlap": Mean(np.asarray(best, dtype=np.float64)), "never": None}


@dataclass(frozen=True)
class WordTask(CaptionTask):
    """`coco-caption`'s data under another name and another metric."""

    name: str = "word-caption"
    summary: str = "describe an image in a sentence, scored by common words"
    metrics: tuple[str, ...] = ("word-overlap", "never")

    def scorer(self, data: Dataset, cache: Path) -> Scorer:
        """Nothing to start."""
        return WordScorer()


def _overlap(one: str, other: str) -> float:
    a, b = set(one.split()), set(other.split())
    return len(a & b) / len(a | b)


word_caption = WordTask()
