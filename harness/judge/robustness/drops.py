"""What a perturbation costs, three ways side by side: a ratio alone flatters weak models.

Absolute: clean - perturbed. Relative: (clean - perturbed) / clean. Chance-corrected: the same after subtracting from
both what guessing scores, (clean - perturbed) / (clean - chance). 0 is no loss; 1 of the last, all above chance.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.stats.propagation import Figure, absent, missing, propagate, ratio


@dataclass(frozen=True)
class Drop:
    """The loss in the metric's unit, as a share of clean, and as a share of what clean is above chance."""

    absolute: Figure
    relative: Figure
    corrected: Figure


def drop(clean: Figure, perturbed: Figure, chance: float) -> Drop:
    """Compare a perturbed score with the clean one; where clean is not clearly above chance there is no corrected one.

    "Clearly" is that the interval of clean - chance does not hold 0.
    """
    gap = missing([clean, perturbed])
    if gap is not None:
        return Drop(gap, gap, gap)
    return Drop(
        absolute=propagate(clean.known - perturbed.known, [(1.0, clean), (-1.0, perturbed)]),
        relative=_loss(ratio(perturbed, clean)),
        corrected=impact(clean, perturbed, chance),
    )


def impact(clean: Figure, perturbed: Figure, chance: float) -> Figure:
    """MMI of one condition: the share of the score above chance that is lost."""
    gap = missing([clean, perturbed])
    if gap is not None:
        return gap
    least = clean.known if clean.low is None else clean.low
    if least <= chance:
        return absent(f"clean ({clean.known:.3f}, from {least:.3f}) is not clearly above chance ({chance:.3f})")
    return _loss(ratio(perturbed, clean, chance))


def _loss(kept: Figure) -> Figure:
    return kept if missing([kept]) else propagate(1 - kept.known, [(-1.0, kept)])
