"""The perturbations that come with the harness, registered by the entry points of `bench.perturbations`."""

from __future__ import annotations

from harness.perturb.blank_images import IMAGE_CONTROLS
from harness.perturb.blur import BLURS
from harness.perturb.characters import CHARACTERS
from harness.perturb.digital import DIGITAL
from harness.perturb.extra import EXTRA
from harness.perturb.geometry import GEOMETRY
from harness.perturb.noise import NOISES
from harness.perturb.replaced_texts import EXCHANGES, TEXT_CONTROLS
from harness.perturb.sentences import SENTENCES
from harness.perturb.weather import WEATHER
from harness.perturb.words import WORDS

CORRUPTIONS = (*NOISES, *BLURS, *WEATHER, *DIGITAL, *EXTRA)
"""Of pixels: the 15 of ImageNet-C and the 4 extra ones."""
TEXTS = (*CHARACTERS, *WORDS, *SENTENCES)
"""Of words."""
MODALITY_USE = (*IMAGE_CONTROLS, *TEXT_CONTROLS, *EXCHANGES)
"""Take away or exchange a whole modality: what a model still scores, it does without it."""

__all__ = ["CORRUPTIONS", "GEOMETRY", "MODALITY_USE", "TEXTS"]
