"""Exact proposition precision, recall and F1 of captions on Scenes: what they claim, and what of it is true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from harness.sample import Sample
from harness.stats.sums import SumStatistics
from tasks.scenes import proposition_scores

PROPOSITION_METRICS = ("proposition-precision", "proposition-recall", "proposition-F1")
_SIDEWAYS = "left-of"
Counts = npt.NDArray[np.float64]
PropositionKind = Literal["precision", "recall", "F1"]


def proposition_statistics(samples: Sequence[Sample], captions: Mapping[str, str]) -> dict[str, SumStatistics]:
    """Parse each caption and compare its claims with the facts of its image."""
    rows = []
    for sample in samples:
        facts = sample.target.facts
        found = proposition_scores(captions[sample.sample_id], facts["facts"], facts["forms"])
        rows.append((found.asserted, found.asserted_true, found.reference, found.recalled))
    return statistics_of_counts(np.asarray(rows, dtype=np.float64))


def statistics_of_counts(counts: Counts) -> dict[str, SumStatistics]:
    """Score counts `[N, 4]` of N images by all three."""
    kinds: tuple[PropositionKind, ...] = ("precision", "recall", "F1")
    return {
        name: SumStatistics(counts, partial(_score, kind=kind))
        for name, kind in zip(PROPOSITION_METRICS, kinds, strict=True)
    }


def mirrored_facts(target_facts: Mapping[str, Any]) -> dict[str, Any]:
    """What is true of a mirrored image: whoever was on the left of another is on its right now.

    Takes and returns the `facts` of a `CaptionTarget`: those of the image, and the logical forms of the references.
    """
    facts, forms = target_facts["facts"], target_facts["forms"]
    relations = [[name, b, a] if name == _SIDEWAYS else [name, a, b] for name, a, b in facts["relations"]]
    turned = [
        {**form, "objects": form["objects"][::-1]} if form.get("relation") == _SIDEWAYS else form for form in forms
    ]
    return {"facts": {**facts, "relations": relations}, "forms": turned}


def _score(sums: Counts, kind: PropositionKind) -> Counts:
    """Ratios of sums; a corpus that claims nothing has precision 0, not an error."""
    asserted, correct, reference, recalled = np.moveaxis(sums, -1, 0)
    precision = correct / np.maximum(asserted, 1)
    recall = recalled / np.maximum(reference, 1)
    if kind == "precision":
        return np.asarray(precision)
    if kind == "recall":
        return np.asarray(recall)
    return np.asarray(2 * precision * recall / np.maximum(precision + recall, 1e-12))
