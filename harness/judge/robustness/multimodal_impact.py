"""MMI, how much of its score a model loses to perturbations of one modality (Qiu et al. 2024, arXiv 2212.08044).

(clean - perturbed) / clean after subtracting chance from both, of a perturbation's mean over severities; then the mean
over perturbations, those of images and those of texts apart. 0 is no loss, 1 all that was above chance.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from harness.judge.robustness.cells import ModelTable
from harness.judge.robustness.drops import impact
from harness.stats.propagation import Figure, absent, mean_of

IMAGE_GROUPS: Mapping[str, tuple[str, ...]] = {
    "noise": ("gaussian-noise", "shot-noise", "impulse-noise", "speckle-noise"),
    "blur": ("defocus-blur", "glass-blur", "motion-blur", "zoom-blur"),
    "weather": ("snow", "frost", "fog", "brightness"),
    "digital": ("contrast", "elastic-transform", "pixelate", "jpeg"),
    "stylise": ("stylise",),
}
TEXT_GROUPS: Mapping[str, tuple[str, ...]] = {
    "character": ("typo-keyboard", "typo-ocr", "char-insert", "char-replace", "char-swap", "char-delete"),
    "word": ("word-synonym", "word-insert", "word-swap", "word-delete", "punctuation"),
    "sentence": ("formal", "casual", "passive", "active", "back-translation"),
}


@dataclass(frozen=True)
class Impact:
    """MMI over all perturbations that were scored, by group and one by one; `left_out` were skipped or not run."""

    overall: Figure
    groups: Mapping[str, Figure]
    parts: Mapping[str, Figure]
    left_out: Mapping[str, str]

    @property
    def label(self) -> str:
        """Say over how many of the published perturbations it is a mean."""
        return f"{len(self.parts)} of {len(self.parts) + len(self.left_out)} perturbations"


def multimodal_impact(
    table: ModelTable, groups: Mapping[str, tuple[str, ...]], chance: float, skipped: Collection[str] = ()
) -> Impact:
    """Average the loss over the perturbations that were run; `skipped` are those that say nothing of this model.

    They are left out and named: they are no sign of robustness. One that failed leaves no number.
    """
    scored, left_out = {}, {}
    for name in (name for names in groups.values() for name in names):
        if not table.severities(name):
            left_out[name] = "not run"
        elif name in skipped:
            left_out[name] = table.over_severities(name).reason or "skipped"
        else:
            scored[name] = impact(table.clean, table.over_severities(name), chance)
    by_group = {
        group: mean_of([scored[name] for name in names if name in scored])
        for group, names in groups.items()
        if any(name in scored for name in names)
    }
    overall = mean_of(list(scored.values())) if scored else absent(_why_nothing(left_out))
    return Impact(overall, by_group, scored, left_out)


def _why_nothing(left_out: Mapping[str, str]) -> str:
    reasons = [reason for reason in left_out.values() if reason != "not run"]
    return reasons[0] if reasons else "no perturbation of this modality was run"
