"""Answers beside what is right for their samples: what a metric of a kind of answers is computed of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from harness.answers import answered_class, is_label
from harness.sample import Classes, Prediction, Target

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True)
class TrueLabels:
    """What is right for a sample of a metric's golden inputs: its class, or 0 and 1 for each class."""

    label: int = 0
    labels: tuple[int, ...] = ()


@dataclass(frozen=True)
class Answered:
    """Targets and predictions of N samples, in one order; `harness.answers` says what they look like by kind.

    `classes` is empty where the task has none. The arrays below are of label answers.
    """

    targets: Sequence[Target]
    predictions: Sequence[Prediction]
    classes: Classes = field(default_factory=Classes)

    @classmethod
    def of_labels(
        cls,
        labels: Sequence[int] | Sequence[Sequence[int]],
        predictions: Sequence[Prediction],
        classes: Classes | None = None,
    ) -> Self:
        """Put label answers beside their classes, or beside 0 and 1 for each class: for golden inputs and tests."""
        targets = [TrueLabels(row) if isinstance(row, int) else TrueLabels(labels=tuple(row)) for row in labels]
        return cls(targets, predictions, classes or Classes())

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """[N] the index of the right class."""
        import numpy as np

        return np.array([target.label for target in self.targets], dtype=np.int64)

    @property
    def label_table(self) -> npt.NDArray[np.int8]:
        """[N, C] 1 for a class that is right, else 0, or UNKNOWN: of data with several classes a sample."""
        import numpy as np

        return np.array([target.labels for target in self.targets], dtype=np.int8)

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """[N] the index of the class that is answered, NO_CLASS where it is none or several share the highest."""
        import numpy as np

        return np.array([answered_class(prediction) for prediction in self.predictions], dtype=np.int64)

    @property
    def probabilities(self) -> npt.NDArray[np.float64] | None:
        """[N, C] the probability of each class; None where an answer is a class alone."""
        import numpy as np

        if any(is_label(prediction) for prediction in self.predictions):
            return None
        return np.array(self.predictions, dtype=np.float64)
