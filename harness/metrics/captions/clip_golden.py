"""Golden inputs of CLIPScore: embeddings with known scores, worked by hand, checked before scoring; and the signature.

The vectors are Pythagorean, so that cosines are short decimals; one caption and one reference point away from what
they are compared with (clipped at 0), no vector has length 1, and texts are known only with their prefix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from harness.metrics.metric import Golden, check_golden

if TYPE_CHECKING:
    from harness.protocols import Statistics
    from harness.stats.resampling import FloatArray

CLIP_VERSION = 1
"""Of the implementation: raise it whenever a score may change."""
_TOLERANCE = 1e-9

GOLDEN_IMAGES = ((3.0, 4.0, 0.0), (-2.0, 0.0, 0.0), (0.0, 2.0, 0.0), (5.0, 0.0, 0.0))
GOLDEN_CANDIDATES = ("a dog", "a cat", "a red kite", "a bus")
GOLDEN_REFERENCES = (("a brown dog", "two dogs"), ("a tabby",), ("a kite in the sky",), ("a lorry",))
GOLDEN_TEXTS = {
    "A photo depicts a dog": (4.0, 3.0, 0.0),  # cosine 0.96 with its image
    "A photo depicts a cat": (3.0, 0.0, 0.0),  # -1
    "A photo depicts a red kite": (0.0, 3.0, 4.0),  # 0.6
    "A photo depicts a bus": (2.0, 0.0, 0.0),  # 1
    "A photo depicts a brown dog": (4.0, 0.0, 3.0),  # 0.64 with its caption
    "A photo depicts two dogs": (0.0, 7.0, 0.0),  # 0.6
    "A photo depicts a tabby": (3.0, 0.0, 4.0),  # 0.6
    "A photo depicts a kite in the sky": (0.0, 4.0, 3.0),  # 0.96
    "A photo depicts a lorry": (-2.0, 0.0, 0.0),  # -1
}
CLIP_SCORES = {
    "CLIPScore": 1.6,  # (2.4 + 0 + 1.5 + 2.5) / 4
    "RefCLIPScore": 0.5453145057766367,  # (2 * 2.4 * 0.64 / 3.04 + 0 + 2 * 1.5 * 0.96 / 2.46 + 0) / 4
}
_UNKNOWN = (1.0, 1.0, 1.0)


CLIP_CASE = Golden(None, CLIP_SCORES, _TOLERANCE, "2.5 * max(cos, 0) with 'A photo depicts ' before each text")


def clip_scores(inputs: None = None) -> Mapping[str, Statistics]:
    """Score the golden embeddings."""
    import numpy as np

    from harness.metrics.captions.clip_score import clip_statistics

    return clip_statistics(np.array(GOLDEN_IMAGES), GOLDEN_CANDIDATES, GOLDEN_REFERENCES, golden_encode)


def check_clip_score() -> str:
    """Score the golden case and return the signature; raises MetricDrift at the first score that differs."""
    check_golden(clip_scores(), CLIP_CASE)
    return f"clipscore:v{CLIP_VERSION},2.5,prefix"


def golden_encode(texts: Sequence[str]) -> FloatArray:
    """Embed the golden texts [N, 3]; any other text, such as one without the prefix, is something else."""
    import numpy as np

    return np.array([GOLDEN_TEXTS.get(text, _UNKNOWN) for text in texts])
