"""AugMix: operations and strengths of torchvision, shares that add to one, places that stay where they count."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.affine import Affine
from harness.inputs.augment import Augmentation, augmenter_for
from harness.inputs.image_steps import Mixture, Recolouring
from harness.sample import Preprocessing, Sample

SQUARE = Preprocessing(20, fit="squash")


def mixtures(moved: Any = lambda target, affine: target, count: int = 300) -> list[Mixture]:
    task: Any = SimpleNamespace(name="task", moved=moved)
    augmenter = augmenter_for("augmix", 0, task)
    assert augmenter is not None
    drawn = [augmenter.draw(Sample(str(n), Path(), (0, 0)), 0, (20, 20), SQUARE).steps for n in range(count)]
    assert all(len(steps) == 1 for steps in drawn)
    return [step for steps in drawn for step in steps if isinstance(step, Mixture)]


def test_a_mixture_by_hand() -> None:
    # A quarter of the image itself, a half of it upside down in colour, a quarter of it shifted by half its width.
    half = Affine((1, 0, 0.5, 0, 1, 0))
    mixture = Mixture(0.25, ((0.5, (Recolouring("invert"),)), (0.25, (half,))))
    pixels = np.full((4, 4, 3), 200, np.uint8)
    seen = np.asarray(Augmentation(steps=(mixture,)).fit(Image.fromarray(pixels), Preprocessing(4, fit="squash")))
    assert (seen[:, 2:] == int(50 + 27.5 + 50)).all()
    assert (seen[:, :2] == int(50 + 27.5 + 0.25 * 127)).all()  # what comes from outside is grey


def test_operations_and_strengths_are_those_of_torchvision() -> None:
    from torchvision.transforms.v2 import AugMix

    drawn = mixtures()
    for mixture in drawn:
        assert mixture.own + sum(share for share, _ in mixture.chains) == pytest.approx(1)
    reference = AugMix()
    assert {len(mixture.chains) for mixture in drawn} == {reference.mixture_width}
    depths = [len(chain) for mixture in drawn for _, chain in mixture.chains]
    assert set(depths) == {1, 2, 3} and 1.8 < np.mean(depths) < 2.2
    assert np.mean([mixture.own for mixture in drawn]) == pytest.approx(0.5, abs=0.06)  # Beta(1, 1)
    steps = {step for mixture in drawn for _, chain in mixture.chains for step in chain}
    names = {
        "Brightness": "adjust_brightness", "Color": "adjust_saturation", "Contrast": "adjust_contrast",
        "Sharpness": "adjust_sharpness", "Posterize": "posterize", "Solarize": "solarize",
        "AutoContrast": "autocontrast", "Equalize": "equalize",
    }  # fmt: skip
    for theirs, name in names.items():
        magnitudes, signed = reference._AUGMENTATION_SPACE[theirs]
        levels = magnitudes(10, 20, 20)
        strengths = {()} if levels is None else {(float(levels[n]),) for n in range(reference.severity)}
        if signed:
            strengths = {(1 + sign * level[0],) for level in strengths for sign in (1, -1)}
        if theirs == "Solarize":
            strengths = {(255 * level[0],) for level in strengths}
        found = sorted(step.arguments for step in steps if isinstance(step, Recolouring) and step.name == name)
        assert np.allclose(found, sorted(strengths), atol=1e-4), name
    moves = {step.matrix for step in steps if isinstance(step, Affine)}
    farthest = float(reference._AUGMENTATION_SPACE["TranslateX"][0](10, 20, 20)[2]) / 20  # of the width
    assert max(matrix[2] for matrix in moves if matrix[1] == matrix[3] == 0) == pytest.approx(farthest)
    assert {round(matrix[1], 6) for matrix in moves if matrix[0] == 1} == {
        side * round(0.3 * level / 9, 6) for level in range(3) for side in (1, -1)
    }


def test_nothing_moves_where_what_is_right_has_a_place() -> None:
    drawn = mixtures(moved=lambda target, affine: (0.5, 0.5), count=100)
    steps = [step for mixture in drawn for _, chain in mixture.chains for step in chain]
    assert steps and all(isinstance(step, Recolouring) for step in steps)
    assert Augmentation(steps=tuple(drawn[:1])).movements((20, 20)) == ()
