"""AugMix (Hendrycks et al. 2020, arXiv 1912.02781): an image mixed with three copies that chains of changes made.

Widths, depths, operations and strengths are those of `torchvision.transforms.v2.AugMix` at its defaults (severity 3 of
10), which draws from one generator that all threads share: here each image has draws of its own. The loss of
consistency of the paper is not part of it, as in torchvision. Apart, since its code moves no other training.
"""

from __future__ import annotations

import numpy as np

from harness.affine import Affine
from harness.inputs.image_steps import Mixture, Recolouring, Single, random_movement

_CHAINS, _DEEPEST = 3, 3
_LEVELS, _SEVERITY = 10, 3
_MOVES = ("shear-x", "shear-y", "translate-x", "translate-y", "rotate")
_SIGNED = ("adjust_brightness", "adjust_saturation", "adjust_contrast", "adjust_sharpness")
_OTHERS = ("posterize", "solarize", "autocontrast", "equalize")


def drawn_mixture(rng: np.random.Generator, extent: tuple[int, int], *, moves: bool) -> Mixture:
    """Draw the mixture of an image of this width and height; without `moves` by changes that move no pixel."""
    copies = rng.beta(1.0, 1.0)
    shares = rng.dirichlet([1.0] * _CHAINS) * copies
    chains = []
    for share in shares:
        depth = int(rng.integers(1, _DEEPEST + 1))
        chains.append((float(share), tuple(_drawn_step(rng, extent, moves) for _ in range(depth))))
    return Mixture(float(1 - copies), tuple(chains))


def _drawn_step(rng: np.random.Generator, extent: tuple[int, int], moves: bool) -> Single:
    names = (*(_MOVES if moves else ()), *_SIGNED, *_OTHERS)
    name, level = names[int(rng.integers(len(names)))], int(rng.integers(_SEVERITY)) / (_LEVELS - 1)
    signed = level if rng.random() < 0.5 else -level
    if name == "translate-x":
        return Affine((1, 0, signed / 3, 0, 1, 0))
    if name == "translate-y":
        return Affine((1, 0, 0, 0, 1, signed / 3))
    if name in _MOVES:
        return random_movement(name, signed, extent[1] / extent[0])
    if name in _SIGNED:
        return Recolouring(name, (1 + 0.9 * signed,))
    if name == "posterize":
        return Recolouring(name, (round(4 - 4 * level),))
    return Recolouring(name, (255 * (1 - level),) if name == "solarize" else ())
