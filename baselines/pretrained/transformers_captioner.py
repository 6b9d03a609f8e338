"""Captions with any `AutoModelForImageTextToText` of transformers: BLIP, GIT, BLIP-2, LLaVA and so on.

No remote code runs, and only safetensors are read. There are two kinds of processor. One that always
gives the same square is taken apart: its resizing becomes the tower's preprocessing, and its text part is
computed once, since the same prompt stands beside every image. Any other (tiles, patches) is given the upright images
of a batch as they are, at most `image_size` px long; texts of unequal length are padded on the left.
Where samples have choices, each is scored by its likelihood as the caption (`caption_likelihood`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from baselines.pretrained.caption_likelihood import CaptionLikelihood
from baselines.pretrained.frozen_captioner import FrozenCaptioner
from baselines.pretrained.image_geometry import find_tower_or_none
from baselines.pretrained.processor_tower import ProcessorTower, RawTower
from baselines.pretrained.prompts import prompt_for
from baselines.pretrained.settings import option_score_of, read_pretrained_settings
from baselines.pretrained.transformers_loading import Loading, load_image_processor, load_network, load_processor
from harness.answers import CHOICES
from harness.cell import DecodeOptions
from harness.sample import Batch, Prediction

_LONGEST_PX = 640
"""As long as COCO's images are: these are seen as they lie on disk."""
_GREY_PX = 64


class TransformersCaptioner(FrozenCaptioner):
    """Writes a caption for each image, or scores each sample's choices; subclasses say what the network is given."""

    def __init__(
        self,
        model: nn.Module,
        vision: ProcessorTower,
        processor: Any,
        decode: DecodeOptions,
        likelihood: CaptionLikelihood | None,
    ) -> None:
        super().__init__(model, vision)
        self._processor, self._decode, self._likelihood = processor, decode, likelihood

    def network_inputs(self, batch: Batch, rows: Sequence[int]) -> Mapping[str, Tensor]:
        """What the network is given for these rows of a batch, each as often as it is named."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its network is given for a batch")

    def grey_inputs(self) -> Mapping[str, Tensor]:
        """What the network is given for an image without content."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its network is given for a grey image")

    def predict(self, batch: Batch) -> list[Prediction]:
        """Caption a batch, or score its choices."""
        if self._likelihood is not None:
            return list(self._likelihood.score(batch, partial(self.network_inputs, batch), self.grey_inputs))
        inputs = self.network_inputs(batch, range(len(batch)))
        return list(generate(self.model, self._processor, inputs, self._decode))

    def checkpoint_settings(self) -> Mapping[str, Any]:
        """What the checkpoint brings, and what stands around a text that is scored."""
        return {**super().checkpoint_settings(), **(self._likelihood.told() if self._likelihood else {})}


class FixedSizeCaptioner(TransformersCaptioner):
    """Generates for a whole batch: equal images and one prompt need no padding, so rows do not meet.

    `text` is what stands beside the pixels, `[1, L]` each.
    """

    def __init__(self, *arguments: Any, text: Mapping[str, Tensor]) -> None:
        super().__init__(*arguments)
        self._text = dict(text)

    def network_inputs(self, batch: Batch, rows: Sequence[int]) -> Mapping[str, Tensor]:
        """Pixel values `[R, 3, S, S]` of these rows, beside the text."""
        assert batch.visual is not None
        return self._beside_text(batch.visual[list(rows)])

    def grey_inputs(self) -> Mapping[str, Tensor]:
        """The mean of all images, which normalising makes 0."""
        side = self.vision.preprocessing.size
        return self._beside_text(torch.zeros(1, 3, side, side))

    def _beside_text(self, pixels: Tensor) -> Mapping[str, Tensor]:
        rows = len(pixels)
        text = {
            name: self.inputs(value).expand(rows, *value.shape[1:]).contiguous() for name, value in self._text.items()
        }
        return {"pixel_values": self.inputs(pixels), **text}


class AnySizeCaptioner(TransformersCaptioner):
    """Calls the processor for the images of a batch, whose tokens differ in number, and generates for all of them."""

    def __init__(self, *arguments: Any, prompt: str | None) -> None:
        super().__init__(*arguments)
        self._prompt = prompt

    def network_inputs(self, batch: Batch, rows: Sequence[int]) -> Mapping[str, Tensor]:
        """What the processor makes of raw pixels `[B, 3, S, S]`, 0..255, of these rows, on the host."""
        assert batch.visual is not None and isinstance(self.vision, RawTower)
        pictures = [as_picture(image) for image in self.vision.images(batch.visual.cpu(), batch.sizes)]
        return self._processed([pictures[row] for row in rows])

    def grey_inputs(self) -> Mapping[str, Tensor]:
        """What the processor makes of a grey square."""
        return self._processed([as_picture(torch.full((3, _GREY_PX, _GREY_PX), 127.0))])

    def _processed(self, pictures: Sequence[Any]) -> Mapping[str, Tensor]:
        encoded = process(self._processor, pictures, self._prompt)
        return {name: self.inputs(value) for name, value in encoded.items()}


def load_captioner(found: Loading) -> AnySizeCaptioner | FixedSizeCaptioner:
    """Load a checkpoint folder; raises CheckpointError when transformers cannot make a captioner of it."""
    settings, decode = read_pretrained_settings(found.context.options.settings), found.context.decode
    model, processor = load_network(found), load_processor(found.folder)
    prompt = prompt_for(processor, model.config.model_type, settings.prompt)
    tower = find_tower_or_none(load_image_processor(found.folder), found.digest, ("crop", "squash"))
    likelihood = None
    if found.spec.answers == CHOICES:
        mean = option_score_of(found.context.options.settings) == "mean"
        likelihood = CaptionLikelihood(model, getattr(processor, "tokenizer", None), prompt, found.folder, mean=mean)
    if tower is None:
        pad_left(processor)
        raw = RawTower(settings.image_size or _LONGEST_PX, found.digest)
        return AnySizeCaptioner(model, raw, processor, decode, likelihood, prompt=prompt)
    text = text_inputs(processor, prompt, tower.preprocessing.size)
    return FixedSizeCaptioner(model, tower, processor, decode, likelihood, text=text)


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
