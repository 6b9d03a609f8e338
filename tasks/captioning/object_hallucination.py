"""Objects in captions that are not in the image: CHAIR (Rohrbach et al. 2018, arXiv 1809.02156).

CHAIRi is the share of mentions that are of no object of the image, CHAIRs the share of captions with such a mention.
What is in the image: the categories of its annotated instances and those that its reference captions mention. Short
captions make few mistakes, so both always come with the length of captions, with how many of the objects are mentioned,
with how many captions mention none, and with CHAIRi of captions cut to their first words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.protocols import Statistics
from harness.stats.proportions import ProportionStatistics, proportion
from harness.stats.resampling import FloatArray, MeanStatistics
from harness.stats.sums import SumStatistics, ratio_of_sums
from tasks.captioning.object_words import ObjectWords
from tasks.captioning.word_limits import WORD_LIMITS, CaptionTexts, length_of, limited_name

CHAIR_I, CHAIR_S, RECALL, SILENT, WORDS = "CHAIRi", "CHAIRs", "object-recall", "no-object", "caption-words"
CHAIR_LIMITED = tuple(limited_name(CHAIR_I, limit) for limit in WORD_LIMITS)
OBJECT_METRICS = (CHAIR_I, CHAIR_S, RECALL, SILENT, WORDS, *CHAIR_LIMITED)
Objects = frozenset[str]


@dataclass(frozen=True)
class ObjectTruth:
    """The categories of the instances of each image, by image id, and the words for them.

    Images that nobody annotated lack: of them nothing is known, and only the length of their captions counts.
    """

    words: ObjectWords
    instances: Mapping[str, Objects]

    def known(self, image: str, references: Sequence[str]) -> Objects | None:
        """Give the categories of an image's instances and of its references; None where nobody annotated it."""
        annotated = self.instances.get(image)
        if annotated is None:
            return None
        return annotated.union(*(self.words.mentions(reference) for reference in references))


def object_statistics(
    truth: ObjectTruth, references: Mapping[str, Sequence[str]], captions: CaptionTexts
) -> dict[str, Statistics | None]:
    """Score one caption an image, in the order of `references`; None where there is nothing to divide by."""
    there = [truth.known(image, texts) for image, texts in references.items()]
    texts = [captions[image] for image in references]
    said = [truth.words.mentions(text) for text in texts]
    annotated = np.array([objects is not None for objects in there], dtype=np.bool_)
    false = np.array([not _all_there(names, objects) for names, objects in zip(said, there, strict=True)])
    return {
        CHAIR_I: _ratio(mention_counts(said, there)),
        CHAIR_S: ProportionStatistics(false, annotated) if annotated.any() else None,
        RECALL: _ratio(_recalled(said, there)),
        SILENT: proportion(np.array([not names for names in said])),
        WORDS: MeanStatistics(np.array([length_of(text) for text in texts], dtype=np.float64)),
        **{
            name: _ratio(mention_counts([truth.words.mentions(text, limit) for text in texts], there))
            for name, limit in zip(CHAIR_LIMITED, WORD_LIMITS, strict=True)
        },
    }


def chair_i(
    truth: ObjectTruth, references: Mapping[str, Sequence[str]], captions: CaptionTexts, limits: Mapping[str, int]
) -> Statistics | None:
    """CHAIRi alone, of mentions within the first words of each caption, as many as `limits` say for its image."""
    there = [truth.known(image, texts) for image, texts in references.items()]
    said = [truth.words.mentions(captions[image], limits[image]) for image in references]
    return _ratio(mention_counts(said, there))


def mention_counts(said: Sequence[Sequence[str]], there: Sequence[Objects | None]) -> FloatArray:
    """Count mentions of objects that are not there, and all mentions `[N, 2]`; 0 and 0 where nothing is known.

    Each mention counts, as in the authors' code.

    >>> mention_counts([["dog", "dog", "cat"], [], ["cat"]], [frozenset({"cat"}), frozenset(), None]).tolist()
    [[2.0, 3.0], [0.0, 0.0], [0.0, 0.0]]
    """
    rows = [
        (0, 0) if objects is None else (sum(name not in objects for name in names), len(names))
        for names, objects in zip(said, there, strict=True)
    ]
    return np.array(rows, dtype=np.float64).reshape(-1, 2)


def _recalled(said: Sequence[Sequence[str]], there: Sequence[Objects | None]) -> FloatArray:
    """Count the objects of an image that are mentioned, and all of them `[N, 2]`."""
    known = [objects or Objects() for objects in there]
    rows = [(len(objects.intersection(names)), len(objects)) for names, objects in zip(said, known, strict=True)]
    return np.array(rows, dtype=np.float64).reshape(-1, 2)


def _all_there(names: Sequence[str], objects: Objects | None) -> bool:
    return objects is None or objects.issuperset(names)


def _ratio(counts: FloatArray) -> Statistics | None:
    """The ratio of two sums; None where nothing was mentioned, or nothing is there."""
    return SumStatistics(counts, ratio_of_sums) if counts[:, 1].sum() else None
