"""Captions with any `AutoModelForImageTextToText` of transformers: BLIP, GIT, BLIP-2, LLaVA and so on.

No remote code runs, and only safetensors are read. There are two kinds of processor. One that always
gives the same square is taken apart: its resizing becomes the tower's preprocessing, and its text part is
computed once, since the same prompt stands beside every image. Any other (tiles, patches) is called for
each image by itself, on an image that was squashed to a square before; its rows say so by `image_size`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from baselines.pretrained.frozen_captioner import FrozenCaptioner
from baselines.pretrained.image_geometry import find_tower_or_none
from baselines.pretrained.processor_tower import ProcessorTower, RawTower
from baselines.pretrained.prompts import prompt_for
from baselines.pretrained.settings import PretrainedSettings
from baselines.pretrained.transformers_loading import load_image_processor, load_network, load_processor
from harness.cell import DecodeOptions
from harness.sample import Batch, Prediction

_SQUARE = 512


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
        rows, device = len(batch), self.device()
        text = {
            name: value.to(device).expand(rows, *value.shape[1:]).contiguous() for name, value in self._text.items()
        }
        inputs = {"pixel_values": batch.visual.to(device), **text}
        return list(generate(self.model, self._processor, inputs, self._decode))


class EachImageCaptioner(FrozenCaptioner):
    """Calls the processor, and generates, for one image at a time: their tokens differ in number."""

    def __init__(
        self, model: nn.Module, vision: RawTower, processor: Any, prompt: str | None, decode: DecodeOptions
    ) -> None:
        super().__init__(model, vision)
        self._processor, self._prompt, self._decode = processor, prompt, decode

    def predict(self, batch: Batch) -> list[Prediction]:
        """Caption raw pixels `[B, 3, S, S]`, 0..255."""
        assert batch.visual is not None
        device, captions = self.device(), []
        for pixels in batch.visual:
            inputs = process(self._processor, as_picture(pixels), self._prompt)
            inputs = {name: value.to(device) for name, value in inputs.items()}
            captions += generate(self.model, self._processor, inputs, self._decode)
        return captions


def load_captioner(
    folder: Path, digest: str, settings: PretrainedSettings, decode: DecodeOptions, auto_class: str
) -> EachImageCaptioner | FixedSizeCaptioner:
    """Load a checkpoint folder; raises CheckpointError when transformers cannot make a captioner of it."""
    model, processor = load_network(folder, auto_class), load_processor(folder)
    prompt = prompt_for(processor, model.config.model_type, settings.prompt)
    tower = find_tower_or_none(load_image_processor(folder), digest, ("crop", "squash"))
    if tower is None:
        return EachImageCaptioner(model, RawTower(settings.image_size or _SQUARE, digest), processor, prompt, decode)
    text = text_inputs(processor, prompt, tower.preprocessing.size)
    return FixedSizeCaptioner(model, tower, processor, text, decode)


def text_inputs(processor: Any, prompt: str | None, size: int) -> dict[str, Tensor]:
    """Compute what stands beside the pixels: `[1, L]` ids, masks; the same for every image of one size."""
    if prompt is None:
        return {}
    blank = as_picture(torch.zeros(3, size, size))
    return {name: value for name, value in process(processor, blank, prompt).items() if name != "pixel_values"}


def process(processor: Any, image: Any, prompt: str | None) -> dict[str, Tensor]:
    """Call a processor for one image; returns its tensors."""
    if prompt is None:
        encoded = processor(images=image, return_tensors="pt")
    else:
        encoded = processor(images=[image], text=[prompt], return_tensors="pt")
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
