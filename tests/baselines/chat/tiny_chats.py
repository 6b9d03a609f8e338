"""Tiny chat models with random weights of many families, each with a processor and a chat template."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tests.tiny_tokenizers import byte_tokenizer

TURN, END = "<|turn|>", "<|end|>"
CHATML = (
    "{% for m in messages %}<|turn|>{{ m['role'] }}\n{% if m['content'] is string %}{{ m['content'] }}{% else %}"
    "{% for c in m['content'] %}{% if c['type'] == 'image' %}IMAGE{% else %}{{ c['text'] }}{% endif %}{% endfor %}"
    "{% endif %}<|end|>\n{% endfor %}{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}"
)
"""A template in the manner of ChatML; IMAGE stands for what marks an image in a family."""
VICUNA = (
    "{% for m in messages %}{{ m['role'] | upper }}: {% for c in m['content'] %}{% if c['type'] == 'image' %}IMAGE\n"
    "{% else %}{{ c['text'] }}{% endif %}{% endfor %}{% if m['role'] == 'assistant' %}<|end|>{% endif %} {% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
"""A template in the manner of Vicuna: roles are plain words, and the answer begins with a blank."""
IDS: dict[str, Any] = {"pad_token_id": 256, "bos_token_id": 257, "eos_token_id": 258}
VISION: dict[str, Any] = {
    "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32,
    "patch_size": 8,
}  # fmt: skip


def text(words: Any, **more: Any) -> dict[str, Any]:
    """Sizes of a small decoder for a tokenizer."""
    sizes: dict[str, Any] = {
        "vocab_size": len(words), "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 2048,
    }  # fmt: skip
    return {**sizes, **IDS, **more}


def tokenizer(marks: Sequence[str] = (), **extra: Any) -> Any:
    """A tokenizer of bytes: any text can be said, and most words are several tokens."""
    return byte_tokenizer("<|pad|>", "<|begin|>", END, TURN, *marks, padding_side="left", **extra)


def token(words: Any, mark: str) -> int:
    return int(words.convert_tokens_to_ids(mark))


def chatml(mark: str) -> str:
    return CHATML.replace("IMAGE", mark)


def clip_images() -> Any:
    from transformers import CLIPImageProcessor

    return CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})


def llava() -> tuple[Any, Any]:
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor

    words = tokenizer(["<image>"], extra_special_tokens={"image_token": "<image>"})
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**VISION, projection_dim=16), text_config=LlamaConfig(**text(words)),
        image_token_id=token(words, "<image>"), vision_feature_layer=-1,
    )  # fmt: skip
    processor = LlavaProcessor(
        clip_images(), words, patch_size=8, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=VICUNA.replace("IMAGE", "<image>"),
    )  # fmt: skip
    return LlavaForConditionalGeneration(config), processor


def llava_next() -> tuple[Any, Any]:
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaNextConfig,
        LlavaNextForConditionalGeneration,
        LlavaNextImageProcessor,
        LlavaNextProcessor,
    )

    words = tokenizer(["<image>"], extra_special_tokens={"image_token": "<image>"})
    grid = [[32, 64], [64, 32], [64, 64]]
    config = LlavaNextConfig(
        vision_config=CLIPVisionConfig(**VISION, projection_dim=16), text_config=LlamaConfig(**text(words)),
        image_token_id=token(words, "<image>"), image_grid_pinpoints=grid, vision_feature_layer=-1,
    )  # fmt: skip
    images = LlavaNextImageProcessor(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}, image_grid_pinpoints=grid
    )
    processor = LlavaNextProcessor(
        images, words, patch_size=8, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=chatml("<image>"),
    )  # fmt: skip
    return LlavaNextForConditionalGeneration(config), processor


def llava_onevision() -> tuple[Any, Any]:
    from transformers import (
        LlavaOnevisionConfig,
        LlavaOnevisionForConditionalGeneration,
        LlavaOnevisionImageProcessor,
        LlavaOnevisionProcessor,
        LlavaOnevisionVideoProcessor,
        Qwen2Config,
        SiglipVisionConfig,
    )

    marks = {"image_token": "<image>", "video_token": "<video>"}
    words = tokenizer(list(marks.values()), extra_special_tokens=marks)
    grid = [[32, 64], [64, 32]]
    config = LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(**VISION), text_config=Qwen2Config(**text(words)),
        image_token_id=token(words, "<image>"), video_token_id=token(words, "<video>"), image_grid_pinpoints=grid,
        vision_feature_layer=-1, vision_feature_select_strategy="full",
    )  # fmt: skip
    processor = LlavaOnevisionProcessor(
        LlavaOnevisionImageProcessor(size={"height": 32, "width": 32}, image_grid_pinpoints=grid), words,
        LlavaOnevisionVideoProcessor(size={"height": 32, "width": 32}), num_image_tokens=16,
        vision_feature_select_strategy="full", chat_template=chatml("<image>"),
    )  # fmt: skip
    return LlavaOnevisionForConditionalGeneration(config), processor


QWEN = {"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"}
MROPE = {"rope_type": "default", "mrope_section": [2, 1, 1], "rope_theta": 1e4}
SEEN = "<|vision_start|><|image_pad|><|vision_end|>"


def qwen_tokens(words: Any) -> dict[str, Any]:
    names = {"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>",
             "vision_start_token_id": "<|vision_start|>", "vision_end_token_id": "<|vision_end|>"}  # fmt: skip
    return {name: token(words, mark) for name, mark in names.items()}


def qwen_words() -> Any:
    return tokenizer([*QWEN.values(), "<|vision_start|>", "<|vision_end|>"], extra_special_tokens=QWEN)


def qwen_images(patch: int) -> Any:
    from transformers import Qwen2VLImageProcessor

    return Qwen2VLImageProcessor(
        size={"shortest_edge": 16 * patch**2, "longest_edge": 64 * patch**2}, patch_size=patch, merge_size=2
    )


def qwen2_vl() -> tuple[Any, Any]:
    from transformers import (
        Qwen2VLConfig,
        Qwen2VLForConditionalGeneration,
        Qwen2VLProcessor,
        Qwen2VLVideoProcessor,
    )

    words = qwen_words()
    config = Qwen2VLConfig(
        text_config=text(words, rope_parameters=MROPE),
        vision_config={"depth": 2, "embed_dim": 16, "hidden_size": 16, "num_heads": 2, "mlp_ratio": 2, "patch_size": 8},
        **qwen_tokens(words),
    )  # fmt: skip
    processor = Qwen2VLProcessor(qwen_images(8), words, Qwen2VLVideoProcessor(), chat_template=chatml(SEEN))
    return Qwen2VLForConditionalGeneration(config), processor


def qwen2_5_vl() -> tuple[Any, Any]:
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLVideoProcessor,
    )

    words = qwen_words()
    config = Qwen2_5_VLConfig(
        text_config=text(words, rope_parameters=MROPE),
        vision_config={
            "depth": 2, "hidden_size": 16, "intermediate_size": 24, "num_heads": 2, "out_hidden_size": 16,
            "patch_size": 8, "window_size": 32, "fullatt_block_indexes": [1],
        },
        **qwen_tokens(words),
    )  # fmt: skip
    processor = Qwen2_5_VLProcessor(qwen_images(8), words, Qwen2VLVideoProcessor(), chat_template=chatml(SEEN))
    return Qwen2_5_VLForConditionalGeneration(config), processor


def idefics_words() -> Any:
    marks = ["<image>", "<fake_token_around_image>", "<end_of_utterance>", "<global-img>"]
    marks += [f"<row_{row}_col_{column}>" for row in range(1, 5) for column in range(1, 5)]
    return tokenizer(marks, extra_special_tokens={"image_token": "<image>"})


def idefics3() -> tuple[Any, Any]:
    from transformers import (
        Idefics3Config,
        Idefics3ForConditionalGeneration,
        Idefics3ImageProcessor,
        Idefics3Processor,
        LlamaConfig,
    )

    words = idefics_words()
    config = Idefics3Config(
        vision_config=VISION, text_config=LlamaConfig(**text(words)), image_token_id=token(words, "<image>"),
        scale_factor=2, pad_token_id=256,
    )  # fmt: skip
    images = Idefics3ImageProcessor(size={"longest_edge": 64}, max_image_size={"longest_edge": 32})
    return Idefics3ForConditionalGeneration(config), Idefics3Processor(
        images, words, image_seq_len=4, chat_template=chatml("<image>")
    )


def smolvlm() -> tuple[Any, Any]:
    from transformers import (
        LlamaConfig,
        SmolVLMConfig,
        SmolVLMForConditionalGeneration,
        SmolVLMImageProcessor,
        SmolVLMProcessor,
        SmolVLMVideoProcessor,
    )

    words = idefics_words()
    config = SmolVLMConfig(
        vision_config=VISION, text_config=LlamaConfig(**text(words)), image_token_id=token(words, "<image>"),
        scale_factor=2, pad_token_id=256,
    )  # fmt: skip
    images = SmolVLMImageProcessor(size={"longest_edge": 64}, max_image_size={"longest_edge": 32})
    return SmolVLMForConditionalGeneration(config), SmolVLMProcessor(
        images, words, SmolVLMVideoProcessor(), image_seq_len=4, chat_template=chatml("<image>")
    )


def internvl() -> tuple[Any, Any]:
    from transformers import (
        GotOcr2ImageProcessor,
        InternVLConfig,
        InternVLForConditionalGeneration,
        InternVLProcessor,
        InternVLVideoProcessor,
        InternVLVisionConfig,
        Qwen2Config,
    )

    marks = {
        "start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }  # fmt: skip
    words = tokenizer(list(marks.values()), extra_special_tokens=marks)
    vision = {**VISION, "image_size": [32, 32], "patch_size": [8, 8]}
    config = InternVLConfig(
        vision_config=InternVLVisionConfig(**vision), text_config=Qwen2Config(**text(words)),
        image_token_id=token(words, "<IMG_CONTEXT>"), image_seq_length=4, vision_feature_layer=-1,
    )  # fmt: skip
    processor = InternVLProcessor(
        GotOcr2ImageProcessor(size={"height": 32, "width": 32}, crop_to_patches=True, max_patches=3), words,
        InternVLVideoProcessor(size={"height": 32, "width": 32}), image_seq_length=4,
        chat_template=chatml("<IMG_CONTEXT>"),
    )  # fmt: skip
    return InternVLForConditionalGeneration(config), processor


def gemma3() -> tuple[Any, Any]:
    from transformers import (
        Gemma3Config,
        Gemma3ForConditionalGeneration,
        Gemma3ImageProcessor,
        Gemma3Processor,
        Gemma3TextConfig,
        SiglipVisionConfig,
    )

    marks = {"boi_token": "<boi>", "eoi_token": "<eoi>", "image_token": "<soft>"}
    words = tokenizer(list(marks.values()), extra_special_tokens=marks)
    config = Gemma3Config(
        text_config=Gemma3TextConfig(**text(words, head_dim=8, sliding_window=32, query_pre_attn_scalar=8,
                                                layer_types=["sliding_attention", "full_attention"])),
        vision_config=SiglipVisionConfig(**VISION), mm_tokens_per_image=4, image_token_id=token(words, "<soft>"),
        boi_token_index=token(words, "<boi>"), eoi_token_index=token(words, "<eoi>"),
    )  # fmt: skip
    images = Gemma3ImageProcessor(size={"height": 32, "width": 32})
    network: Any = Gemma3ForConditionalGeneration(config)
    network.model.multi_modal_projector.mm_input_projection_weight.data.normal_(std=0.1)  # else zeros
    return network, Gemma3Processor(images, words, image_seq_length=4, chat_template=chatml("<boi>"))


def paligemma() -> tuple[Any, Any]:
    from transformers import (
        GemmaConfig,
        PaliGemmaConfig,
        PaliGemmaForConditionalGeneration,
        PaliGemmaProcessor,
        SiglipImageProcessor,
        SiglipVisionConfig,
    )

    words = tokenizer(["<image>"], extra_special_tokens={"image_token": "<image>"})
    images: Any = SiglipImageProcessor(size={"height": 32, "width": 32})
    images.image_seq_length = 16
    processor = PaliGemmaProcessor(images, words, chat_template=chatml("<image>"))
    config = PaliGemmaConfig(
        text_config=GemmaConfig(**text(words, vocab_size=len(words), head_dim=8)),
        vision_config=SiglipVisionConfig(**VISION, projection_dim=16), image_token_index=token(words, "<image>"),
        projection_dim=16,
    )  # fmt: skip
    return PaliGemmaForConditionalGeneration(config), processor


def pixtral() -> tuple[Any, Any]:
    from transformers import (
        LlavaConfig,
        LlavaForConditionalGeneration,
        MistralConfig,
        PixtralImageProcessor,
        PixtralProcessor,
        PixtralVisionConfig,
    )

    words = tokenizer(["[IMG]", "[IMG_BREAK]", "[IMG_END]"])
    config = LlavaConfig(
        vision_config=PixtralVisionConfig(**{**VISION, "image_size": 64}, head_dim=8),
        text_config=MistralConfig(**text(words, head_dim=8)), image_token_id=token(words, "[IMG]"),
        vision_feature_layer=-1, vision_feature_select_strategy="full",
    )  # fmt: skip
    images = PixtralImageProcessor(size={"longest_edge": 64}, patch_size={"height": 8, "width": 8})
    return LlavaForConditionalGeneration(config), PixtralProcessor(
        images, words, patch_size=8, chat_template=chatml("[IMG]")
    )


def mllama() -> tuple[Any, Any]:
    from transformers import MllamaConfig, MllamaForConditionalGeneration, MllamaImageProcessor, MllamaProcessor

    words = tokenizer(["<|image|>"], extra_special_tokens={"image_token": "<|image|>"})
    config = MllamaConfig(
        vision_config={
            "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "attention_heads": 2,
            "num_global_layers": 1, "image_size": 32, "patch_size": 8, "max_num_tiles": 2, "vision_output_dim": 32,
            "intermediate_layers_indices": [0], "supported_aspect_ratios": [[1, 1], [1, 2], [2, 1]],
        },
        text_config=text(words, num_hidden_layers=3, cross_attention_layers=[1]),
        image_token_index=token(words, "<|image|>"),
    )  # fmt: skip
    images = MllamaImageProcessor(size={"height": 32, "width": 32}, max_image_tiles=2)
    network = MllamaForConditionalGeneration(config)
    for name, parameter in network.named_parameters():  # shut at the start, so that no image would pass
        parameter.data.fill_(1.0) if name.endswith("_gate") else None
    return network, MllamaProcessor(images, words, chat_template=chatml("<|image|>"))


FAMILIES: dict[str, Callable[[], tuple[Any, Any]]] = {
    "llava": llava,
    "llava-next": llava_next,
    "llava-onevision": llava_onevision,
    "qwen2-vl": qwen2_vl,
    "qwen2.5-vl": qwen2_5_vl,
    "idefics3": idefics3,
    "smolvlm": smolvlm,
    "internvl": internvl,
    "gemma3": gemma3,
    "paligemma": paligemma,
    "pixtral": pixtral,
    "mllama": mllama,
}
