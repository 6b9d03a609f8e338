"""The golden scores of labels are scikit-learn's and torchmetrics' own; a score that drifts stops a run."""

from __future__ import annotations

import importlib
import itertools

import numpy as np
import pytest
import torch
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    log_loss,
    recall_score,
    top_k_accuracy_score,
)
from torchmetrics.functional.classification import multiclass_calibration_error

from harness.metrics.labels import golden as label_passport
from harness.metrics.metric import MetricDrift

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
                "balanced-accuracy": recall_score(LABELS, predicted, average="macro"),
                "NLL": log_loss(LABELS, PROBABILITIES),
                "Brier": ((PROBABILITIES - one_hot) ** 2).sum(axis=1).mean(),
                "ECE": error.item(),
                "adaptive-ECE": equal_mass_error(PROBABILITIES.max(axis=1), predicted == LABELS),
            },
            abs=1e-6,
        )
        == label_passport.LABEL_SCORES
    )
    six = top_k_accuracy_score(label_passport.GOLDEN_SIX_LABELS, label_passport.GOLDEN_SIX, k=5, labels=range(6))
    assert pytest.approx(six) == label_passport.GOLDEN_TOP_5


def equal_mass_error(confidence: np.ndarray, correct: np.ndarray) -> float:
    """Fifteen copies of each of n samples, by confidence, in 15 bins of n: no sample needs to be divided."""
    assert len(set(confidence)) == len(confidence)
    order = np.argsort(confidence)
    gaps = np.repeat((correct - confidence)[order], 15)
    return float(np.abs(gaps.reshape(15, -1).sum(axis=1)).sum() / len(gaps))


def test_the_golden_scores_of_several_labels_are_those_of_scikit_learn() -> None:
    one_hot, found = np.eye(4, dtype=int)[LABELS], (PROBABILITIES > 0.5).astype(int)
    losses = [log_loss(one_hot[:, index], PROBABILITIES[:, index], labels=[0, 1]) for index in range(4)]
    expected = {
        "mAP": np.mean([average_precision_score(one_hot[:, index], PROBABILITIES[:, index]) for index in range(4)]),
        "macro-F1": f1_score(one_hot, found, average="macro"),
        "micro-F1": f1_score(one_hot, found, average="micro"),
        "NLL": np.mean(losses),
        "Brier": ((PROBABILITIES - one_hot) ** 2).mean(),
    }
    assert pytest.approx(expected, abs=1e-9) == label_passport.GOLDEN_MULTILABEL_SCORES


def test_the_golden_zero_shot_scores_are_those_of_the_definitions() -> None:
    seen = np.array(label_passport.GOLDEN_SEEN)
    margins = np.log(PROBABILITIES[:, seen].max(axis=1)) - np.log(PROBABILITIES[:, ~seen].max(axis=1))
    cuts = sorted(margins)
    biases = [cuts[0] - 1, *((a + b) / 2 for a, b in itertools.pairwise(cuts)), cuts[-1] + 1]
    assert min(np.diff(cuts)) > 0, "each bias moves one sample over"
    curve = [recalls(np.log(PROBABILITIES) - bias * seen, seen) for bias in biases]
    area = sum((s0 + s1) / 2 * (u1 - u0) for (s0, u0), (s1, u1) in itertools.pairwise(curve))
    s, u = recalls(PROBABILITIES, seen)
    of_unseen = ~seen[LABELS]
    among_unseen = np.where(seen, -1.0, PROBABILITIES)[of_unseen].argmax(axis=1)
    expected = {
        "unseen-top-1": (among_unseen == LABELS[of_unseen]).mean(),
        "S": s,
        "U": u,
        "H": 2 * s * u / (s + u),
        "AUSUC": area,
    }
    assert pytest.approx(expected, abs=1e-9) == label_passport.GOLDEN_ZERO_SHOT_SCORES


def recalls(scores: np.ndarray, seen: np.ndarray) -> tuple[float, float]:
    """Mean recall over seen and over unseen classes, each sample being free to be given any class."""
    predicted = scores.argmax(axis=1)
    of_class = [(predicted[index == LABELS] == index).mean() for index in range(4)]
    return float(np.mean(np.array(of_class)[seen])), float(np.mean(np.array(of_class)[~seen]))


@pytest.mark.parametrize(
    ("module", "function", "name"),
    [
        ("classification", "classification_statistics", "top-1"),
        ("multilabel", "multilabel_statistics", "mAP"),
        ("zero_shot", "zero_shot_statistics", "unseen-top-1"),
    ],
)
def test_labels_that_are_one_off_are_found(
    module: str, function: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = importlib.import_module(f"harness.metrics.labels.{module}")
    real = getattr(home, function)
    monkeypatch.setattr(home, function, lambda scores, labels, rest: real(scores, np.roll(labels, 1, axis=0), rest))
    with pytest.raises(MetricDrift, match=f"{name} gives"):
        label_passport.check_label_metrics()


def test_the_signature_comes_only_after_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    assert label_passport.check_label_metrics().startswith("labels:v2|")
    monkeypatch.setitem(label_passport.LABEL_SCORES, "NLL", 0.8)
    with pytest.raises(MetricDrift, match=r"NLL gives 0.81.* instead of 0.8 on the golden case 'single-label'"):
        label_passport.check_label_metrics()
