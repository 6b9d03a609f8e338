"""The golden scores of labels are scikit-learn's and torchmetrics' own; a score that drifts stops a run."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, log_loss, recall_score
from torchmetrics.functional.classification import multiclass_calibration_error

from harness.metrics import label_passport
from harness.metrics.passport import MetricDrift

PROBABILITIES = np.array(label_passport.GOLDEN_PROBABILITIES)
LABELS = np.array(label_passport.GOLDEN_LABELS)


def test_the_golden_scores_are_those_of_other_implementations() -> None:
    one_hot, predicted = np.eye(4)[LABELS], PROBABILITIES.argmax(axis=1)
    error = multiclass_calibration_error(torch.tensor(PROBABILITIES), torch.tensor(LABELS), 4, 15)
    assert (
        pytest.approx(
            {
                "top-1": accuracy_score(LABELS, predicted),
                "macro-F1": f1_score(LABELS, predicted, average="macro"),
                "mean-per-class": recall_score(LABELS, predicted, average="macro"),
                "NLL": log_loss(LABELS, PROBABILITIES),
                "Brier": ((PROBABILITIES - one_hot) ** 2).sum(axis=1).mean(),
                "ECE": error.item(),
            },
            abs=1e-6,
        )
        == label_passport.GOLDEN_SCORES
    )
    precisions = [average_precision_score(one_hot[:, index], PROBABILITIES[:, index]) for index in range(4)]
    assert pytest.approx(np.mean(precisions)) == label_passport.GOLDEN_MEAN_AVERAGE_PRECISION


def test_the_signature_comes_only_after_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    assert label_passport.check_label_metrics().startswith("labels:v1|")
    monkeypatch.setitem(label_passport.GOLDEN_SCORES, "NLL", 0.8)
    with pytest.raises(MetricDrift, match=r"NLL gives 0.81.* instead of 0.8 on the golden case"):
        label_passport.check_label_metrics()
