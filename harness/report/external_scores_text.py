"""Robustness of scores that were measured elsewhere, as text for the console."""

from __future__ import annotations

from harness.judge.robustness.external_scores import RobustnessScores
from harness.report.table_text import aligned


def render_robustness_scores(scores: RobustnessScores) -> str:
    """Draw a table of percents, and by corruption the errors where there is a reference."""
    count = "" if scores.standard else f" ({len(scores.averaged)} perturbations, not the standard 15 x 5)"
    table = [["model", "clean", f"mPC{count}", "rPC", f"mCE{count} ↓", "relative mCE ↓"]]
    reasons: dict[str, None] = {}
    for name, model in scores.models.items():
        content = model.to_json()
        numbers = [content[key] for key in ("clean", "mPC", "rPC", "mCE", "relative_mCE")]
        table.append([name, *("–" if number is None else f"{100 * number:.1f} %" for number in numbers)])
        reasons |= dict.fromkeys(f"– {key}: {reason}" for key, reason in content["reasons"].items())
    parts = [aligned(table)]
    if scores.reference is not None:
        by_name = [["CE ↓", *scores.averaged]]
        for name, model in scores.models.items():
            errors = [model.error.parts[c].error.value if model.error else None for c in scores.averaged]
            by_name.append([name, *("–" if error is None else f"{100 * error:.1f}" for error in errors)])
        parts.append(aligned(by_name))
        parts.append(f"mCE: 100 % is as wrong as {scores.reference}; lower is better")
    return "\n\n".join([*parts, *(["\n".join(reasons)] if reasons else [])])
