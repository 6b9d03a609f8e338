"""The first words of captions: longer captions claim more, so what is false in them is compared at equal length."""

from __future__ import annotations

from collections.abc import Mapping

WORD_LIMITS = (5, 10, 20, 40)
"""At how many words the curve is taken; beyond the longest caption it no longer moves."""
CaptionTexts = Mapping[str, str]


def first_words(caption: str, count: int) -> str:
    """Keep the first words of a caption, parted by white space.

    >>> first_words("a red kite  over a hill", 3)
    'a red kite'
    """
    return " ".join(caption.split()[:count])


def length_of(caption: str) -> int:
    """Count words, parted by white space."""
    return len(caption.split())


def shorter(a: CaptionTexts, b: CaptionTexts) -> dict[str, int]:
    """The length of the shorter caption of each image.

    >>> shorter({"1": "a red kite"}, {"1": "a kite"})
    {'1': 2}
    """
    return {image: min(length_of(text), length_of(b[image])) for image, text in a.items()}


def limited_name(metric: str, limit: int) -> str:
    """Name a metric of the first words of captions.

    >>> limited_name("CHAIRi", 10)
    'CHAIRi-first-10-words'
    """
    return f"{metric}-first-{limit}-words"


def alike_name(metric: str) -> str:
    """Name a metric of as many words of each image's caption as both of two models have."""
    return f"{metric}-at-equal-length"
