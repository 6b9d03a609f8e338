"""Which training images get a label, in rounds (`train.acquire`); apart, since its code moves no other training.

A budget of labels (`train.limit`, or `train.shots` for each class) is spent in `train.acquire_rounds` equal parts. The
first is drawn by the seed, the same for every rule and model. Before each of the others a learner is trained anew on
what has labels so far, and a rule chooses among the rest:

- *random*: the order of the first draw goes on; nothing is trained in between;
- *entropy*, *margin*: the answers that are least sure, by the entropy of the probabilities, or by how little the first
  class is above the second (Settles 2009, Active Learning Literature Survey);
- *coreset*: k-center greedy (Sener and Savarese 2018, arXiv 1708.00489): each time the image whose features, the mean
  of the tower's tokens, are farthest from those of all that have labels. A frozen tower needs no training for it.

Samples lose their targets before a rule sees them, and get them back only once they are acquired.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from harness.cell import TrainOptions
from harness.errors import UsageError
from harness.inputs.visual_tokens import VisualTokens
from harness.jobs.acquired import Acquired
from harness.jobs.predict import predict_all
from harness.protocols import NOTICE, Learner, Progress
from harness.sample import Sample

Array = npt.NDArray[np.float64]
RANDOM, ENTROPY, CORESET = "random", "entropy", "coreset"


@dataclass(frozen=True)
class Rounds:
    """What a job offers: a learner trained on samples (or only built), and samples as a learner sees them."""

    learner: Callable[[Sequence[Sample], bool], Learner]
    read: Callable[[Learner, Sequence[Sample]], VisualTokens]
    progress: Progress


def acquire(split: Sequence[Sample], train: TrainOptions, seed: int, classes: int, rounds: Rounds) -> Acquired:
    """Spend the budget of labels; raises UsageError for answers or models that a rule cannot go by."""
    rule = train.acquire or RANDOM
    pool = [replace(sample, target=None) for sample in split]
    order = list(range(len(pool)))
    random.Random(f"acquire {seed}").shuffle(order)
    if train.shots and not classes:
        raise UsageError(f"train.shots={train.shots} counts classes, of which there are none. Take train.limit=N.")
    budget = min(len(pool), train.limit or len(pool), (train.shots or len(pool)) * (classes if train.shots else 1))
    ends = [math.ceil(budget * (n + 1) / train.acquire_rounds) for n in range(train.acquire_rounds)]
    found = [order[: ends[0]]]
    choose = _by_features if rule == CORESET else _by_answers
    for number, end in enumerate(ends[1:], start=2):
        taken = [index for own in found for index in own]
        known = set(taken)
        rest = [index for index in order if index not in known]
        count = end - len(taken)
        if rule != RANDOM and count:
            rounds.progress(
                f"round {number} of {len(ends)}: {len(taken)} labels, choosing {count} by {rule}", 0, NOTICE
            )
            labelled = [split[index] for index in sorted(taken)]
            rest = choose(rule, labelled, [pool[i] for i in taken], [(i, pool[i]) for i in rest], count, train, rounds)
        found.append(rest[:count])
    return Acquired(rule, tuple(tuple(pool[index].sample_id for index in own) for own in found if own))


def _by_answers(
    rule: str,
    labelled: Sequence[Sample],
    taken: Sequence[Sample],
    rest: Sequence[tuple[int, Sample]],
    count: int,
    train: TrainOptions,
    rounds: Rounds,
) -> list[int]:
    """The rest by how unsure a learner is of it; of equals the first in the drawn order."""
    learner = rounds.learner(labelled, True)
    tokens = rounds.read(learner, [sample for _, sample in rest])
    outcomes = predict_all(learner, tokens, train.batch_size, lambda *_: None)
    unsure = {outcome.sample_id: _unsureness(rule, outcome.prediction, learner) for outcome in outcomes}
    readable = [(index, unsure[sample.sample_id]) for index, sample in rest if sample.sample_id in unsure]
    return [index for index, _ in sorted(readable, key=lambda pair: -pair[1])]


def _unsureness(rule: str, answer: object, learner: Learner) -> float:
    """How unsure an answer is: its entropy in nats, or minus what its first class is above the second."""
    probabilities = np.asarray(answer) if isinstance(answer, list | tuple) else np.zeros(0)
    if probabilities.ndim != 1 or len(probabilities) < 2 or probabilities.dtype.kind != "f":
        raise UsageError(
            f"train.acquire={rule} goes by probabilities of classes, and {type(learner).__name__} answers without. "
            "Take random or coreset."
        )
    if rule == ENTROPY:
        known = probabilities[probabilities > 0]
        return float(-(known * np.log(known)).sum())
    second, first = np.sort(probabilities)[-2:]
    return float(second - first)


def _by_features(
    rule: str,
    labelled: Sequence[Sample],
    taken: Sequence[Sample],
    rest: Sequence[tuple[int, Sample]],
    count: int,
    train: TrainOptions,
    rounds: Rounds,
) -> list[int]:
    """So many of the rest, each the farthest from all that have labels by then."""
    learner = rounds.learner(labelled, False)
    if learner.vision is None:
        rounds.progress("sees no images: all are equally far, and the drawn order stands", 0, NOTICE)
        return [index for index, _ in rest]
    if not learner.vision_frozen:
        learner = rounds.learner(labelled, True)
    tokens = rounds.read(learner, [*taken, *(sample for _, sample in rest)])
    known = {sample.sample_id for sample in taken}
    features = _features(tokens, train.batch_size)
    centres = [place for place, sample in enumerate(tokens.samples) if sample.sample_id in known]
    index_of = {sample.sample_id: index for index, sample in rest}
    return [index_of[tokens.samples[place].sample_id] for place in k_center_greedy(features, centres, count)]


def _features(tokens: VisualTokens, batch_size: int) -> Array:
    """The mean of the visual tokens of each sample, `[N, width]`."""
    parts = []
    with torch.no_grad():
        for start in range(0, len(tokens), batch_size):
            batch = tokens.batch(range(start, min(start + batch_size, len(tokens))), with_targets=False)
            assert batch.visual is not None
            parts.append(batch.visual.float().flatten(1, -2).mean(dim=1).cpu().numpy())
    return np.concatenate(parts).astype(np.float64)


def k_center_greedy(features: Array, centres: Sequence[int], count: int) -> list[int]:
    """Choose `count` rows of `[N, width]`, each the farthest from the centres and those before; of equals the first."""
    nearest = np.full(len(features), np.inf)
    for centre in centres:
        nearest = np.minimum(nearest, ((features - features[centre]) ** 2).sum(axis=1))
    nearest[list(centres)] = -1.0
    found: list[int] = []
    for _ in range(min(count, len(features) - len(centres))):
        farthest = int(nearest.argmax())
        found.append(farthest)
        nearest = np.minimum(nearest, ((features - features[farthest]) ** 2).sum(axis=1))
        nearest[farthest] = -1.0
    return found
