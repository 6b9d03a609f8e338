"""Which runs each claim about a model needs, asked of the module that judges it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from harness.judge.verdict import (
    accuracy,
    bias,
    compression,
    cost,
    explanations,
    forgetting,
    fragility,
    labels,
    tuning,
    zero_shot,
)
from harness.judge.verdict.needs import ClaimNeeds, ClaimSubject
from harness.judge.verdict.verdict import (
    CLAIMS,
    COMPRESSION_CLAIM,
    COST_CLAIM,
    EFFICIENT_TUNING_CLAIM,
    EXPLANATIONS_CLAIM,
    FORGETTING_CLAIM,
    FRAGILITY_CLAIM,
    FUSION_GAIN_CLAIM,
    GROUP_BIAS_CLAIM,
    LABEL_EFFICIENCY_CLAIM,
    ZERO_SHOT_CLAIM,
)

_NEEDS: Mapping[str, Callable[[ClaimSubject], ClaimNeeds]] = {
    FUSION_GAIN_CLAIM: accuracy.needs,
    ZERO_SHOT_CLAIM: zero_shot.needs,
    EFFICIENT_TUNING_CLAIM: tuning.needs,
    LABEL_EFFICIENCY_CLAIM: labels.needs,
    FRAGILITY_CLAIM: fragility.needs,
    FORGETTING_CLAIM: forgetting.needs,
    COST_CLAIM: cost.needs,
    GROUP_BIAS_CLAIM: bias.needs,
    EXPLANATIONS_CLAIM: explanations.needs,
    COMPRESSION_CLAIM: compression.needs,
}


def needs_of(claim: str, subject: ClaimSubject) -> ClaimNeeds:
    """List the runs that decide a claim about a model, or say why no run could; KeyError for an unknown claim."""
    return _NEEDS[CLAIMS[claim].name](subject)
