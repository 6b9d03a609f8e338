"""What a condition makes of images and texts, the same for every model: pixels by row, words by sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.affine import Affine
from harness.condition import Condition, Part
from harness.inputs.decoded_images import DecodedImage, DecodedImages
from harness.perturb.perturbation import (
    Conditional,
    Exchange,
    GeometricPerturbation,
    ImagePerturbation,
    Perturbation,
    TextPerturbation,
)
from harness.perturb.randomness import generator_for, permutation


def part_for(condition: Condition, modality: str, known: Mapping[str, Perturbation]) -> Part | None:
    """Return the part of a condition that acts on the image or on the text, None where nothing does."""
    return next((part for part in condition.parts if modality in known[part.name].modality.split("+")), None)


def affine_for(perturbation: GeometricPerturbation, part: Part, seed: int, image: ImageKey) -> Affine:
    """Say how one image is moved."""
    return perturbation.affine(*image.size, part.severity, generator_for(part, seed, image.name))


@dataclass(frozen=True)
class ImageKey:
    """An image by the end of its path, which is the same on every machine, and its width and height in px."""

    name: str
    size: tuple[int, int]


def image_key(path: Path, size: tuple[int, int]) -> ImageKey:
    """Name an image by its folder and file."""
    return ImageKey(f"{path.parent.name}/{path.name}", size)


@dataclass(frozen=True)
class ImageSource:
    """The pixels of a split under one perturbation, by sample.

    Where models run on an accelerator, `device` names it: corruptions that can run there do so, in batches.
    """

    decoded_images: DecodedImages
    part: Part | None
    perturbation: Perturbation | None
    seed: int
    device: str = "cpu"

    def rows(self) -> tuple[int, ...]:
        """Say which image each sample is shown."""
        if isinstance(self.perturbation, Exchange) and self.part is not None:
            given = permutation(self.part, self.seed, len(self.decoded_images.rows))
            return tuple(self.decoded_images.rows[index] for index in given)
        return self.decoded_images.rows

    def affine(self, row: int) -> Affine | None:
        """Say how an image is moved, None where it is not."""
        if self.part is None or not isinstance(self.perturbation, GeometricPerturbation):
            return None
        return affine_for(self.perturbation, self.part, self.seed, self._key(row))

    @contextmanager
    def in_order(self, groups: Iterable[Sequence[int]]) -> Iterator[Iterator[dict[int, DecodedImage]]]:
        """Give the images of each group of rows as the condition shows them, uint8 `[H, W, 3]` each, by row.

        Where images must be decoded for it, that is done ahead.
        """
        with self.decoded_images.in_order(groups) as decoded:
            yield map(self.perturbed, decoded)

    def perturbed(self, images: Mapping[int, DecodedImage]) -> dict[int, DecodedImage]:
        """Perturb decoded images, by row."""
        if self.device == "cpu" or self.perturbation is None or not _runs_on_device(self.perturbation):
            return {row: self._perturbed(row, image) for row, image in images.items()}
        of_size: dict[tuple[int, int], dict[int, DecodedImage]] = {}
        for row, image in images.items():
            of_size.setdefault(self.decoded_images.sizes[row], {})[row] = image
        found = {row: image for same in of_size.values() for row, image in self._corrupted(same).items()}
        return {row: found[row] for row in images}

    def _corrupted(self, images: Mapping[int, DecodedImage]) -> dict[int, DecodedImage]:
        """Corrupt images of one size together on the device, equal to `read` to one grey level."""
        import torch

        from harness.perturb.image.on_device import corrupt_on_device

        assert self.part is not None
        pixels = torch.from_numpy(np.stack(list(images.values()))).to(self.device)
        rngs = [generator_for(self.part, self.seed, self._key(row).name) for row in images]
        changed = corrupt_on_device(self.part.name, pixels.permute(0, 3, 1, 2), self.part.severity, rngs)
        return dict(zip(images, changed.permute(0, 2, 3, 1).contiguous().cpu().numpy(), strict=True))

    def _key(self, row: int) -> ImageKey:
        return image_key(self.decoded_images.paths[row], self.decoded_images.sizes[row])

    def read(self, row: int) -> DecodedImage:
        """Read one image as the condition shows it, uint8 `[H, W, 3]`."""
        return self._perturbed(row, self.decoded_images.read(row))

    def _perturbed(self, row: int, pixels: DecodedImage) -> DecodedImage:
        if self.part is None or isinstance(self.perturbation, Exchange):
            return pixels
        affine = self.affine(row)
        if affine is not None:
            from harness.perturb.image.geometry import apply_affine

            return apply_affine(pixels, affine)
        assert isinstance(self.perturbation, ImagePerturbation)
        rng = generator_for(self.part, self.seed, self._key(row).name)
        return self.perturbation.apply(pixels, self.part.severity, rng)


@dataclass(frozen=True)
class Words:
    """The texts of a condition: beside each sample, and of each class; and what was done to them."""

    texts: tuple[str | None, ...]
    class_texts: tuple[tuple[str, ...], ...]
    notes: Mapping[str, Any]
    changed: Mapping[str, int]
    """How many texts differ from the original ones, under "text" and "classes"."""


@dataclass
class Rewriter:
    """What rewriting needs: the seed, and the sentence encoder that checks meanings, loaded when first asked."""

    seed: int
    encoder: Any = None

    def encode(self, texts: Sequence[str]) -> Any:
        """Texts to unit vectors `[N, d]`."""
        if self.encoder is None:
            from harness.perturb.text.meaning_check import load_sentence_encoder

            self.encoder = load_sentence_encoder()
        return self.encoder(texts)


def words_for(
    part: Part | None, perturbation: Perturbation | None, original: Words, sample_ids: Sequence[str], rewriter: Rewriter
) -> Words:
    """Rewrite, exchange or leave the texts of samples and of classes."""
    if part is None or perturbation is None or absence(perturbation) is not None:
        return original
    seed = rewriter.seed
    if isinstance(perturbation, Exchange):
        return _exchanged(part, original, seed)
    assert isinstance(perturbation, TextPerturbation)
    flat = [text for group in original.class_texts for text in group]
    beside = [text for text in original.texts if text is not None]
    keys = [name for name, text in zip(sample_ids, original.texts, strict=True) if text is not None]
    keys += [f"class {position}" for position in range(len(flat))]
    rngs = [generator_for(part, seed, key) for key in keys]
    from harness.perturb.text.meaning_check import rewrite

    written = rewrite([*beside, *flat], perturbation, part.severity, rngs, rewriter.encode)
    rest = iter(written.texts)
    texts = tuple(None if text is None else next(rest) for text in original.texts)
    classes = tuple(tuple(next(rest) for _ in group) for group in original.class_texts)
    notes = {"texts": len(keys), "texts_changed": written.changed, "texts_unfaithful": written.dropped}
    return Words(texts, classes, notes, _differences(original, texts, classes))


def _runs_on_device(perturbation: Perturbation) -> bool:
    """Tell whether there is a second form for accelerators, which has the strengths for 224 px alone."""
    from harness.perturb.image.on_device import MADE_FOR_PX, ON_DEVICE

    return perturbation.name in ON_DEVICE and getattr(perturbation, "made_for_px", None) == MADE_FOR_PX


def absence(perturbation: Perturbation) -> str | None:
    """Say why a perturbation cannot be done here, None when it can."""
    return perturbation.absent_reason() if isinstance(perturbation, Conditional) else None


def _exchanged(part: Part, original: Words, seed: int) -> Words:
    texts = original.texts
    if any(text is not None for text in texts):
        texts = tuple(texts[index] for index in permutation(part, seed, len(texts)))
    classes = original.class_texts
    if len(classes) > 1:
        classes = tuple(classes[index] for index in permutation(part, seed, len(classes)))
    return Words(texts, classes, {}, _differences(original, texts, classes))


def _differences(original: Words, texts: Sequence[str | None], classes: Sequence[tuple[str, ...]]) -> dict[str, int]:
    return {
        "text": sum(a != b for a, b in zip(original.texts, texts, strict=True)),
        "classes": sum(a != b for a, b in zip(original.class_texts, classes, strict=True)),
    }
