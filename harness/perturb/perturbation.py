"""What perturbation authors write against: of pixels, of places, of texts; and exchanges between samples.

Plugins are found by entry point (`bench.perturbations`): an object, or a tuple of them. All randomness comes from the
generator that is handed in, which is seeded by (perturbation, severity, seed, image or text) and not by the model:
every model meets the same pixels and the same words, whatever the order and the batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from harness.affine import Affine

IMAGE, TEXT = "image", "text"
"""The two modalities."""


@runtime_checkable
class Perturbation(Protocol):
    """What every perturbation says of itself.

    `family` groups it in tables: noise, blur, weather, digital, extra, geometry, character, word, sentence, modality,
    or a new one. `severities` are the ones it has, 1 the mildest. `version` is raised whenever the same input would
    come out differently.
    """

    name: str
    summary: str
    family: str
    modality: str
    severities: tuple[int, ...]
    version: int


@runtime_checkable
class ImagePerturbation(Perturbation, Protocol):
    """Changes pixels where they are: boxes and masks stay true."""

    def apply(self, pixels: npt.NDArray[np.uint8], severity: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
        """Return a new image `[H, W, 3]`, RGB 0..255, of the same shape; the input is not written to."""
        ...


@runtime_checkable
class GeometricPerturbation(Perturbation, Protocol):
    """Moves pixels: boxes, masks and label maps move with them."""

    def affine(self, width_px: int, height_px: int, severity: int, rng: np.random.Generator) -> Affine:
        """Say where each place of an image of this size goes."""
        ...


@runtime_checkable
class TextPerturbation(Perturbation, Protocol):
    """Rewrites a text; `keeps_meaning` asks for the check that it still says the same."""

    keeps_meaning: bool

    def apply(self, text: str, severity: int, rng: np.random.Generator) -> str:
        """Return the rewritten text; the same text where nothing in it can be changed."""
        ...


@runtime_checkable
class Conditional(Protocol):
    """A perturbation that cannot always be done: it needs weights that may not be here."""

    def absent_reason(self) -> str | None:
        """Say what it lacks, None when it can be done."""
        ...


@runtime_checkable
class Exchange(Perturbation, Protocol):
    """Gives each sample the image or the text of another one; a severity is the number of the permutation."""

    exchanged: str
    """IMAGE or TEXT."""
