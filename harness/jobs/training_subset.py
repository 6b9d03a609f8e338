"""Which part of a training split a job trains on: the first samples, or so many of each class.

Of each class the first `train.shots` samples are taken in an order that is drawn by the seed: another draw for each
seed, the same one for all models of it, and within a draw fewer shots are a part of more.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from harness.cell import TrainOptions
from harness.errors import UsageError
from harness.sample import Sample, limited


def training_subset(samples: Sequence[Sample], train: TrainOptions, seed: int) -> Sequence[Sample]:
    """Take the part of a training split that the options name, in the order of the split.

    Raises UsageError for shots of samples that do not have one class each.
    """
    first = limited(samples, train.limit)
    if train.shots is None:
        return first
    classes = [_class_of(sample, train.shots) for sample in first]
    order = list(range(len(classes)))
    random.Random(f"shots {seed}").shuffle(order)
    taken: Counter[int] = Counter()
    chosen = []
    for place in order:
        if taken[classes[place]] < train.shots:
            taken[classes[place]] += 1
            chosen.append(place)
    return [first[place] for place in sorted(chosen)]


def _class_of(sample: Sample, shots: int) -> int:
    label = getattr(sample.target, "label", None)
    several: Sequence[int] = getattr(sample.target, "labels", ())
    if not isinstance(label, int) or several:
        raise UsageError(
            f"train.shots={shots} counts samples of each class, and a sample such as {sample.sample_id} does not have "
            "one class. Take train.limit=N, the number of all samples."
        )
    return label
