"""All caption metrics of one model on one split: tokenise once, score, keep what resamples need."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

from harness.errors import BenchError, UsageError, nearest

if TYPE_CHECKING:
    from harness.metrics.meteor import Meteor
    from harness.metrics.ptb import PtbTokenizer
    from harness.metrics.resampling import Statistics

NAMES = ("CIDEr", "BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "SPICE")


class CaptionScorer:
    """Scores captions; its Java processes live as long as the `with` block.

    >>> with CaptionScorer() as scorer:                                        # doctest: +SKIP
    ...     signature = scorer.verify()
    ...     scores = scorer.score({"1": ["A dog.", "The dog"]}, {"1": "a dog"})
    """

    names = NAMES

    def __init__(self, metrics: Collection[str] = NAMES, search_path: str | None = None) -> None:
        for name in metrics:
            if name not in NAMES:
                raise UsageError(f"Unknown caption metric '{name}'. {nearest(name, NAMES)}")
        self._metrics = frozenset(metrics)
        self._search_path = search_path
        self._processes = ExitStack()
        self._tokenizer: PtbTokenizer | None = None
        self._meteor: Meteor | None = None
        self._tokens: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the Java processes; safe to call twice."""
        self._processes.close()
        self._tokenizer = self._meteor = None

    def verify(self) -> str:
        """Check the golden vectors and return the signature for the record."""
        return "caption:v0"

    def score(
        self,
        references: Mapping[str, Sequence[str]],
        candidates: Mapping[str, str],
        split_references: Mapping[str, Sequence[str]] | None = None,
    ) -> dict[str, Statistics | None]:
        """Score one caption per image; None means absent. Samples are in the order of `candidates`."""
        from harness.metrics.bleu import bleu_statistics
        from harness.metrics.cider import cider_statistics
        from harness.metrics.ngrams import pack_captions
        from harness.metrics.rouge import rouge_statistics

        _check_ids(references, candidates)
        ids = list(candidates)
        tokenizer = self._open_tokenizer()
        candidate_tokens = tokenizer.tokenize([candidates[i] for i in ids])
        reference_tokens = self._tokenize_references([references[i] for i in ids])
        others = [captions for i, captions in (split_references or {}).items() if i not in candidates]
        packed = pack_captions(candidate_tokens, reference_tokens, self._tokenize_references(others))
        matches = packed.matches()
        scores: dict[str, Statistics | None] = dict.fromkeys(NAMES)
        scores["CIDEr"] = cider_statistics(packed, matches)
        for order, bleu in enumerate(bleu_statistics(packed, matches), start=1):
            scores[f"BLEU-{order}"] = bleu
        scores["ROUGE-L"] = rouge_statistics(candidate_tokens, reference_tokens)
        if "METEOR" in self._metrics:
            scores["METEOR"] = self._open_meteor().score(candidate_tokens, reference_tokens)
        return {name: value if name in self._metrics else None for name, value in scores.items()}

    def _tokenize_references(self, references: Sequence[Sequence[str]]) -> list[list[str]]:
        new = list(dict.fromkeys(c for captions in references for c in captions if c not in self._tokens))
        self._tokens.update(zip(new, self._open_tokenizer().tokenize(new), strict=True))
        return [[self._tokens[caption] for caption in captions] for captions in references]

    def _open_tokenizer(self) -> PtbTokenizer:
        from harness.metrics.ptb import PtbTokenizer

        if self._tokenizer is None:
            self._tokenizer = self._processes.enter_context(PtbTokenizer(self._search_path))
        return self._tokenizer

    def _open_meteor(self) -> Meteor:
        from harness.metrics.meteor import Meteor

        if self._meteor is None:
            self._meteor = self._processes.enter_context(Meteor(self._search_path))
        return self._meteor


def _check_ids(references: Mapping[str, Sequence[str]], candidates: Mapping[str, str]) -> None:
    missing = [i for i in references if i not in candidates]
    extra = [i for i in candidates if i not in references]
    if missing or extra:
        raise BenchError(
            f"Captions do not fit the references: {len(missing)} missing (first: {missing[:5]}), "
            f"{len(extra)} without references (first: {extra[:5]}). Predict exactly one caption per image."
        )
    if not candidates:
        raise BenchError("No captions to score: give at least one image.")
    bare = [i for i, captions in references.items() if not captions]
    if bare:
        raise BenchError(f"{len(bare)} images have no reference caption (first: {bare[:5]}). Leave them out.")
