"""One of several options, read out of what a server says of probabilities: of its first token, or of the whole request.

Where it says nothing of them, what the model has said in words decides (`harness.text.said_option`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

_AROUND = " \t\n()[]{}.,:;!?*\"'`_▁Ġ"
_SLACK = 8
_LEAST = 1e-10


def first_token_scores(first: Mapping[str, float], answers: Sequence[str]) -> list[float] | None:
    """Log-likelihood of each answer by the first token of a reply, from the most probable tokens and their logs.

    A token counts for the one answer that begins with it. An answer that none of the listed tokens begins has at most
    the probability of the last of them, and at most what is left of 1, and gets that. None where no answer is listed,
    or where tokens that begin several answers are more probable than those that tell them apart.
    """
    plain = [answer.strip(_AROUND).casefold() for answer in answers]
    masses, unclear = [0.0] * len(plain), 0.0
    for token, logprob in first.items():
        said = token.strip(_AROUND).casefold()
        if not said:
            continue
        places = [place for place, answer in enumerate(plain) if answer == said]
        places = places or [place for place, answer in enumerate(plain) if answer.startswith(said)]
        if len(places) == 1:
            masses[places[0]] += math.exp(logprob)
        elif places:
            unclear += math.exp(logprob)
    best = max(masses, default=0.0)
    if best <= 0.0 or unclear >= best:
        return None
    left = 1.0 - math.fsum(map(math.exp, first.values()))
    floor = min(*first.values(), math.log(max(left, _LEAST)))
    return [math.log(mass) if mass > 0 else floor for mass in masses]


def likelihood_score(prompt: Sequence[tuple[str, float]], answer: str, how: str) -> float | None:
    """Log-likelihood of an answer at the end of a request, `sum` or `mean` over its tokens; None where it is not."""
    said, logprobs = "", []
    for token, logprob in reversed(prompt):
        said = token + said
        logprobs.append(logprob)
        if said.strip() == answer.strip():
            total = math.fsum(logprobs)
            return total / len(logprobs) if how == "mean" else total
        if len(said) > len(answer) + _SLACK:
            break
    return None


def shares(scores: Sequence[float]) -> list[float]:
    """Turn log-likelihoods into probabilities of the options among each other.

    >>> shares([0.0, 0.0])
    [0.5, 0.5]
    """
    highest = max(scores)
    masses = [math.exp(score - highest) for score in scores]
    return [mass / sum(masses) for mass in masses]
