"""A CLIP for CLIPScore: images on disk and texts to embeddings, on the CPU in float32."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import CheckpointError, UsageError
from harness.inputs.images import read_image, upright_image
from harness.sample import Preprocessing
from tasks.captioning.clip_weights import ClipWeights

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

_BLOCK = 64
_REFUSALS = (OSError, ValueError, KeyError, ImportError, AttributeError, TypeError, RuntimeError)


@dataclass(frozen=True)
class ClipEncoder:
    """Embeds images and texts with one model; embeddings are of any length."""

    encode_images: Callable[[Sequence[Path]], Tensor]
    encode_texts: Callable[[Sequence[str]], Tensor]

    def images(self, paths: Sequence[Path]) -> npt.NDArray[np.float32]:
        """Embed images [N, d]; raises BadSample naming the file that cannot be read."""
        return _in_blocks(self.encode_images, paths)

    def texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed texts [N, d], cut to what the model can read."""
        return _in_blocks(self.encode_texts, texts)


def load_clip(weights: ClipWeights) -> ClipEncoder:
    """Load a model; raises CheckpointError for weights that do not fit, UsageError for a model that is no CLIP."""
    return _load_transformers(weights) if weights.library == "hf" else _load_open_clip(weights)


def _load_open_clip(weights: ClipWeights) -> ClipEncoder:
    import open_clip
    import torch

    name = f"local-dir:{weights.folder}" if weights.folder else str(weights.architecture)
    entry = weights.published
    given: dict[str, Any] = {
        "image_mean": entry.get("mean"), "image_std": entry.get("std"),
        "image_interpolation": entry.get("interpolation"), "image_resize_mode": entry.get("resize_mode"),
        "force_quick_gelu": bool(entry.get("quick_gelu")),
    }  # fmt: skip
    try:
        model, _, _ = open_clip.create_model_and_transforms(
            name, str(weights.file) if weights.file else None, pretrained_text=False, device="cpu", weights_only=True,
            **given,
        )  # fmt: skip
        tokenizer = open_clip.get_tokenizer(name)
    except Exception as error:  # open_clip and torch raise many kinds for a file that does not fit or is not safe
        raise CheckpointError(
            f"task.clip_score: open_clip cannot load {name}{f' with {weights.file}' if weights.file else ''}: {error} "
            "Wanted weights of this very architecture, as safetensors or as a file of tensors only."
        ) from error
    model.eval()
    preprocessing = _preprocessing(model.visual.preprocess_cfg)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (preprocessing.mean, preprocessing.std))

    def encode_images(paths: Sequence[Path]) -> Tensor:
        pixels = torch.stack([torch.from_numpy(read_image(path, preprocessing)) for path in paths])
        embedded: Tensor = model.encode_image((pixels.float() / 255 - mean) / std)
        return embedded

    def encode_texts(texts: Sequence[str]) -> Tensor:
        embedded: Tensor = model.encode_text(tokenizer(list(texts)))
        return embedded

    return ClipEncoder(encode_images, encode_texts)


def _load_transformers(weights: ClipWeights) -> ClipEncoder:
    import transformers

    library: Any = transformers
    folder, options = weights.folder, {"local_files_only": True, "trust_remote_code": False}
    library.utils.logging.disable_progress_bar()  # this process has one of its own
    try:
        kind = library.AutoConfig.from_pretrained(folder, **options).model_type
        if kind != "clip":
            raise UsageError(f"task.clip_score: {folder} holds a model of type {kind}; wanted clip.")
        model, report = library.CLIPModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
        processor = library.AutoImageProcessor.from_pretrained(folder, backend="pil", **options)
        tokenizer = library.AutoTokenizer.from_pretrained(folder, **options)
    except _REFUSALS as error:
        raise CheckpointError(
            f"task.clip_score: {folder} cannot be loaded: {error} Wanted what CLIPModel and CLIPProcessor write with "
            "save_pretrained."
        ) from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise CheckpointError(f"task.clip_score: {folder} lacks {len(missing)} weights (first: {missing[0]}).")
    model.eval()
    longest = model.config.text_config.max_position_embeddings

    def encode_images(paths: Sequence[Path]) -> Tensor:
        pixels = processor(images=[upright_image(path) for path in paths], return_tensors="pt")
        return _pooled(model.get_image_features(**pixels))

    def encode_texts(texts: Sequence[str]) -> Tensor:
        ids = tokenizer(list(texts), padding=True, truncation=True, max_length=longest, return_tensors="pt")
        return _pooled(model.get_text_features(input_ids=ids["input_ids"], attention_mask=ids["attention_mask"]))

    return ClipEncoder(encode_images, encode_texts)


def _pooled(answer: Any) -> Tensor:
    """Releases of transformers give the projected embedding itself, or as the pooled output."""
    embedded: Tensor = getattr(answer, "pooler_output", answer)
    return embedded


def _preprocessing(config: Any) -> Preprocessing:
    size = config["size"]
    sides = (size, size) if isinstance(size, int) else tuple(size)
    if sides[0] != sides[1] or config["resize_mode"] not in ("shortest", "squash"):
        raise UsageError(
            f"task.clip_score: open_clip preprocessing of size {size} with resize_mode {config['resize_mode']} is not "
            "supported; wanted a square, with shortest or squash."
        )
    fit = "squash" if config["resize_mode"] == "squash" else "crop"
    return Preprocessing(int(sides[0]), 1.0, config["interpolation"], tuple(config["mean"]), tuple(config["std"]), fit)


def _in_blocks(encode: Callable[[Any], Tensor], items: Sequence[Any]) -> npt.NDArray[np.float32]:
    import numpy as np
    import torch

    def blocks() -> Iterator[npt.NDArray[np.float32]]:
        for start in range(0, len(items), _BLOCK):
            yield encode(items[start : start + _BLOCK]).float().numpy()

    with torch.inference_mode():
        return np.concatenate(list(blocks()))
