"""Changed training images: what is right goes with the pixels, draws depend on seed, sample and epoch alone."""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from harness.affine import Affine
from harness.errors import UsageError
from harness.inputs.augment import Augmentation, Augmenter, augmenter_for
from harness.inputs.image_steps import Recolouring
from harness.inputs.images import fit_image, open_images
from harness.inputs.visual_tokens import VisualTokens
from harness.read_ahead import THREAD_NAME
from harness.sample import Preprocessing, Sample

SQUASH = Preprocessing(32, fit="squash")
FLIP = Affine((-1, 0, 1, 0, 1, 0), mirrored=True)


class Points:
    """A task whose target is a point in fractions of the image's sides, and whose text names its half."""

    name = "points"

    def moved(self, target: Any, affine: Affine) -> Any:
        a, b, c, d, e, f = affine.matrix
        x, y = target
        return a * x + b * y + c, d * x + e * y + f

    def moved_text(self, text: str, affine: Affine) -> str:
        return {"left": "right", "right": "left"}[text] if affine.mirrored else text


def picture(width: int, height: int, x: float, y: float) -> Image.Image:
    """Grey, with a white spot around a place given in fractions."""
    rows, columns = np.mgrid[0:height, 0:width]
    near = (abs((columns + 0.5) / width - x) < 0.06) & (abs((rows + 0.5) / height - y) < 0.06)
    return Image.fromarray(np.where(near[..., None], 255, 60).astype(np.uint8).repeat(3, axis=2))


def spot(image: Image.Image, extent: tuple[int, int]) -> tuple[float, float]:
    """Centre of the white spot, in fractions of the part of the square that the image takes."""
    rows, columns = np.nonzero(np.asarray(image)[..., 0] > 170)
    return (columns.mean() + 0.5) / extent[0], (rows.mean() + 0.5) / extent[1]


def test_a_crop_by_hand() -> None:
    # The right upper quarter of 40 x 20: a point at (30, 5) px is its middle.
    cut = Augmentation((20, 0, 40, 10), (FLIP,))
    first, second = cut.movements((40, 20))
    assert first.matrix == (2, 0, -1, 0, 2, 0) and second == FLIP
    assert Points().moved((0.75, 0.25), first) == (0.5, 0.5)
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[0:10, 20:30] = 200  # its left half, after the flip its right one
    fitted = np.asarray(cut.fit(Image.fromarray(pixels), replace(SQUASH, size=8, interpolation="nearest")))
    assert (fitted[:, :4] == 0).all() and (fitted[:, 4:] == 200).all()


@pytest.mark.parametrize("fit", ["squash", "pad"])
@pytest.mark.parametrize("kinds", ["crop", "flip", "randaugment", "crop+flip+randaugment"])
def test_targets_go_with_the_pixels(kinds: str, fit: str) -> None:
    preprocessing, seen, moved = Preprocessing(96, fit=fit), 0, 0
    augmenter = Augmenter(frozenset(kinds.split("+")), 3, Points())  # type: ignore[arg-type]
    place, size = (0.4, 0.55), (120, 80)
    image = picture(*size, *place)
    for epoch in range(40):
        sample = Sample("one", Path(), place)
        drawn = augmenter.draw(sample, epoch, size, preprocessing)
        drawn = replace(drawn, steps=tuple(step for step in drawn.steps if isinstance(step, Affine)))
        target = augmenter.moved(sample, drawn.movements(size)).target
        if not all(0.2 < part < 0.8 for part in target):
            continue  # the spot is cut, and its centre is not the point
        found = spot(drawn.fit(image, preprocessing), preprocessing.extent(*size))
        assert found == pytest.approx(target, abs=0.025)
        seen, moved = seen + 1, moved + (target != place)
    assert seen >= 10 and moved >= 5


def test_recolourings_are_those_of_torchvision() -> None:
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.v2 import RandAugment

    names = {
        "Brightness": "adjust_brightness", "Color": "adjust_saturation", "Contrast": "adjust_contrast",
        "Sharpness": "adjust_sharpness", "Posterize": "posterize", "Solarize": "solarize",
        "AutoContrast": "autocontrast", "Equalize": "equalize",
    }  # fmt: skip
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8))
    augmenter, reference = Augmenter(frozenset(["randaugment"]), 0, Points()), RandAugment()  # type: ignore[arg-type]
    drawn = {
        step
        for number in range(400)
        for step in augmenter.draw(Sample(str(number), Path(), (0, 0)), 0, (20, 20), SQUASH).steps
        if isinstance(step, Recolouring)
    }
    assert {step.name for step in drawn} == set(names.values())
    for theirs, name in names.items():
        magnitudes, signed = reference._AUGMENTATION_SPACE[theirs]
        strength = magnitudes(31, 20, 20)
        level = 0.0 if strength is None else float(strength[9])
        wanted = {
            np.asarray(
                reference._apply_image_or_video_transform(
                    image, theirs, sign * level, interpolation=InterpolationMode.NEAREST, fill={}
                )
            ).tobytes()
            for sign in ((1, -1) if signed else (1,))
        }
        found = {
            np.asarray(Augmentation(steps=(step,)).fit(image, replace(SQUASH, size=20))).tobytes()
            for step in drawn
            if step.name == name
        }
        assert found == wanted


