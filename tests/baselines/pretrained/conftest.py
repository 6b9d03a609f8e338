"""Tiny checkpoints with random weights, built without a network and saved as their libraries save them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from tests.tiny_tokenizers import word_tokenizer

from .tiny_networks import GROWTH, IMAGE_NETWORKS

WORDS = "a the red blue circle square cat dog on of and describe image in one short sentence".split()  # noqa: SIM905
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "<image>"]
VOCABULARY = len(SPECIAL) + len(WORDS)
IMAGE_TOKEN = SPECIAL.index("<image>")
IDS: dict[str, Any] = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
TEXT: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
}
CHAT = (
    "{% for m in messages %}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<image> {% else %}{{ c['text'] }}{% endif %}"
    "{% endfor %}{% endfor %}"
)
VISION: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 32,
    "patch_size": 8,
}


def tokenizer(**extra: Any) -> Any:
    """Build a word-level tokenizer with BERT's special tokens and an image token."""
    from tokenizers import AddedToken

    made = word_tokenizer(SPECIAL, WORDS, "[CLS]", "[SEP]", cls_token="[CLS]", sep_token="[SEP]", **extra)
    made.add_tokens([AddedToken("<image>", special=True)], special_tokens=True)
    return made


def blip() -> tuple[Any, Any]:
    from transformers import BlipConfig, BlipForConditionalGeneration, BlipImageProcessor, BlipProcessor

    text = {**TEXT, **IDS, "encoder_hidden_size": 32, "sep_token_id": 3}
    config = BlipConfig(text_config=text, vision_config=VISION, projection_dim=16)
    processor = BlipProcessor(BlipImageProcessor(size={"height": 32, "width": 32}), tokenizer())
    return BlipForConditionalGeneration(config), processor


def git() -> tuple[Any, Any]:
    from transformers import CLIPImageProcessor, GitConfig, GitForCausalLM, GitProcessor

    sizes = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    return GitForCausalLM(GitConfig(vision_config=VISION, **TEXT, **IDS)), GitProcessor(sizes, tokenizer())


def querying() -> dict[str, Any]:
    """Settings of models whose decoder reads what a small number of queries has found in the image."""
    from transformers import OPTConfig

    sizes: dict[str, Any] = {"hidden_size": 32, "ffn_dim": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    places: dict[str, Any] = {"max_position_embeddings": 64, "word_embed_proj_dim": 32}
    return {
        "vision_config": VISION,
        "qformer_config": {**TEXT, "encoder_hidden_size": 32, "cross_attention_frequency": 1},
        "text_config": OPTConfig(vocab_size=VOCABULARY, **sizes, **places, **IDS).to_dict(),
        "num_query_tokens": 4,
        "image_token_index": IMAGE_TOKEN,
    }


def blip2() -> tuple[Any, Any]:
    from transformers import Blip2Config, Blip2ForConditionalGeneration, Blip2Processor, BlipImageProcessor

    sizes = BlipImageProcessor(size={"height": 32, "width": 32})
    return Blip2ForConditionalGeneration(Blip2Config(**querying())), Blip2Processor(
        sizes, tokenizer(), num_query_tokens=4
    )


def vision_encoder_decoder() -> tuple[Any, Any]:
    """A ViT whose patches a BERT reads while it writes, in the manner of vit-gpt2-image-captioning and TrOCR."""
    from transformers import (
        BertConfig,
        TrOCRProcessor,
        VisionEncoderDecoderConfig,
        VisionEncoderDecoderModel,
        ViTConfig,
        ViTImageProcessor,
    )

    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(ViTConfig(**VISION), BertConfig(**TEXT, **IDS))
    config.decoder_start_token_id, config.pad_token_id, config.eos_token_id = 2, 0, 3
    return VisionEncoderDecoderModel(config), TrOCRProcessor(
        ViTImageProcessor(size={"height": 32, "width": 32}), tokenizer()
    )


def instructblip() -> tuple[Any, Any]:
    from transformers import (
        BertTokenizer,
        BlipImageProcessor,
        InstructBlipConfig,
        InstructBlipForConditionalGeneration,
        InstructBlipProcessor,
    )

    reader = BertTokenizer(vocab={word: index for index, word in enumerate(SPECIAL + WORDS)})
    sizes = BlipImageProcessor(size={"height": 32, "width": 32})
    processor = InstructBlipProcessor(sizes, tokenizer(), reader, num_query_tokens=4)
    return InstructBlipForConditionalGeneration(InstructBlipConfig(**querying())), processor


def llava() -> tuple[Any, Any]:
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**VISION, projection_dim=16),
        text_config=LlamaConfig(**TEXT, **IDS, num_key_value_heads=4),
        image_token_index=IMAGE_TOKEN,
        vision_feature_select_strategy="default",
        vision_feature_layer=-1,
    )
    processor = LlavaProcessor(
        CLIPImageProcessor(size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32}),
        tokenizer(extra_special_tokens={"image_token": "<image>"}),
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT,
    )
    return LlavaForConditionalGeneration(config), processor


