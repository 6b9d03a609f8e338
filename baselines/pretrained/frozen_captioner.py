"""The base of pretrained captioners."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from baselines.pretrained.frozen_learner import FrozenLearner

_NO_SETTINGS = frozenset({"transformers_version", "_from_model_config"})


class FrozenCaptioner(FrozenLearner):
    """A captioner that is evaluated only; subclasses add `predict`."""

    def checkpoint_settings(self) -> Mapping[str, Any]:
        """Give the generation settings that the checkpoint was saved with, as far as they are not the library's own.

        They stay active where the benchmark does not set them: a repetition penalty, words that are ruled out.
        """
        config: Any = getattr(self.model, "generation_config", None)
        if config is None:
            return {}
        stated = json.loads(config.to_json_string(use_diff=True))
        return {name: value for name, value in stated.items() if name not in _NO_SETTINGS}
