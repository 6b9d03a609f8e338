"""Scores captions against their targets: the COCO metrics, on Scenes exact propositions, where asked for CLIPScore."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.metrics.captions.scorer import CaptionScorer
from harness.protocols import Statistics
from harness.sample import Note, Outcome, Sample
from tasks.captioning.clip_scoring import ClipScoring
from tasks.captioning.inventions import Inventions
from tasks.targets.matching import in_sample_order

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")


class CaptionTaskScorer:
    """The scorer of `coco-caption`; its Java processes live as long as the `with` block."""

    matches = True

    def __init__(
        self,
        cache: Path,
        *,
        propositions: bool,
        clip: ClipScoring | None = None,
        inventions: Inventions | None = None,
    ) -> None:
        self._captions = CaptionScorer(cache_folder=cache / "meteor")
        self._propositions = propositions
        self._clip = clip
        self._inventions = inventions or Inventions()
        self._split: dict[str, tuple[str, ...]] = {}

    def __enter__(self) -> Self:
        self._captions.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._captions.__exit__(kind, error, trace)

    def wait_at_most(self, seconds: float | None) -> None:
        """Take a Java process that gives no answer for so long to hang; None: never."""
        self._captions.wait_at_most(seconds)

    def prepare(self, samples: Sequence[Sample]) -> str:
        """Take in the references of the whole split, for IDF and METEOR; check the golden vectors."""
        clip = "" if self._clip is None else f"|{self._clip.prepare()}"
        self._split = {sample.sample_id: sample.target.references for sample in samples}
        self._captions.prepare(self._split)
        signature = self._captions.verify() + self._inventions.prepare()
        return signature + ("|propositions:1" if self._propositions else "") + clip

    def score(self, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> Mapping[str, Statistics | None]:
        """Score one caption a sample; raises DataError when a caption is missing or is for no sample."""
        answers = in_sample_order(samples, outcomes, "caption")
        captions = {sample.sample_id: answer for sample, answer in zip(samples, answers, strict=True)}
        references = {sample.sample_id: sample.target.references for sample in samples}
        scores: dict[str, Statistics | None] = dict(self._captions.score(references, captions, self._split))
        if self._propositions:
            from tasks.captioning.propositions import proposition_statistics

            scores |= proposition_statistics(samples, captions)
        scores |= self._inventions.score(samples, captions)
        if self._clip is not None:
            scores |= self._clip.score(samples, captions)
        return scores

    def notes(self, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> Sequence[Note]:
        """Say what a number of one image is: CIDEr weighs words by how few of several images have them."""
        answers = in_sample_order(samples, outcomes, "caption")
        captions = {sample.sample_id: answer for sample, answer in zip(samples, answers, strict=True)}
        notes = self._inventions.notes(samples, captions)
        if len(self._split) > 1:
            return notes
        single = Note("CIDEr of a single image is 0 by definition: its IDF needs the references of several images")
        return (*notes, single)

    def score_alike(
        self, samples: Sequence[Sample], a: Sequence[Outcome], b: Sequence[Outcome]
    ) -> tuple[Mapping[str, Statistics | None], Mapping[str, Statistics | None]]:
        """Score what two models invent in captions of the same length: both cut to the shorter one of each image."""
        said = [in_sample_order(samples, outcomes, "caption") for outcomes in (a, b)]
        of_a, of_b = ({sample.sample_id: text for sample, text in zip(samples, texts, strict=True)} for texts in said)
        return self._inventions.score_alike(samples, of_a, of_b)

    def score_first(self, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> Statistics | None:
        """CIDEr alone: METEOR takes most of the time of all others."""
        answers = in_sample_order(samples, outcomes, "caption")
        captions = {sample.sample_id: answer for sample, answer in zip(samples, answers, strict=True)}
        references = {sample.sample_id: sample.target.references for sample in samples}
        return self._captions.cider(references, captions, self._split)


def quick_cider(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """CIDEr-D on lower-cased words instead of PTB tokens, for choosing checkpoints only.

    Vedantam et al. 2015, arXiv 1411.5726; IDF comes from the given references.
    """
    frequency: Counter[tuple[str, ...]] = Counter()
    counted = [[_ngrams(reference) for reference in group] for group in references]
    for group in counted:
        frequency.update({ngram for counts in group for ngram in counts})
    documents = math.log(max(2, len(references)))
    scores = []
    for candidate, group in zip(candidates, counted, strict=True):
        own = _ngrams(candidate)
        scores.append(sum(_cider_pair(own, other, frequency, documents) for other in group) / len(group))
    return sum(scores) / len(scores)


def _ngrams(text: str) -> Counter[tuple[str, ...]]:
    words = _WORD.findall(text.lower())
    return Counter(tuple(words[i : i + n]) for n in range(1, 5) for i in range(len(words) - n + 1))


def _cider_pair(
    own: Counter[tuple[str, ...]],
    other: Counter[tuple[str, ...]],
    frequency: Counter[tuple[str, ...]],
    documents: float,
) -> float:
    dots, own_norms, other_norms = [0.0] * 5, [0.0] * 5, [0.0] * 5
    lengths = [0, 0]
    for counts, norms, side in ((own, own_norms, 0), (other, other_norms, 1)):
        for ngram, count in counts.items():
            weight = documents - math.log(max(1, frequency[ngram]))
            norms[len(ngram)] += (count * weight) ** 2
            lengths[side] += count if len(ngram) == 1 else 0
            if side == 0 and ngram in other:
                dots[len(ngram)] += min(count, other[ngram]) * other[ngram] * weight**2
    cosines = [
        dots[n] / math.sqrt(own_norms[n] * other_norms[n]) if own_norms[n] and other_norms[n] else 0.0
        for n in range(1, 5)
    ]
    return 10 * sum(cosines) / 4 * math.exp(-((lengths[0] - lengths[1]) ** 2) / 72)