def idefics3() -> tuple[Any, Any]:
    from transformers import (
        Idefics3Config,
        Idefics3ForConditionalGeneration,
        Idefics3ImageProcessor,
        Idefics3Processor,
        LlamaConfig,
    )

    words = tokenizer(extra_special_tokens={"image_token": "<image>"})
    words.add_tokens(["<fake_token_around_image>", "<end_of_utterance>", "<global-img>"], special_tokens=True)
    size = len(words)
    config = Idefics3Config(
        vision_config=VISION,
        text_config=LlamaConfig(**{**TEXT, "vocab_size": size, **IDS, "num_key_value_heads": 4}),
        image_token_id=IMAGE_TOKEN,
        scale_factor=2,
        pad_token_id=0,
    )
    sizes = Idefics3ImageProcessor(
        size={"longest_edge": 64}, max_image_size={"longest_edge": 32}, do_image_splitting=False
    )
    processor = Idefics3Processor(sizes, words, image_seq_len=4)
    return Idefics3ForConditionalGeneration(config), processor


def smolvlm() -> tuple[Any, Any]:
    """Cuts images into tiles, so that images of other shapes become texts of other lengths."""
    from transformers import (
        LlamaConfig,
        SmolVLMConfig,
        SmolVLMForConditionalGeneration,
        SmolVLMImageProcessor,
        SmolVLMProcessor,
        SmolVLMVideoProcessor,
    )

    words = tokenizer(extra_special_tokens={"image_token": "<image>"})
    marks = ["<fake_token_around_image>", "<end_of_utterance>", "<global-img>", "\n"]
    marks += [f"<row_{row}_col_{column}>" for row in range(1, 5) for column in range(1, 5)]
    words.add_tokens(marks, special_tokens=True)
    text = {**TEXT, "vocab_size": len(words), "max_position_embeddings": 256, **IDS, "num_key_value_heads": 4}
    config = SmolVLMConfig(
        vision_config=VISION,
        text_config=LlamaConfig(**text),
        image_token_id=IMAGE_TOKEN,
        scale_factor=2,
        pad_token_id=0,
    )
    sizes = SmolVLMImageProcessor(size={"longest_edge": 64}, max_image_size={"longest_edge": 32})
    processor = SmolVLMProcessor(sizes, words, SmolVLMVideoProcessor(), image_seq_len=4, chat_template=CHAT)
    return SmolVLMForConditionalGeneration(config), processor


BUILDERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "blip": blip,
    "git": git,
    "blip2": blip2,
    "instructblip": instructblip,
    "vision_encoder_decoder": vision_encoder_decoder,
    "llava": llava,
    "idefics3": idefics3,
    "smolvlm": smolvlm,
}


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Give the folder of a tiny checkpoint by name, built once."""
    made: dict[str, Path] = {}

    def give(name: str) -> Path:
        if name not in made:
            torch.manual_seed(7)
            folder = tmp_path_factory.mktemp(name)
            model, processor = {**BUILDERS, **IMAGE_NETWORKS}[name]()
            factor = GROWTH.get(name, 3) if name in IMAGE_NETWORKS else 8
            for parameter in model.parameters():  # larger than at the start, so that images make a difference
                parameter.data.mul_(factor) if parameter.ndim > 1 else None
            model.save_pretrained(folder)
            processor.save_pretrained(folder)
            made[name] = folder
        return made[name]

    return give


@pytest.fixture(scope="session")
def coca_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a tiny CoCa as open_clip's local-dir expects it."""
    from open_clip.coca_model import CoCa
    from safetensors.torch import save_file

    text = {"context_length": 12, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
    model_cfg: dict[str, Any] = {
        "embed_dim": 16,
        "vision_cfg": {
            "image_size": 32,
            "layers": 1,
            "width": 16,
            "head_width": 8,
            "patch_size": 8,
            "attentional_pool": True,
            "attn_pooler_heads": 2,
            "output_tokens": True,
        },
        "text_cfg": {**text, "embed_cls": True, "output_tokens": True},
        "multimodal_cfg": {**text, "attn_pooler_heads": 2},
    }
    torch.manual_seed(3)
    model = CoCa(**model_cfg)
    for parameter in model.parameters():
        parameter.data.mul_(8) if parameter.ndim > 1 else None
    folder = tmp_path_factory.mktemp("coca")
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    preprocess = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4], "interpolation": "bicubic"}
    content = {"model_cfg": {**model_cfg, "custom_text": True}, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="session")
def pictures() -> list[Image.Image]:
    """Make images of several shapes; smooth enough that resizing is no lottery."""
    generator = torch.Generator().manual_seed(11)
    images = []
    for width, height in ((64, 48), (48, 72), (40, 40), (100, 50)):
        coarse = torch.randint(0, 256, (6, 6, 3), generator=generator, dtype=torch.uint8)
        images.append(Image.fromarray(coarse.numpy()).resize((width, height), Image.Resampling.BICUBIC))
    return images
