"""The metrics of captions that come with the harness, registered by the entry points of `bench.metrics`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from harness.metrics.captions import clip_golden
from harness.metrics.captions.golden import CAPTION_CASES, GoldenCaptions
from harness.metrics.metric import Golden, Metric

if TYPE_CHECKING:
    from harness.protocols import Statistics

_SPICE_CASE = Golden(
    GoldenCaptions({"1": ["a brown dog"]}, {"1": "a brown dog"}), {"SPICE": 1.0}, name="its own reference"
)
"""An F-score of equal sets of tuples; the metric is absent where its models are not installed."""
_ANDERSON, _HESSEL = "Anderson et al. 2016, arXiv 1607.08822", "Hessel et al. 2021, arXiv 2104.08718"


def caption_scores(inputs: GoldenCaptions) -> Mapping[str, Statistics | None]:
    """Score captions by all COCO caption metrics but SPICE; starts Java."""
    from harness.metrics.captions.scorer import CAPTION_METRICS

    return _scores(inputs, [name for name in CAPTION_METRICS if name != "SPICE"])


def spice_scores(inputs: GoldenCaptions) -> Mapping[str, Statistics | None]:
    """Score captions by SPICE; starts Java."""
    return _scores(inputs, ["SPICE"])


def _scores(inputs: GoldenCaptions, metrics: Sequence[str]) -> Mapping[str, Statistics | None]:
    from harness.metrics.captions.scorer import CaptionScorer

    with CaptionScorer(metrics) as scorer:
        return scorer.score(inputs.references, inputs.candidates, inputs.split_references)


def _metric(name: str, title: str, reference: str, highest: float = 1.0) -> Metric:
    """One case stands for all of `CASES`, which a scorer checks with one Java process before a run."""
    return Metric(name, title, True, reference, caption_scores, CAPTION_CASES[:1], highest=highest)


_VEDANTAM, _PAPINENI = "Vedantam et al. 2015, arXiv 1411.5726", "Papineni et al. 2002, ACL P02-1040"
METRICS = (
    _metric("CIDEr", "CIDEr-D: agreement of n-grams, weighted by how rare they are", _VEDANTAM, 10.0),
    *(_metric(f"BLEU-{order}", f"corpus precision of n-grams up to {order}", _PAPINENI) for order in range(1, 5)),
    _metric("METEOR", "alignment of words, stems, synonyms and paraphrases", "Denkowski & Lavie 2014, ACL W14-3348"),
    _metric("ROUGE-L", "longest common subsequence", "Lin 2004, ACL W04-1013"),
    Metric("SPICE", "F-score of the tuples of scene graphs", True, _ANDERSON, spice_scores, (_SPICE_CASE,)),
    *(
        Metric(name, title, True, _HESSEL, clip_golden.clip_scores, (clip_golden.CLIP_CASE,), highest=highest)
        for name, title, highest in (
            ("CLIPScore", "2.5 times the similarity of image and caption by CLIP", 2.5),
            ("RefCLIPScore", "harmonic mean of CLIPScore and of the similarity to the best reference", 10 / 7),
        )
    ),
)  # fmt: skip