def test_crops_are_drawn_within_the_image_as_published() -> None:
    augmenter = Augmenter(frozenset(["crop"]), 0, Points())  # type: ignore[arg-type]
    shares, aspects = [], []
    for number in range(400):
        box = augmenter.draw(Sample(str(number), Path(), (0, 0)), 0, (200, 160), SQUASH).box
        assert box is not None
        left, top, right, bottom = box
        assert 0 <= left < right <= 200 and 0 <= top < bottom <= 160
        shares.append((right - left) * (bottom - top) / 32_000)
        aspects.append(math.log((right - left) / (bottom - top)))
    assert 0.075 < min(shares) < 0.15 and max(shares) > 0.85
    assert min(aspects) == pytest.approx(math.log(3 / 4), abs=0.04)
    assert max(aspects) == pytest.approx(math.log(4 / 3), abs=0.04)
    narrow = augmenter.draw(Sample("0", Path(), (0, 0)), 0, (4, 400), SQUASH).box
    assert narrow == (0, 197, 4, 202)  # none fits in ten tries: 4 px at 3/4 are 5.33 px high


def test_draws_depend_on_seed_sample_and_epoch_alone() -> None:
    kinds, one, other = frozenset(["crop", "flip"]), Sample("1", Path(), (0, 0)), Sample("2", Path(), (0, 0))
    first = Augmenter(kinds, 0, Points())  # type: ignore[arg-type]
    drawn = first.draw(one, 0, (90, 90), SQUASH)
    assert first.draw(one, 0, (90, 90), SQUASH) == drawn
    for changed in (
        first.draw(one, 1, (90, 90), SQUASH),
        first.draw(other, 0, (90, 90), SQUASH),
        replace(first, seed=1).draw(one, 0, (90, 90), SQUASH),
    ):
        assert changed != drawn


def test_nothing_drawn_is_the_reference_path() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8))
    for preprocessing in (SQUASH, Preprocessing(32), Preprocessing(32, fit="pad", shortest=20)):
        changed = Augmentation().fit(image, preprocessing)
        np.testing.assert_array_equal(np.asarray(changed), np.asarray(fit_image(image, preprocessing)))


def test_a_task_whose_targets_do_not_follow_refuses() -> None:
    still: Any = SimpleNamespace(name="still")
    assert augmenter_for(None, 0, still) is None
    with pytest.raises(UsageError, match=r"augment=crop\+flip moves images, and still does not say what is right"):
        augmenter_for("crop+flip", 0, still)
    assert augmenter_for("flip", 0, Points()) is not None  # type: ignore[arg-type]


@pytest.fixture
def tokens(tmp_path: Path) -> VisualTokens:
    samples = []
    for number in range(6):
        place = (0.1 + 0.1 * number, 0.4)
        picture(60, 40, *place).save(tmp_path / f"{number}.png")
        samples.append(Sample(str(number), tmp_path / f"{number}.png", place, text="left"))
    images = open_images(samples, SQUASH, tmp_path / "cache", "fail", lambda *_: None)
    learner: Any = SimpleNamespace(vision=lambda pixels: pixels.float(), vision_frozen=False)
    return VisualTokens(learner, images, images.samples, None, "cpu")


def test_batches_change_from_epoch_to_epoch_and_not_from_run_to_run(tokens: VisualTokens) -> None:
    def run() -> list[Any]:
        augmenter, found = augmenter_for("flip", 5, Points()), []  # type: ignore[arg-type]
        with tokens.augmented([[[0, 1, 2], [3, 4, 5]], [[2, 1, 0], [5, 4, 3]]], augmenter) as batches:
            for indices in batches:
                part = tokens.batch(indices[1:], with_targets=True)
                assert part.visual is not None and part.targets is not None
                found += list(zip(part.sample_ids, part.texts, part.targets, part.visual, strict=True))
        assert not [thread for thread in threading.enumerate() if thread.name.startswith(THREAD_NAME)]
        return found

    first, second = run(), run()
    for (name, text, target, pixels), again in zip(first, second, strict=True):
        assert (name, text, target) == again[:3] and torch.equal(pixels, again[3])
        x = spot(Image.fromarray(pixels.byte().permute(1, 2, 0).numpy()), (32, 32))[0]
        assert x == pytest.approx(target[0], abs=0.04)
        plain = 0.1 + 0.1 * int(name)
        assert target[0] == pytest.approx(1 - plain if text == "right" else plain)
    assert {text for _, text, *_ in first} == {"left", "right"}
    assert tokens.batch([0], with_targets=True).targets == (tokens.samples[0].target,)  # none of it stays


def test_processes_that_share_batches_see_what_one_would_see(tokens: VisualTokens) -> None:
    def seen(share: Any) -> list[tuple[Any, ...]]:
        augmenter, found = augmenter_for("crop+flip", 5, Points()), []  # type: ignore[arg-type]
        with tokens.augmented([[[0, 1, 2], [3, 4, 5]], [[2, 1, 0]]], augmenter, {}, share) as batches:
            for number, indices in enumerate(batches):
                part = tokens.batch(indices, with_targets=True)
                assert part.visual is not None and part.targets is not None
                rows = zip(part.sample_ids, part.targets, part.visual.tolist(), strict=True)
                found += [(number, *row) for row in rows]
        return found

    parts = [seen(lambda size: range(1)), seen(lambda size: range(1, size))]
    assert [len(part) for part in parts] == [3, 6]
    assert sorted(parts[0] + parts[1]) == sorted(seen(range))


def test_shares_of_batches_that_do_not_change(tokens: VisualTokens) -> None:
    with tokens.augmented([[[0, 1, 2], [3, 4, 5]]], None, {}, lambda size: range(1, size)) as batches:
        assert [list(indices) for indices in batches] == [[1, 2], [4, 5]]
