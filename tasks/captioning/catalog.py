"""The metrics of what captions claim, registered by the entry points of `bench.metrics`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.metrics.metric import Golden, Metric

if TYPE_CHECKING:
    from harness.protocols import Statistics
    from harness.stats.sums import SumStatistics

_COUNTS = ((4, 2, 5, 2), (1, 1, 3, 1), (0, 0, 2, 0))
"""Of three images: asserted, asserted and true, in the references, of these asserted."""
_SCORES = {"proposition-precision": 3 / 5, "proposition-recall": 3 / 10, "proposition-F1": 2 * 0.6 * 0.3 / 0.9}
_CASE = Golden(_COUNTS, _SCORES, name="three captions counted by hand")
_TITLES = {
    "proposition-precision": "share of what captions claim that is true of the scene",
    "proposition-recall": "share of what references claim that captions claim too",
    "proposition-F1": "harmonic mean of both",
}
_SOURCE = "exact tuples in the place of SPICE's parsed ones (Anderson et al. 2016, arXiv 1607.08822)"


def _scores(counts: Sequence[Sequence[int]]) -> Mapping[str, SumStatistics]:
    import numpy as np

    from tasks.captioning.propositions import statistics_of_counts

    return statistics_of_counts(np.array(counts, dtype=np.float64))


PROPOSITIONS = tuple(Metric(name, title, True, _SOURCE, _scores, (_CASE,)) for name, title in _TITLES.items())

INVENTED, CUT = "Invented in captions", "Invented in first words"
"""The tables in which these metrics stand together: none of them can be read without the others."""
_CHAIR = "CHAIR (Rohrbach et al. 2018, arXiv 1809.02156)"
_EXACT = "CHAIR (Rohrbach et al. 2018, arXiv 1809.02156) over exact propositions"
_IMAGES = {
    # image: (instances, references, caption)
    "1": (("person", "dog"), ("A man eats a hot dog.",), "Two dogs and a cat near a man, a cat on a baby chair"),
    "2": (("car",), ("Cars on a street",), "A street in the evening with people"),
    "3": ((), ("a field",), "a green field"),
}
_OBJECTS = Golden(
    _IMAGES,
    {
        "CHAIRi": 4 / 6,
        "CHAIRs": 2 / 3,
        "object-recall": 2 / 4,
        "no-object": 1 / 3,
        "caption-words": 8.0,
        "CHAIRi-first-5-words": 1 / 2,
        "CHAIRi-first-10-words": 3 / 5,
        "CHAIRi-first-20-words": 4 / 6,
        "CHAIRi-first-40-words": 4 / 6,
        "CHAIRi-at-equal-length": 4 / 6,
    },
    name="three captions with invented objects",
)
_CLAIMS = Golden(
    (
        {"object": (1, 2), "attribute": (0, 2), "relation": (1, 1), "count": (0, 0), "surroundings": (0, 1)},
        {"object": (0, 1), "attribute": (0, 0), "relation": (0, 0), "count": (0, 0), "surroundings": (0, 1)},
        {"object": (0, 0), "attribute": (0, 0), "relation": (0, 0), "count": (0, 0), "surroundings": (0, 0)},
    ),
    {
        "false-claims": 2 / 8,
        "false-captions": 1 / 3,
        "no-claim": 1 / 3,
        "false-claims-first-4-words": 2 / 8,
        "false-claims-first-8-words": 2 / 8,
        "false-claims-first-12-words": 2 / 8,
        "false-claims-first-16-words": 2 / 8,
        "false-claims-at-equal-length": 2 / 8,
    },
    name="claims of three captions",
)


def _objects(images: Mapping[str, Any]) -> Mapping[str, Statistics | None]:
    from tasks.captioning.object_hallucination import CHAIR_I, ObjectTruth, object_statistics
    from tasks.captioning.object_words import coco_words
    from tasks.captioning.word_limits import alike_name

    truth = ObjectTruth(coco_words(), {image: frozenset(seen) for image, (seen, _, _) in images.items()})
    references = {image: texts for image, (_, texts, _) in images.items()}
    found = object_statistics(truth, references, {image: caption for image, (_, _, caption) in images.items()})
    return {**found, alike_name(CHAIR_I): found[CHAIR_I]}


def _claims(counts: Sequence[Mapping[str, tuple[int, int]]]) -> Mapping[str, Statistics | None]:
    from tasks.captioning.false_claims import CLAIMS_LIMITED, SHARE, statistics_of_claims
    from tasks.captioning.word_limits import alike_name

    found = statistics_of_claims(counts)
    return {**found, **dict.fromkeys((*CLAIMS_LIMITED, alike_name(SHARE)), found[SHARE])}


def _objects_metric(name: str, title: str, better: bool | None = False, table: str = INVENTED) -> Metric:
    return Metric(name, title, better, _CHAIR, _objects, (_OBJECTS,), together=table)


def _claims_metric(name: str, title: str, better: bool | None = False, table: str = INVENTED) -> Metric:
    return Metric(name, title, better, _EXACT, _claims, (_CLAIMS,), together=table)


CAPTION_WORDS = Metric(
    "caption-words",
    "words of a caption",
    None,
    "definition: words, the mean over captions",
    _objects,
    (_OBJECTS,),
    "words",
    0.0,
    None,
    together=INVENTED,
)
OBJECTS = (
    _objects_metric("CHAIRi", "share of mentioned objects that are not in the image"),
    _objects_metric("CHAIRs", "share of captions with an object that is not in the image"),
    replace(
        _objects_metric("object-recall", "share of the objects in the image that are mentioned", better=True),
        reference="definition: objects that are mentioned, divided by those in instances or references",
    ),
    replace(
        _objects_metric("no-object", "share of captions that mention no object", better=None),
        reference="definition: captions without a word of the list of objects, divided by all",
    ),
    CAPTION_WORDS,
    *(
        _objects_metric(f"CHAIRi-first-{limit}-words", f"CHAIRi of the first {limit} words", table=CUT)
        for limit in (5, 10, 20, 40)
    ),
    _objects_metric("CHAIRi-at-equal-length", "CHAIRi in as many words as both models say"),
)
FALSE_CLAIMS = (
    _claims_metric("false-claims", "share of what captions claim that is false of the scene"),
    _claims_metric("false-captions", "share of captions with a false claim"),
    replace(
        _claims_metric("no-claim", "share of captions that claim nothing that can be read", better=None),
        reference="definition: captions without a proposition, divided by all",
    ),
    *(
        _claims_metric(f"false-claims-first-{limit}-words", f"false claims in the first {limit} words", table=CUT)
        for limit in (4, 8, 12, 16)
    ),
    _claims_metric("false-claims-at-equal-length", "false claims in as many words as both models say"),
)
