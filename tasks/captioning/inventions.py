"""What captions invent: false claims on Scenes, objects that are not there on COCO, and why where neither is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from harness.protocols import Statistics
from harness.sample import Note, Sample
from tasks.captioning.word_limits import CaptionTexts, alike_name, first_words, shorter

if TYPE_CHECKING:
    from tasks.captioning.annotated_objects import AnnotatedObjects
    from tasks.captioning.object_hallucination import ObjectTruth

_Scores = dict[str, Statistics | None]
HOW = "give one with --set task.instances=FILE"
_BESIDE = "no instances_….json beside the captions says which objects are in the images"


@dataclass(frozen=True)
class Inventions:
    """Scores what captions invent: `exact` on Scenes, else by the annotated `objects`, if there are any."""

    exact: bool = False
    objects: AnnotatedObjects | None = None

    @cached_property
    def truth(self) -> ObjectTruth | None:
        """The objects in each image; None without annotations that fit."""
        return None if self.exact or self.objects is None else self.objects.read()

    def prepare(self) -> str:
        """Read the annotations; returns what of them belongs in the signature: versions of the words, and the file."""
        if self.objects is None or self.truth is None:
            return ""
        return f"|objects:{self.truth.words.version}:{self.objects.digest[:12]}"

    def score(self, samples: Sequence[Sample], captions: CaptionTexts) -> _Scores:
        """Score one caption a sample; nothing where the truth is not known."""
        if self.exact:
            from tasks.captioning.false_claims import claim_statistics

            return claim_statistics(samples, captions)
        from tasks.captioning.object_hallucination import OBJECT_METRICS, object_statistics

        if self.truth is None:
            return dict.fromkeys(OBJECT_METRICS)
        return object_statistics(self.truth, _references(samples), captions)

    def score_alike(self, samples: Sequence[Sample], a: CaptionTexts, b: CaptionTexts) -> tuple[_Scores, _Scores]:
        """Score as many words of each caption of two models as both have for its image."""
        limits = shorter(a, b)
        return self._first(samples, a, limits), self._first(samples, b, limits)

    def _first(self, samples: Sequence[Sample], captions: CaptionTexts, limits: Mapping[str, int]) -> _Scores:
        if self.exact:
            from tasks.captioning.false_claims import SHARE, share_of_false_claims

            cut = {image: first_words(text, limits[image]) for image, text in captions.items()}
            return {alike_name(SHARE): share_of_false_claims(samples, cut)}
        from tasks.captioning.object_hallucination import CHAIR_I, chair_i

        if self.truth is None:
            return {}
        return {alike_name(CHAIR_I): chair_i(self.truth, _references(samples), captions, limits)}

    def notes(self, samples: Sequence[Sample], captions: CaptionTexts) -> tuple[Note, ...]:
        """Say why nothing is measured, or on which captions it is not."""
        if self.exact:
            return ()
        if self.objects is None:
            return (Note(f"CHAIR is absent: {_BESIDE}; {HOW}"),)
        if self.truth is None:
            return (Note(f"CHAIR is absent: {self.objects.path.name} has none of the 80 categories of COCO; {HOW}"),)
        found = []
        lacking = sum(sample.sample_id not in self.truth.instances for sample in samples)
        if lacking:
            told = f"CHAIR leaves out images that {self.objects.path.name} does not list: what is in them is not known"
            found.append(Note(told, None, lacking, len(samples)))
        if not any(self.truth.words.mentions(text) for text in captions.values()):
            found.append(Note("CHAIRi is absent: no caption mentions an object of the list"))
        return tuple(found)


def _references(samples: Sequence[Sample]) -> Mapping[str, Sequence[str]]:
    return {sample.sample_id: sample.target.references for sample in samples}
