"""How far the texts alone go: the longest, the shortest, and words that are commoner in true captions than in foils.

Hsieh et al. 2023 (SugarCrepe, arXiv 2306.14610) found that models without an image solve earlier sets. The words are
weighed on other images of the same set (five folds by image), so nothing of a sample is in its own weights.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from harness.sample import Sample
from harness.text.spelling import name_bytes

LONGEST, SHORTEST, BY_WORDS = "blind-longest", "blind-shortest", "blind-words"
_FOLDS = 5
_WORD = re.compile(r"\w+")


def blind_credits(samples: Sequence[Sample]) -> dict[str, list[float]]:
    """Give the credit of each way on each sample: 1 for the true text alone on top, a share where several are."""
    lengths = [[float(len(text)) for text in sample.choices] for sample in samples]
    shorter = [[-length for length in own] for own in lengths]
    scores = {LONGEST: lengths, SHORTEST: shorter, BY_WORDS: word_scores(samples)}
    return {
        name: [credit(own, s.target.choice) for own, s in zip(every, samples, strict=True)]
        for name, every in scores.items()
    }


def credit(scores: Sequence[float], right: int) -> float:
    """1 for the right choice alone on top, its share where several share the top, else 0.

    >>> credit([0.1, 0.9], 1), credit([0.5, 0.5], 0), credit([0.9, 0.1], 1)
    (1.0, 0.5, 0.0)
    """
    top = max(scores)
    return (scores[right] == top) / sum(score == top for score in scores)


def word_scores(samples: Sequence[Sample]) -> list[list[float]]:
    """Score each choice by the weights of its words, learned on the other folds."""
    folds = [fold_of(sample.target.image_id or sample.sample_id) for sample in samples]
    weights = {
        fold: word_weights([s for s, own in zip(samples, folds, strict=True) if own != fold]) for fold in set(folds)
    }
    return [
        [math.fsum(weights[fold].get(word, 0.0) for word in sorted(_words(text))) for text in sample.choices]
        for sample, fold in zip(samples, folds, strict=True)
    ]


def fold_of(image: str) -> int:
    """The fold of an image, 0 to 4: the same in any order of samples."""
    return hashlib.sha256(name_bytes(image)).digest()[0] % _FOLDS


def word_weights(samples: Sequence[Sample]) -> Mapping[str, float]:
    """How much more often a word is in true texts than in foils, as a logarithm with one added to both counts."""
    right, wrong = Counter[str](), Counter[str]()
    for sample in samples:
        for place, text in enumerate(sample.choices):
            (right if place == sample.target.choice else wrong).update(_words(text))
    ratio = max(1, sum(wrong.values())) / max(1, sum(right.values()))
    return {word: math.log((right[word] + 1) / (wrong[word] + 1) * ratio) for word in right | wrong}


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))
