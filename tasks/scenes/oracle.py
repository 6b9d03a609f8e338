"""The best score that anyone could reach from the image alone, from the text alone, and from both.

Computed from how scenes are drawn, not from a model. The image tells a target's kind, except at night, when
it tells the silhouette, which two kinds of a pool share. A remark tells the pattern under the honest condition,
its twin's under the misleading one, and nothing otherwise. An expression tells who is meant and not its shape.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from tasks.scenes.factors import BASE_KINDS, GROUP_PATTERNS, KINDS, NOVEL_KINDS, RARE_KINDS, SHAPES, Kind
from tasks.scenes.remarks import CONDITION_SHARES
from tasks.scenes.splits import SPLITS

SceneRow = Mapping[str, Any]
"""An image of `scenes_<split>.json`."""
_SHARE: Final = {condition: Fraction(share, 100) for condition, share in CONDITION_SHARES}


@dataclass(frozen=True, slots=True)
class Ceiling:
    """Expected accuracies, 0 .. 1, of the best guesser that sees the image (V), the text (T) or both (VT)."""

    vision: Fraction
    text: Fraction
    both: Fraction
    images: int


def target_pool(split: str) -> tuple[Kind, ...]:
    """The kinds that the target of a split is drawn from, each equally likely."""
    if SPLITS[split].plan == "groups":
        return tuple(kind for kind in BASE_KINDS if kind.pattern in GROUP_PATTERNS)
    pools = {"rare": RARE_KINDS, "novel": NOVEL_KINDS, "novel-hard": NOVEL_KINDS}
    return pools.get(SPLITS[split].plan, BASE_KINDS)


def _mean(values: Sequence[Fraction]) -> Fraction:
    return sum(values, Fraction(0)) / len(values)


def context_cells(split: str, rows: Iterable[SceneRow]) -> dict[tuple[str, str], Ceiling]:
    """Track X: the ceiling in each cell (clear or night, condition), every image asked under every condition.

    The guesser knows the shares of the conditions but not which one it meets, and maximises its accuracy over
    all: so at night it believes every remark, and fails wherever the remark misleads.
    """
    pool = target_pool(split)
    cells: dict[tuple[str, str], list[Kind]] = defaultdict(list)
    by_name = {kind.name: kind for kind in KINDS}
    for row in rows:
        if row["target"] is None or by_name[row["target"]["kind"]] not in pool:
            continue
        for condition in _SHARE:
            cells["night" if row["light"] == "night" else "clear", condition].append(by_name[row["target"]["kind"]])
    return {
        (light, condition): _context_ceiling(light, condition, kinds, pool)
        for (light, condition), kinds in cells.items()
    }


def _context_ceiling(light: str, condition: str, kinds: list[Kind], pool: tuple[Kind, ...]) -> Ceiling:
    silhouettes = Counter((kind.shape, kind.part) for kind in pool)
    patterns = Counter(kind.pattern for kind in pool)
    uninformed = Fraction(1, len(pool))
    if light == "night":
        vision = _mean([Fraction(1, silhouettes[kind.shape, kind.part]) for kind in kinds])
    else:
        vision = Fraction(1)
    text = {
        "honest": _mean([Fraction(1, patterns[kind.pattern]) for kind in kinds]),
        "misleading": Fraction(0),  # the guesser names a kind of the pattern it was told
    }.get(condition, uninformed)
    both = {"honest": Fraction(1), "misleading": Fraction(0)}.get(condition, vision) if light == "night" else vision
    return Ceiling(vision, text, both, len(kinds))


def context_ceiling(split: str, rows: Iterable[SceneRow]) -> Ceiling:
    """Track X over a whole split, its conditions in the shares of training."""
    cells = context_cells(split, rows)
    images = sum(ceiling.images for (_, condition), ceiling in cells.items() if condition == "honest")

    def overall(which: str) -> Fraction:
        weighted = [
            _SHARE[condition] * ceiling.images * Fraction(getattr(ceiling, which))
            for (_, condition), ceiling in cells.items()
        ]
        return sum(weighted, Fraction(0)) / images

    return Ceiling(overall("vision"), overall("text"), overall("both"), images)


def plain_ceiling(split: str, rows: Iterable[SceneRow]) -> Ceiling:
    """Track P: the kind of the target from the image; without an image, one kind of the pool by chance."""
    rows = list(rows)
    absent = [cell for (_, condition), cell in context_cells(split, rows).items() if condition == "absent"]
    images = sum(cell.images for cell in absent)
    vision = sum((cell.vision * cell.images for cell in absent), Fraction(0)) / images
    return Ceiling(vision, Fraction(1, len(target_pool(split))), vision, images)


def reference_ceiling(rows: Iterable[SceneRow]) -> Ceiling:
    """Track R: which object is meant. The image alone leaves one in `choices`; the text alone one shape in ten.

    The text's figure holds where shapes are drawn evenly, as in the refer split.
    """
    vision = [Fraction(1, row["expression"]["choices"]) for row in rows if row["expression"] is not None]
    return Ceiling(_mean(vision), Fraction(1, len(SHAPES)), Fraction(1), len(vision))


def zero_shot_ceiling(lexicon: str) -> Ceiling:
    """Naming the 8 novel kinds from class texts: everything if the texts tell the factors, else chance."""
    chance = Fraction(1, len(NOVEL_KINDS))
    telling = lexicon in ("transparent", "definition", "synonym")
    return Ceiling(chance, chance, Fraction(1) if telling else chance, SPLITS["novel"].size)


def foil_ceiling(rows: Iterable[SceneRow]) -> Ceiling:
    """Choosing the true caption of a pair: even odds from the text, certain with the image."""
    half = Fraction(1, 2)
    return Ceiling(half, half, Fraction(1), sum(len(row.get("foils", ())) for row in rows))


def ceilings(split: str, rows: Iterable[SceneRow]) -> dict[str, Ceiling]:
    """Every ceiling that a split has a question for, by track."""
    rows = list(rows)
    if split == "refer":  # its targets are not drawn evenly by kind, and it asks another question
        return {"reference": reference_ceiling(rows)}
    found = {"plain": plain_ceiling(split, rows), "context": context_ceiling(split, rows)}
    if split == "novel":
        found |= {f"zero-shot {name}": zero_shot_ceiling(name) for name in ("transparent", "opaque", "random")}
    if split == "foils":
        found["foils"] = foil_ceiling(rows)
    return found
