"""The perturbations that come with the harness, registered by the entry points of `bench.perturbations`."""

from __future__ import annotations

from harness.perturb.image.blank_images import IMAGE_CONTROLS
from harness.perturb.image.blur import BLURS
from harness.perturb.image.digital import DIGITAL
from harness.perturb.image.extra import EXTRA
from harness.perturb.image.geometry import GEOMETRY
from harness.perturb.image.noise import NOISES
from harness.perturb.image.weather import WEATHER
from harness.perturb.text.characters import CHARACTERS
from harness.perturb.text.replaced_texts import EXCHANGES, TEXT_CONTROLS
from harness.perturb.text.sentences import SENTENCES
from harness.perturb.text.words import WORDS

CORRUPTIONS = (*NOISES, *BLURS, *WEATHER, *DIGITAL, *EXTRA)
"""Of pixels: the 15 of ImageNet-C and the 4 extra ones."""
TEXTS = (*CHARACTERS, *WORDS, *SENTENCES)
"""Of words."""
MODALITY_USE = (*IMAGE_CONTROLS, *TEXT_CONTROLS, *EXCHANGES)
"""Take away or exchange a whole modality: what a model still scores, it does without it."""

__all__ = ["CORRUPTIONS", "GEOMETRY", "MODALITY_USE", "TEXTS"]
