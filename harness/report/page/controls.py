"""What each control of the ladder is, and what the fused model's score minus the control's tells."""

from __future__ import annotations

from collections.abc import Mapping

MEANINGS: Mapping[str, tuple[str, str]] = {
    "C0": ("vision only, same backbone", "total effect of language"),
    "C1": ("vision only, as many trained weights", "effect beyond capacity"),
    "C2": ("language model re-initialised", "value of a pretrained language model"),
    "C3": ("class texts permuted or without content", "value of what the texts say"),
    "C4": ("attributes or bag of words", "language model against side information"),
    "C5": ("no image", "what the text alone does not give away"),
    "C6": ("C0 and C5 added", "interaction of image and text"),
}
