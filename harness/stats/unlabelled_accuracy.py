"""How right a classifier is on data without labels, guessed from how sure it is; with what sampling alone leaves open.

ATC: a threshold on the confidence above which as many labelled samples lie as are right; the share of new samples above
it (Garg et al. 2022, arXiv 2201.04234). DoC: accuracy less the fall of mean confidence (Guillory et al. 2021, arXiv
2107.03315). Both rest on confidence falling where accuracy does: a model that stays sure while it errs deceives them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from harness.record import Estimate

Confidences = npt.NDArray[np.float64]
_Method = Callable[[Confidences, npt.NDArray[np.bool_], Confidences], float]


def thresholded_confidence(known: Confidences, right: npt.NDArray[np.bool_], new: Confidences) -> float:
    """Average thresholded confidence of `new` samples, 0..1; the threshold is from `known` ones that are `right`."""
    wrong = int((~right).sum())
    threshold = np.sort(known)[wrong - 1] if wrong else -np.inf
    return float((new > threshold).mean())


def confidence_difference(known: Confidences, right: npt.NDArray[np.bool_], new: Confidences) -> float:
    """Accuracy on `known` samples less the fall of mean confidence to `new` ones, held within 0..1."""
    return float(np.clip(right.mean() + new.mean() - known.mean(), 0.0, 1.0))


LABEL_FREE: Mapping[str, _Method] = {"ATC": thresholded_confidence, "DoC": confidence_difference}


def estimate_accuracy(
    known: Confidences, right: npt.NDArray[np.bool_], new: Confidences, resamples: int, random: np.random.Generator
) -> dict[str, Estimate]:
    """Estimate accuracy on `new` confidences by each method; intervals by bootstrap over known and new samples."""
    drawn: dict[str, list[float]] = {name: [] for name in LABEL_FREE}
    for _ in range(resamples):
        own, others = random.integers(len(known), size=len(known)), random.integers(len(new), size=len(new))
        for name, method in LABEL_FREE.items():
            drawn[name].append(method(known[own], right[own], new[others]))
    found = {}
    for name, method in LABEL_FREE.items():
        low, high = np.quantile(drawn[name], [0.025, 0.975])
        found[name] = Estimate(method(known, right, new), float(low), float(high), len(new))
    return found
