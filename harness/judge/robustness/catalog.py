"""What robustness is told by, as metrics: registered by the entry points of `bench.metrics`, computed of records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.metrics.metric import Golden, Metric

if TYPE_CHECKING:
    from harness.stats.propagation import Figure


@dataclass(frozen=True)
class GoldenScores:
    """Scores of a model, clean and by perturbation at each of five severities, and what they are compared with."""

    clean: float
    perturbed: Mapping[str, float]
    chance: float
    reference_clean: float
    reference: Mapping[str, float]
    """Errors of the reference model by corruption."""
    unfused: tuple[float, ...]
    """Clean scores of models that score the same under the shift."""
    shifted: float


_CASE = Golden(
    GoldenScores(
        clean=0.8, perturbed={"fog": 0.6, "jpeg": 0.4, "typo-keyboard": 0.7}, chance=0.1, reference_clean=0.25,
        reference={"fog": 0.5, "jpeg": 0.5}, unfused=(0.7, 0.75, 0.8, 0.85, 0.9), shifted=0.85,
    ),
    {
        "mPC": 0.5,  # (0.6 + 0.4) / 2
        "rPC": 0.5 / 0.8,
        "mCE": (0.4 / 0.5 + 0.6 / 0.5) / 2,
        "relative mCE": (0.2 / 0.25 + 0.4 / 0.25) / 2,
        "MMI image": (0.2 / 0.7 + 0.4 / 0.7) / 2,
        "MMI text": 0.1 / 0.7,
        "effective robustness": 0.05,  # un-fused models of 0.8 have 0.8
    },
    name="worked by hand",
)  # fmt: skip


def robustness_figures(scores: GoldenScores) -> Mapping[str, Figure]:
    """Compute every figure of a model's scores."""
    from harness.judge.robustness.cells import SEVERITIES, ModelTable
    from harness.judge.robustness.corruption_error import mean_corruption_error, under_corruption
    from harness.judge.robustness.effective_robustness import effective_robustness, fit_baseline
    from harness.judge.robustness.multimodal_impact import IMAGE_GROUPS, TEXT_GROUPS, multimodal_impact
    from harness.judge.robustness.reference import ReferenceTable
    from harness.stats.propagation import Figure

    cells = {(name, severity): Figure(value) for name, value in scores.perturbed.items() for severity in SEVERITIES}
    table = ModelTable(Figure(scores.clean), cells)
    corruption = under_corruption(table, [cell for cell in cells if cell[0] in scores.reference])
    reference = ReferenceTable("golden", scores.reference, scores.reference_clean, "by hand")
    error = mean_corruption_error(table, reference, tuple(scores.reference))
    fit = fit_baseline([(str(value), Figure(value), Figure(value)) for value in scores.unfused])
    return {
        "mPC": corruption.mpc,
        "rPC": corruption.rpc,
        "mCE": error.mce,
        "relative mCE": error.relative,
        "MMI image": multimodal_impact(table, IMAGE_GROUPS, scores.chance).overall,
        "MMI text": multimodal_impact(table, TEXT_GROUPS, scores.chance).overall,
        "effective robustness": effective_robustness(fit, table.clean, Figure(scores.shifted)).figure,
    }


def _figure(name: str, title: str, higher_is_better: bool, reference: str) -> Metric:
    return Metric(
        name, title, higher_is_better, reference, robustness_figures, (_CASE,), lowest=None, highest=None
    )  # fmt: skip


_MICHAELIS = "Michaelis et al. 2019, arXiv 1907.07484"
_HENDRYCKS = "Hendrycks & Dietterich 2019, arXiv 1903.12261"
_QIU = "Qiu et al. 2024, arXiv 2212.08044"
FIGURES = (
    _figure("mPC", "mean performance under corruption", True, _MICHAELIS),
    _figure("rPC", "relative performance under corruption, mPC / clean", True, _MICHAELIS),
    _figure("mCE", "mean corruption error, 1 being as wrong as the reference", False, _HENDRYCKS),
    _figure("relative mCE", "mean of what corruptions add to the error, relative to the reference", False, _HENDRYCKS),
    _figure("MMI image", "multimodal impact: share of the score above chance lost to image corruptions", False, _QIU),
    _figure("MMI text", "multimodal impact: share of the score above chance lost to text edits", False, _QIU),
    _figure(
        "effective robustness", "score above what un-fused models of the same clean score have", True,
        "Taori et al. 2020, arXiv 2007.00644",
    ),
)  # fmt: skip
