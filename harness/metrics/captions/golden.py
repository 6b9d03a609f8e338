"""Golden inputs of caption metrics: fixed cases with known scores, checked before scoring, and the signature.

The known scores are pycocoevalcap 1.2's own. The cases are small, but a scorer that skips the tokenizer, takes its
IDF from one pair at a time or loses METEOR's stems, synonyms or paraphrases gives other scores on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from harness.metrics.metric import Golden, check_golden

if TYPE_CHECKING:
    from harness.protocols import Statistics

CAPTION_VERSION = 1  # of the implementation: raise it whenever a score may change
_TOLERANCE = 1e-9


class Score(Protocol):
    """Scores one caption an image; the IDF comes from the split's references where they are given."""

    def __call__(
        self,
        references: Mapping[str, Sequence[str]],
        candidates: Mapping[str, str],
        split_references: Mapping[str, Sequence[str]] | None = None,
        /,
    ) -> Mapping[str, Statistics | None]:
        """Return statistics by metric, None for an absent one."""
        ...


@dataclass(frozen=True)
class GoldenCase:
    """Captions of a few images and the corpus score of each metric."""

    name: str
    references: Mapping[str, Sequence[str]]
    candidates: Mapping[str, str]
    scores: Mapping[str, float]


GOLDEN_CASES = (
    GoldenCase(
        name="tokens and IDF",
        references={
            "1": ["A man, riding a wave on his surfboard.", "The man's surfing (on top of a wave)!"],
            "2": ["A brown dog is catching a red frisbee.", "The dog jumps; it catches the frisbee -- in mid-air."],
            "3": ["Two cats sleep on the couch.", 'Two cats are asleep on a "grey" sofa.'],
            "4": ["A U.S. flag costs $5.50 at the market.", "Someone sells American flags at a market?"],
        },
        candidates={
            "1": "A man riding a wave on top of a surfboard",
            "2": "a brown dog catching a frisbee!",
            "3": "Two cats, sleeping on a couch.",
            "4": "A flag at the market costs $5.50",
        },
        scores={
            "CIDEr": 2.886502481607365,
            "BLEU-1": 0.8731398526379672,
            "BLEU-2": 0.7308078598081629,
            "BLEU-3": 0.5890575960801183,
            "BLEU-4": 0.4540220556899875,
            "METEOR": 0.4200904591813637,
            "ROUGE-L": 0.7195061177807226,
        },
    ),
    GoldenCase(
        name="short, empty and repeating captions",
        references={
            "1": ["a group of people standing in front of a large building", "people stand near a building"],
            "2": ["a plate of food with broccoli and rice on the table"],
            "3": ["a train on the tracks", "the long train is coming down the railway tracks towards us"],
        },
        candidates={"1": "people standing", "2": "", "3": "train train train on the tracks"},
        scores={
            "CIDEr": 1.108370760284738,
            "BLEU-1": 0.14768375636622466,
            "BLEU-2": 0.13923758079397847,
            "BLEU-3": 0.12404658224201018,
            "BLEU-4": 0.10579768266334726,
            "METEOR": 0.1490874748280614,
            "ROUGE-L": 0.34565163833456514,
        },
    ),
    GoldenCase(
        name="stems, synonyms and paraphrases",
        references={
            "1": ["the automobile was purchased yesterday"],
            "2": ["children ran quickly across the street"],
            "3": ["a large number of people attended the meeting"],
        },
        candidates={
            "1": "the car was bought yesterday",
            "2": "kids running quick over the road",
            "3": "many people were present at the meeting",
        },
        scores={
            "CIDEr": 0.797104321341772,
            "BLEU-1": 0.3678731267562007,
            "BLEU-2": 0.15231394498837694,
            "BLEU-3": 1.2228979172288627e-06,
            "BLEU-4": 3.7234897170677944e-09,
            "METEOR": 0.38324732175175397,
            "ROUGE-L": 0.3873050155987521,
        },
    ),
)


GOLDEN_PART = ("3", "1")
GOLDEN_PART_SCORES = {"CIDEr": 3.365509090146854}
"""Of two images of the first case, with the IDF of all four: the mean of what they score among all."""


@dataclass(frozen=True)
class GoldenCaptions:
    """Captions of images and their references; `split_references` are those of the split where these are a part."""

    references: Mapping[str, Sequence[str]]
    candidates: Mapping[str, str]
    split_references: Mapping[str, Sequence[str]] | None = None


def _part(whole: GoldenCase) -> Golden:
    references = {image: whole.references[image] for image in GOLDEN_PART}
    candidates = {image: whole.candidates[image] for image in GOLDEN_PART}
    inputs = GoldenCaptions(references, candidates, whole.references)
    return Golden(inputs, GOLDEN_PART_SCORES, _TOLERANCE, f"a part of {whole.name}")


CAPTION_CASES = (
    *(
        Golden(GoldenCaptions(case.references, case.candidates), case.scores, _TOLERANCE, case.name)
        for case in GOLDEN_CASES
    ),
    _part(GOLDEN_CASES[0]),
)


def check_golden_cases(score: Score) -> None:
    """Score all golden cases, and a part of one; raises MetricDrift at the first score that differs.

    Absent metrics pass.
    """
    for case in CAPTION_CASES:
        given = case.inputs
        check_golden(score(given.references, given.candidates, given.split_references), case, absent=True)


def caption_signature() -> str:
    """How caption scores are made: implementation, versions, options.

    It says how each metric is computed where it is present, so that an absent METEOR or SPICE changes nothing.
    """
    from harness.metrics.captions.java_archives import package_version

    return "|".join(
        [
            f"caption:v{CAPTION_VERSION}",
            f"pycocoevalcap{package_version()}",
            "ptb3.4.1:lower,nopunct",
            "bleu:1-4,corpus,closest",
            "meteor1.5:en,norm",
            "rouge-l:beta=1.2",
            "cider-d:n=4,sigma=6,idf=split",
            "spice1.0",
        ]
    )
