"""All maps of a sample, trained and on shuffled weights, and what they score: a row of numbers a sample."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from harness.explain.baseline_maps import image_baselines, mean_by_cell, word_baselines
from harness.explain.explained import Explained
from harness.explain.map_scores import MASS, POINTING, BoolRows, heed, mass, pointing

FloatMap = npt.NDArray[np.float64]
IMAGE, TEXT, BOTH = "image", "text", "image+text"
TRUTH, HEEDED = "truth", "heed"
"""What a table's measures hold a map against: what decides, by the data, or what the model heeds."""
MapNumbers = Mapping[tuple[str, str], float]
"""A sample's numbers by (map, measure)."""


@dataclass
class SampleMaps:
    """The maps of one sample by name: cells of its image, words of its text."""

    explained: Explained
    within: FloatMap | None
    """Share of each cell that lies within what decides, None where that is not known."""
    decisive: FloatMap | None
    """1 for each word that decides, else 0."""
    image: dict[str, FloatMap] = field(default_factory=dict)
    words: dict[str, FloatMap] = field(default_factory=dict)

    def add_baselines(self, rng: np.random.Generator) -> None:
        """Put the maps beside that know nothing of the model."""
        if self.explained.pixels is not None:
            pixels = self.explained.pixels.detach().double().cpu().numpy()
            self.image |= image_baselines(pixels, self.explained.grid, rng)
        if self.explained.words:
            self.words |= word_baselines(self.explained.words, rng)

    def score(self, curve: int, seed: int) -> dict[str, MapNumbers]:
        """Score all maps with the learner as it is now, by table; those of what is not there are left out."""
        found: dict[str, MapNumbers] = {}
        for modality, maps, within in ((IMAGE, self.image, self.within), (TEXT, self.words, self.decisive)):
            if maps and within is not None and within.any():
                found[f"{modality}-{TRUTH}"] = {
                    (name, measure): score(values, within)
                    for name, values in maps.items()
                    for measure, score in ((POINTING, pointing), (MASS, mass))
                }
            likelihood = self._likelihood(modality)
            heeded = {name: heed(m, likelihood, curve, np.random.default_rng(seed)) for name, m in maps.items()}
            if heeded:
                found[f"{modality}-{HEEDED}"] = {
                    (name, measure): value for name, own in heeded.items() for measure, value in own.items()
                }
        return found

    def _likelihood(self, modality: str) -> Any:
        explained = self.explained

        @torch.no_grad()
        def of(parts: BoolRows) -> FloatMap:
            shown = torch.from_numpy(parts)
            if modality == TEXT:
                values = explained.value(None, shown.float())
            else:
                assert explained.pixels is not None
                values = explained.value(explained.mixed(shown.to(explained.pixels.device)))
            return np.asarray(values.double().exp().cpu().numpy())

        return of


def share_within(mask: npt.NDArray[np.bool_], grid: int) -> FloatMap:
    """Share of each cell of an image `[S, S]` that a mask covers."""
    return mean_by_cell(mask.astype(np.float64), grid)


def decisive_words(words: Sequence[str], wanted: Sequence[str]) -> FloatMap:
    """Mark the words of a text that decide, whatever their case and punctuation.

    >>> decisive_words(["The", "leftmost", "one."], ["leftmost", "one"]).tolist()
    [0.0, 1.0, 1.0]
    """
    known = set(wanted)
    return np.array([float(word.strip(string.punctuation).lower() in known) for word in words])


def interaction_of(explained: Explained, other: Explained) -> float:
    """Likelihood of what is right that image and text have together alone: v(it) - v(i) - v(t) + v(neither).

    What is not there is exchanged for another sample's, so that inputs stay in distribution.
    """
    assert explained.pixels is not None and other.pixels is not None
    pixels: Tensor = torch.stack([explained.pixels, explained.pixels, other.pixels, other.pixels])
    own, others = explained.sample.text, other.sample.text
    with torch.no_grad():
        both, image, text, neither = explained.of_inputs(pixels, [own, others, own, others]).double().exp().tolist()
    return float(both - image - text + neither)
