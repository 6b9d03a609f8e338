"""An image folder of coloured squares: root/{train,val,test}/COLOUR/NN.png."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from PIL import Image

COLOURS = {
    "blue": (40, 50, 230), "dark_grey": (60, 60, 60), "green": (30, 200, 40), "red": (220, 30, 30),
    "white": (240, 240, 240), "yellow": (230, 220, 30),
}  # fmt: skip
NAMES = tuple(COLOURS)
COUNTS: Mapping[str, int] = {"train": 20, "val": 3, "test": 4}


def write_squares(
    root: Path, counts: Mapping[str, int] = COUNTS, lacking: Mapping[str, tuple[str, ...]] | None = None
) -> Path:
    """Write `counts[split]` squares of each colour; `lacking` names colours that a split does not have."""
    for split, count in counts.items():
        for name, colour in COLOURS.items():
            if name in (lacking or {}).get(split, ()):
                continue
            folder = root / split / name
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                shade = tuple(max(0, value - number) for value in colour)
                Image.new("RGB", (8, 8), shade).save(folder / f"{number:02}.png")
    return root
