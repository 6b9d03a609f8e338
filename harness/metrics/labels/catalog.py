"""The metrics of label answers that come with the harness, registered by the entry points of `bench.metrics`."""

from __future__ import annotations

from functools import partial
from typing import Any

from harness.metrics.labels.golden import LABEL_CASES, label_scores
from harness.metrics.metric import Metric, of_cases


def _metric(name: str, title: str, reference: str, **more: Any) -> Metric:
    return Metric(
        name, title, more.pop("higher_is_better", True), reference, label_scores, of_cases(name, LABEL_CASES), **more
    )


_lower = partial(_metric, higher_is_better=False, each_condition=True)
_null = partial(_metric, higher_is_better=None)
_XIAN = "Xian et al. 2017, arXiv 1707.00600"
_BROECKER = "Bröcker & Smith 2007, Weather and Forecasting 22: resampled under perfect calibration"

SINGLE_LABEL = (
    _metric("top-1", "share of right answers", "Russakovsky et al. 2015, IJCV 115, arXiv 1409.0575"),
    _metric("top-5", "share of samples whose class is among the 5 most probable", "Russakovsky et al. 2015, IJCV 115"),
    _metric("balanced-accuracy", "recall, the mean over the classes that occur", "Brodersen et al. 2010, ICPR"),
    _lower("ECE", "expected calibration error, 15 bins of equal width", "Guo et al. 2017, arXiv 1706.04599"),
    _lower(
        "adaptive-ECE", "calibration error, 15 bins of equal mass", "Nixon et al. 2019, arXiv 1904.01685",
        each_condition=False,
    ),
    _null("ECE-null", "ECE that a perfectly calibrated model would show", _BROECKER, each_condition=True),
    _null("adaptive-ECE-null", "adaptive ECE that a perfectly calibrated model would show", _BROECKER),
)  # fmt: skip
MULTI_LABEL = (
    _metric("mAP", "average precision over all ranks, the mean over classes", "Everingham et al. 2010, IJCV 88"),
    _metric("micro-F1", "F1 at 0.5 over all labels of all samples", "Manning, Raghavan & Schütze 2008, chapter 13"),
)
BOTH = (
    _metric("macro-F1", "F1, the mean over classes", "Opitz & Burst 2019, arXiv 1911.03347"),
    _lower("NLL", "negative log-likelihood of what is right", "Good 1952, JRSS B 14", unit="nats", highest=None),
    _lower("Brier", "squared error of the probabilities", "Brier 1950, Monthly Weather Review 78", highest=2.0),
)
ZERO_SHOT = (
    _metric("unseen-top-1", "share of right answers among the unseen classes alone", _XIAN),
    _metric("S", "recall of the seen classes among all, their mean", _XIAN),
    _metric("U", "recall of the unseen classes among all, their mean", _XIAN),
    _metric("H", "harmonic mean of S and U", _XIAN),
    _metric("AUSUC", "area under the curve of seen over unseen recall", "Chao et al. 2016, arXiv 1605.04253"),
)
METRICS = (*SINGLE_LABEL, *MULTI_LABEL, *BOTH, *ZERO_SHOT)
