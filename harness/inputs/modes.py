"""Which mode a learner is in: evaluation always, but for the trainable parts of one that is being trained.

torch builds modules in training mode, in which batch norm answers by the batch and moves its statistics, and dropout
draws. A learner from outside may be left so by its author; what it is used for decides here, not how it was left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.errors import PluginError

if TYPE_CHECKING:
    from harness.protocols import Learner


def for_evaluation(learner: Learner) -> None:
    """Put all of a learner in evaluation mode, its tower included where that is no part of the module."""
    for part in (learner, learner.vision):
        evaluate_module(part)


def for_training(learner: Learner) -> None:
    """Put a learner in training mode; a frozen tower stays in evaluation mode, whatever the rest does."""
    module: Any = learner
    module.train()
    if learner.vision_frozen:
        evaluate_module(learner.vision)


def evaluate_module(part: object) -> None:
    """Put a module in evaluation mode; what is no module (such as a tower around an ONNX session) has none."""
    switch: Any = getattr(part, "eval", None)
    if callable(switch):
        switch()


def require_frozen(learner: Learner) -> None:
    """Raise PluginError where a learner says that its tower is frozen and names a part of it to be trained.

    Tokens of a frozen tower are computed once, so the training would not be seen.
    """
    tower: Any = learner.vision
    if tower is None or not learner.vision_frozen or not callable(getattr(tower, "named_parameters", None)):
        return
    groups = learner.parameter_groups()
    trained = {id(parameter) for group in (groups.language, groups.vision, groups.new) for _, parameter in group}
    named = [name for name, parameter in tower.named_parameters() if id(parameter) in trained]
    if named:
        raise PluginError(
            f"{type(learner).__name__} has vision_frozen=True, and its parameter_groups() name {len(named)} parameters "
            f"of the tower (first: {named[0]}). Set vision_frozen=False where any part of the tower is trained."
        )
