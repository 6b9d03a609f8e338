"""Scores choices among captions: overall, by kind of foil, by group, and against what the texts alone give away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.protocols import Statistics
from harness.sample import Note, Outcome, Sample
from tasks.foils.blind import blind_credits
from tasks.foils.files import groups_in
from tasks.targets.matching import in_sample_order
from tasks.targets.plain_scorer import PlainScorer, require_samples

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Bools = npt.NDArray[np.bool_]

ACCURACY, IMAGE, GROUP, CHANCE, ABOVE = (
    "matching-accuracy", "image-score", "group-score", "matching-chance", "above-blind",
)  # fmt: skip
_LEAST_IN_A_SLICE = 2


class FoilScorer(PlainScorer):
    """The scorer of `compositional-foils`."""

    def prepare(self, samples: Sequence[Sample]) -> str:
        """Check the split; the signature names the version."""
        require_samples(samples)
        return "foils:1"

    def score(self, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> Mapping[str, Statistics | None]:
        """Score one list of scores a sample; a true text that shares the highest score is not told apart: wrong."""
        answers = in_sample_order(samples, outcomes, "list of scores")
        return foil_statistics(samples, answers)

    def notes(self, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> Sequence[Note]:
        """Count the samples of which no text was told from another."""
        answers = in_sample_order(samples, outcomes, "list of scores")
        tied = sum(len(set(answer)) == 1 for answer in answers)
        text = "all texts got the same score: counted wrong"
        return (Note(text, None, tied, len(samples)),) if tied else ()


def foil_statistics(samples: Sequence[Sample], answers: Sequence[Sequence[float]]) -> dict[str, Statistics | None]:
    """Score answers in the order of the samples."""
    import numpy as np

    from harness.stats.intervals import DifferenceOf
    from harness.stats.resampling import MeanStatistics
    from harness.stats.slices import slice_of

    clusters = [sample.target.image_id or sample.sample_id for sample in samples]
    right = right_choices(samples, answers)
    accuracy = _proportion(right)
    found: dict[str, Statistics | None] = {ACCURACY: accuracy}
    found |= _group_statistics(samples, answers, right)
    blind = {name: MeanStatistics(np.array(own), (0.0, 1.0)) for name, own in blind_credits(samples).items()}
    best = max(blind.values(), key=lambda one: one.value)
    chance = np.array([1 / len(sample.choices) for sample in samples])
    found |= {**blind, ABOVE: DifferenceOf(accuracy, best), CHANCE: MeanStatistics(chance, (0.0, 1.0))}
    kinds = sorted({kind for sample in samples for kind in sample.target.slices})
    for kind in kinds:
        places = np.flatnonzero([kind in sample.target.slices for sample in samples])
        if len(places) >= _LEAST_IN_A_SLICE:
            found[f"{ACCURACY}[{kind}]"] = _together(slice_of(accuracy, places), [clusters[place] for place in places])
    return {n: s if s is None or "[" in n else _together(s, clusters) for n, s in found.items()}


def right_choices(samples: Sequence[Sample], answers: Sequence[Sequence[float]]) -> Bools:
    """Tell whether the true text alone has the highest score `[N]`."""
    import numpy as np

    return np.array(
        [
            sum(score >= answer[sample.target.choice] for score in answer) == 1
            for sample, answer in zip(samples, answers, strict=True)
        ],
        dtype=np.bool_,
    )


def _group_statistics(
    samples: Sequence[Sample], answers: Sequence[Sequence[float]], right: Bools
) -> dict[str, Statistics | None]:
    """Winoground's scores (Thrush et al. 2022, arXiv 2204.03162): each text picks its image; texts and images both.

    None where two images and two texts make no groups.
    """
    import numpy as np

    groups = groups_in(samples)
    if not groups:
        return {}
    image, both, trial = (np.zeros(len(samples), dtype=np.bool_) for _ in range(3))
    for places in groups.values():
        one, other = places
        a, b = samples[one].target.choice, samples[other].target.choice
        picks = answers[one][a] > answers[other][a] and answers[other][b] > answers[one][b]
        image[places], both[places], trial[places] = picks, picks and right[places].all(), True
    return {IMAGE: _proportion(image, trial), GROUP: _proportion(both, trial)}


def _proportion(right: Bools, trial: Bools | None = None) -> Statistics:
    import numpy as np

    from harness.stats.proportions import ProportionStatistics

    return ProportionStatistics(right, np.ones(len(right), dtype=np.bool_) if trial is None else trial)


def _together(statistics: Statistics, clusters: Sequence[str]) -> Statistics:
    """Draw the samples of an image together; a metric by itself where none share one."""
    from harness.stats.grouped import GroupedStatistics

    return statistics if len(set(clusters)) == len(clusters) else GroupedStatistics(statistics, clusters)


def quick_accuracy(predictions: Sequence[Any], choices: Sequence[int]) -> float:
    """The share of right choices, for choosing checkpoints."""
    right = [sum(s >= scores[choice] for s in scores) == 1 for scores, choice in zip(predictions, choices, strict=True)]
    return float(sum(right) / max(1, len(right)))
