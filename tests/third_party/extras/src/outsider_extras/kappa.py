"""Cohen's kappa of label answers: agreement beyond what chance alone would give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from harness.answers import LABELS
from harness.metrics.answered import Answered
from harness.metrics.metric import Golden, Metric

if TYPE_CHECKING:
    from harness.stats.sums import SumStatistics


def kappa(answered: Answered) -> Mapping[str, SumStatistics]:
    """Sum over samples how often each class is right and how often it is answered; kappa is a function of these."""
    import numpy as np

    from harness.stats.sums import SumStatistics

    if answered.classes.multilabel:
        return {}  # absent: there is not one class a sample
    true, said = answered.labels, answered.predicted
    classes = int(max(true.max(), said.max())) + 2
    one_hot = np.eye(classes)  # of NO_CLASS, which is -1, the last one
    agree = (true == said).astype(np.float64)

    def score(sums: Any) -> Any:
        of_true, of_said = sums[:, 1 : 1 + classes], sums[:, 1 + classes :]
        count = of_true.sum(axis=1)
        chance = (of_true * of_said).sum(axis=1) / count**2
        above, most = sums[:, 0] / count - chance, 1 - chance
        return np.divide(above, most, out=np.full(len(sums), np.nan), where=most > 0)

    parts = np.column_stack([agree, one_hot[true], one_hot[said]])
    return {"cohen-kappa": SumStatistics(parts, score, bounds=(-1.0, 1.0), own=agree)}


COHEN_KAPPA = Metric(
    name="cohen-kappa",
    title="agreement beyond chance",
    higher_is_better=True,
    reference="Cohen 1960, Educational and Psychological Measurement 20",
    compute=kappa,
    golden=(Golden(Answered.of_labels([0, 0, 1, 1], [0, 1, 1, 1]), {"cohen-kappa": 0.5}),),
    lowest=-1.0,
    answers=LABELS,
)
