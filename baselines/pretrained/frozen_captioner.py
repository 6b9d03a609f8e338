"""The base of pretrained captioners."""

from __future__ import annotations

from baselines.pretrained.frozen_learner import FrozenLearner


class FrozenCaptioner(FrozenLearner):
    """A captioner that is evaluated only; subclasses add `predict`."""
