"""Every false claim of captions on Scenes, by kind: what a caption says and the scene's facts deny, exactly.

The exact form of CHAIR (Rohrbach et al. 2018, arXiv 1809.02156), which can see objects alone: a caption's propositions
are read by the grammar that made the references, and each is true or false of the scene.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harness.protocols import Statistics
from harness.sample import Sample
from harness.stats.proportions import proportion
from harness.stats.resampling import MeanStatistics
from harness.stats.sums import SumStatistics, ratio_of_sums
from tasks.captioning.word_limits import CaptionTexts, first_words, length_of, limited_name
from tasks.scenes import propositions
from tasks.scenes.claims import Proposition, holds, true_propositions

SHARE, CAPTIONS, SILENT, WORDS = "false-claims", "false-captions", "no-claim", "caption-words"
CLAIM_KINDS: Mapping[str, tuple[str, ...]] = {
    "object": ("object",),
    "attribute": ("attribute",),
    "relation": ("relation",),
    "count": ("count",),
    "surroundings": ("ground", "ground_colour", "sky"),
}
"""Kinds of claim, by the first words of the propositions of each."""
CLAIM_LIMITS = (4, 8, 12, 16)
CLAIMS_LIMITED = tuple(limited_name(SHARE, limit) for limit in CLAIM_LIMITS)
ClaimCounts = Mapping[str, tuple[int, int]]
"""False claims and all claims, by kind."""


def claim_statistics(samples: Sequence[Sample], captions: CaptionTexts) -> dict[str, Statistics | None]:
    """Score one caption a sample of Scenes; None where no caption makes such a claim."""
    facts = [sample.target.facts["facts"] for sample in samples]
    texts = [captions[sample.sample_id] for sample in samples]
    return statistics_of_claims([claim_counts(t, f) for t, f in zip(texts, facts, strict=True)]) | {
        WORDS: MeanStatistics(np.array([length_of(text) for text in texts], dtype=np.float64)),
        **{
            name: _share([claim_counts(first_words(t, limit), f) for t, f in zip(texts, facts, strict=True)])
            for name, limit in zip(CLAIMS_LIMITED, CLAIM_LIMITS, strict=True)
        },
    }


def share_of_false_claims(samples: Sequence[Sample], captions: CaptionTexts) -> Statistics | None:
    """The share of false claims alone, as `claim_statistics` has it."""
    return _share([claim_counts(captions[s.sample_id], s.target.facts["facts"]) for s in samples])


def claim_counts(caption: str, facts: Mapping[str, Any]) -> ClaimCounts:
    """Count what a caption claims of a scene, by kind: what of it is false, and all of it."""
    claims, _ = propositions(caption)
    false = false_claims(claims, facts)
    return {
        kind: (sum(claim[0] in words for claim in false), sum(claim[0] in words for claim in claims))
        for kind, words in CLAIM_KINDS.items()
    }


def false_claims(claims: frozenset[Proposition], facts: Mapping[str, Any]) -> list[Proposition]:
    """List the claims that do not hold."""
    true = true_propositions(facts)
    return [claim for claim in claims if claim not in true and not (claim[0] == "count" and holds(claim, facts))]


def statistics_of_claims(counts: Sequence[ClaimCounts]) -> dict[str, Statistics | None]:
    """The share of false claims, of all kinds and of each; captions with a false claim, and those without any claim."""
    totals = _totals(counts)
    return {
        SHARE: _share(counts),
        **{f"{SHARE}:{kind}": _ratio([own[kind] for own in counts]) for kind in CLAIM_KINDS},
        CAPTIONS: proportion(totals[:, 0] > 0),
        SILENT: proportion(totals[:, 1] == 0),
    }


def _totals(counts: Sequence[ClaimCounts]) -> Any:
    return np.array([np.sum(list(own.values()), axis=0) for own in counts], dtype=np.float64).reshape(-1, 2)


def _share(counts: Sequence[ClaimCounts]) -> Statistics | None:
    return _ratio(_totals(counts))


def _ratio(counts: Any) -> Statistics | None:
    """False claims over claims `[N, 2]`; None where there is no claim."""
    parts = np.array(counts, dtype=np.float64).reshape(-1, 2)
    return SumStatistics(parts, ratio_of_sums) if parts[:, 1].sum() else None
