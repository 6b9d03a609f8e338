"""Captions with any `AutoModelForImageTextToText` of transformers: BLIP, GIT, BLIP-2, LLaVA and so on.

No remote code runs, and only safetensors are read. There are two kinds of processor. One that always
gives the same square is taken apart: its resizing becomes the tower's preprocessing, and its text part is
computed once, since the same prompt stands beside every image. Any other (tiles, patches) is given the upright images
of a batch as they are, at most `image_size` px long; texts of unequal length are padded on the left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from baselines.pretrained.frozen_captioner import FrozenCaptioner
from baselines.pretrained.image_geometry import find_tower_or_none
from baselines.pretrained.processor_tower import ProcessorTower, RawTower
from baselines.pretrained.prompts import prompt_for
from baselines.pretrained.settings import read_pretrained_settings
from baselines.pretrained.transformers_loading import Loading, load_image_processor, load_network, load_processor
from harness.cell import DecodeOptions
from harness.sample import Batch, Prediction

_LONGEST_PX = 640
"""As long as COCO's images are: these are seen as they lie on disk."""


class FixedSizeCaptioner(FrozenCaptioner):
    """Generates for a whole batch: equal images and one prompt need no padding, so rows do not meet."""

    def __init__(
        self,
        model: nn.Module,
        vision: ProcessorTower,
        processor: Any,
        text: Mapping[str, Tensor],
        decode: DecodeOptions,
    ) -> None:
        super().__init__(model, vision)
        self._processor, self._text, self._decode = processor, dict(text), decode

    def predict(self, batch: Batch) -> list[Prediction]:
        """Caption the pixel values `[B, 3, S, S]` of a batch."""
        assert batch.visual is not None
        rows = len(batch)
        text = {
            name: self.inputs(value).expand(rows, *value.shape[1:]).contiguous() for name, value in self._text.items()
        }
        inputs = {"pixel_values": self.inputs(batch.visual), **text}
        return list(generate(self.model, self._processor, inputs, self._decode))


class AnySizeCaptioner(FrozenCaptioner):
    """Calls the processor for the images of a batch, whose tokens differ in number, and generates for all of them."""

    def __init__(
        self, model: nn.Module, vision: RawTower, processor: Any, prompt: str | None, decode: DecodeOptions
    ) -> None:
        super().__init__(model, vision)
        self._tower, self._processor, self._prompt, self._decode = vision, processor, prompt, decode

    def predict(self, batch: Batch) -> list[Prediction]:
        """Caption raw pixels `[B, 3, S, S]`, 0..255; the processor takes them on the host."""
        assert batch.visual is not None
        pictures = [as_picture(image) for image in self._tower.images(batch.visual.cpu(), batch.sizes)]
        inputs = process(self._processor, pictures, self._prompt)
        inputs = {name: self.inputs(value) for name, value in inputs.items()}
        return list(generate(self.model, self._processor, inputs, self._decode))


def load_captioner(found: Loading) -> AnySizeCaptioner | FixedSizeCaptioner:
    """Load a checkpoint folder; raises CheckpointError when transformers cannot make a captioner of it."""
    settings, decode = read_pretrained_settings(found.context.options.settings), found.context.decode
    model, processor = load_network(found), load_processor(found.folder)
    prompt = prompt_for(processor, model.config.model_type, settings.prompt)
    tower = find_tower_or_none(load_image_processor(found.folder), found.digest, ("crop", "squash"))
    if tower is None:
        pad_left(processor)
        raw = RawTower(settings.image_size or _LONGEST_PX, found.digest)
        return AnySizeCaptioner(model, raw, processor, prompt, decode)
    text = text_inputs(processor, prompt, tower.preprocessing.size)
    return FixedSizeCaptioner(model, tower, processor, text, decode)


def text_inputs(processor: Any, prompt: str | None, size: int) -> dict[str, Tensor]:
    """Compute what stands beside the pixels: `[1, L]` ids, masks; the same for every image of one size."""
    if prompt is None:
        return {}
    blank = as_picture(torch.zeros(3, size, size))
    return {name: value for name, value in process(processor, [blank], prompt).items() if name != "pixel_values"}


def pad_left(processor: Any) -> None:
    """Let a processor fill short texts up on the left, so that each row's answer follows its own prompt at once."""
    tokenizer = getattr(processor, "tokenizer", None)
    if tokenizer is None:
        return
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token


def process(processor: Any, images: Sequence[Any], prompt: str | None) -> dict[str, Tensor]:
    """Call a processor for images with the same prompt beside each; returns its tensors."""
    if prompt is None:
        encoded = processor(images=list(images), return_tensors="pt")
    elif len(images) == 1:
        encoded = processor(images=list(images), text=[prompt], return_tensors="pt")
    else:  # one list a text: some processors take a plain list for the images of one text
        beside = [[image] for image in images]
        encoded = processor(images=beside, text=[prompt] * len(images), padding=True, return_tensors="pt")
    return {name: value for name, value in encoded.items() if isinstance(value, Tensor)}


def generate(model: Any, processor: Any, inputs: Mapping[str, Tensor], decode: DecodeOptions) -> list[str]:
    """Generate without sampling and return clean text, the prompt and special tokens left out."""
    ids = model.generate(**inputs, do_sample=False, num_beams=decode.beams, max_new_tokens=decode.max_tokens)
    prompt = inputs.get("input_ids")
    if prompt is not None:
        ids = _without_prompt(ids, prompt)
    texts = processor.batch_decode(ids, skip_special_tokens=True)
    return [" ".join(text.split()) for text in texts]


def as_picture(pixels: Tensor) -> Any:
    """Turn `[3, S, S]` values 0..255 into a Pillow image."""
    from PIL import Image

    return Image.fromarray(pixels.round().to(torch.uint8).permute(1, 2, 0).cpu().numpy())


def _without_prompt(ids: Tensor, prompt: Tensor) -> Tensor:
    """Cut the prompt off: decoder-only models repeat it, encoder-decoders do not.

    BLIP puts another first id in and drops the last one, so neither is compared at first.
    """
    for length in (prompt.shape[1], prompt.shape[1] - 1):
        if 1 < length <= ids.shape[1] and torch.equal(ids[:, 1:length], prompt[:, 1:length]):
            return ids[:, length:]
    return ids
