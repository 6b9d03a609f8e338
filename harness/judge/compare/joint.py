"""Both models' answers scored as one set of twice as many samples, so that each can be drawn for each sample.

A resample of the joint set that draws for every sample the answer of either the first or the second model scores a
mixture of both: what approximate randomisation needs of a corpus metric (Noreen 1989; Riezler & Maxwell 2005, ACL
W05-0908), without a line of code in any metric. Samples stand as first, second, first, second, …, so that whatever
depends on their order (equal scores of detections) does so in a mixture as it does in one model's answers.

A metric whose joint scores of one model alone are not that model's own is left out: CIDEr's IDF is one, since words of
candidates that no reference has count for more among twice as many references. CIDEr is a mean over samples, though,
and of means no joint set is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.protocols import SupportsTwins, Task
from harness.records.rescore import Rescorer
from harness.records.scoring import Scoring
from harness.sample import Outcome, Sample
from harness.stats.resampling import Statistics


def joint_statistics(
    rescorer: Rescorer, samples: Sequence[Sample], first: Sequence[Outcome], second: Sequence[Outcome]
) -> Mapping[str, Statistics | None]:
    """Score the answers of two models to the same samples together: metrics of 2N samples, twins side by side."""
    pairs = {sample.sample_id: twins_of(rescorer.task, sample) for sample in rescorer.samples}
    with Scoring(rescorer.task, rescorer.data, rescorer.cache) as scorer:
        scorer.prepare([twin for pair in pairs.values() for twin in pair])
        chosen = [twin for sample in samples for twin in pairs[sample.sample_id]]
        outcomes = [
            replace(outcome, sample_id=pairs[outcome.sample_id][place].sample_id)
            for place, answers in enumerate((first, second))
            for outcome in answers
        ]
        return scorer.score(chosen, outcomes)


def twins_of(task: Task, sample: Sample) -> tuple[Sample, Sample]:
    """Copy a sample twice under names of their own."""
    if isinstance(task, SupportsTwins):
        return task.twins(sample)
    return replace(sample, sample_id=f"{sample.sample_id}#a"), replace(sample, sample_id=f"{sample.sample_id}#b")
