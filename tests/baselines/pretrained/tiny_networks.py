"""Tiny image networks of transformers with random weights, each with an image processor of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.tiny_tokenizers import word_tokenizer

COCO_91 = {0: "N/A", 1: "person", 2: "bicycle", 3: "N/A", 4: "motorcycle", 5: "traffic light"}
"""As DETR's `id2label` has them: numbers without a class are called N/A."""
VOC_NAMES = {0: "person", 1: "bicycle", 2: "motorbike", 3: "sofa", 4: "tvmonitor"}
"""As RT-DETR's has them: VOC's names of COCO's classes."""
STUFF = {0: "wall", 1: "person", 2: "sky", 3: "tree-merged"}
TEXT = "a the photo of person bicycle motorcycle traffic light couch tv wall sky tree background is task semantic"
"""The words that the tokenizers know."""
TRANSFORMER: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}


def labels(names: dict[int, str]) -> dict[str, Any]:
    return {"id2label": names, "label2id": {name: index for index, name in names.items()}}


def resnet(*stages: int) -> Any:
    from transformers import ResNetConfig

    return ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=[f"stage{stage}" for stage in stages],
    )


def swin(kind: str = "SwinConfig") -> Any:
    import transformers

    return getattr(transformers, kind)(
        image_size=32, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=2,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip


def reader(kind: str = "clip") -> Any:
    """A tokenizer of words that begins and ends texts as CLIP or BERT does, and knows full stops."""
    return word_tokenizer(
        ["[PAD]", "[UNK]", "<begin>", "<end>"], [*TEXT.split(), "."], "<begin>", "<end>", cls_token="<begin>",
        sep_token="<end>", model_max_length=16 if kind == "clip" else 64,
    )  # fmt: skip


def vit() -> tuple[Any, Any]:
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    config = ViTConfig(
        image_size=32,
        patch_size=8,
        **TRANSFORMER,
        **labels({0: "tench, Tinca tinca", 1: "red_fox", 2: "crane", 3: "cat"}),
    )
    return ViTForImageClassification(config), ViTImageProcessor(size={"height": 32, "width": 32})


def convnext() -> tuple[Any, Any]:
    from transformers import ConvNextConfig, ConvNextForImageClassification, ConvNextImageProcessor

    config = ConvNextConfig(hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], **labels({0: "dog", 1: "cat", 2: "fox"}))
    return ConvNextForImageClassification(config), ConvNextImageProcessor(size={"shortest_edge": 64}, crop_pct=0.875)


def detr() -> tuple[Any, Any]:
    from transformers import DetrConfig, DetrForObjectDetection, DetrImageProcessor

    config = DetrConfig(
        backbone_config=resnet(4), use_timm_backbone=False, d_model=16, num_queries=9, encoder_layers=1,
        decoder_layers=1, encoder_ffn_dim=16, decoder_ffn_dim=16, encoder_attention_heads=2, decoder_attention_heads=2,
        **labels(COCO_91),
    )  # fmt: skip
    network = DetrForObjectDetection(config)
    network.class_labels_classifier.bias.data[[0, 3]] -= 3  # N/A is never learned
    network.model.query_position_embeddings.weight.data.mul_(3)
    return network, DetrImageProcessor(size={"shortest_edge": 48, "longest_edge": 80})


def timm_detr() -> tuple[Any, Any]:
    from transformers import DetrConfig, DetrForObjectDetection, DetrImageProcessor

    config = DetrConfig(
        use_timm_backbone=True, backbone="test_resnet", d_model=16, num_queries=9, encoder_layers=1, decoder_layers=1,
        encoder_ffn_dim=16, decoder_ffn_dim=16, encoder_attention_heads=2, decoder_attention_heads=2, **labels(COCO_91),
    )  # fmt: skip
    network = DetrForObjectDetection(config)
    network.class_labels_classifier.bias.data[[0, 3]] -= 3
    return network, DetrImageProcessor(size={"shortest_edge": 48, "longest_edge": 80})


def conditional_detr() -> tuple[Any, Any]:
    from transformers import ConditionalDetrConfig, ConditionalDetrForObjectDetection, ConditionalDetrImageProcessor

    config = ConditionalDetrConfig(
        backbone_config=resnet(4), use_timm_backbone=False, d_model=16, num_queries=9, encoder_layers=1,
        decoder_layers=1, encoder_ffn_dim=16, decoder_ffn_dim=16, encoder_attention_heads=2, decoder_attention_heads=2,
        **labels(COCO_91),
    )  # fmt: skip
    processor = ConditionalDetrImageProcessor(size={"shortest_edge": 48, "longest_edge": 80})
    return ConditionalDetrForObjectDetection(config), processor


def deformable_detr() -> tuple[Any, Any]:
    from transformers import DeformableDetrConfig, DeformableDetrForObjectDetection, DeformableDetrImageProcessor

    config = DeformableDetrConfig(
        backbone_config=resnet(2, 3, 4), use_timm_backbone=False, d_model=32, num_queries=9, encoder_layers=1,
        decoder_layers=2, encoder_ffn_dim=16, decoder_ffn_dim=16, encoder_attention_heads=2, decoder_attention_heads=2,
        num_feature_levels=4, **labels(COCO_91),
    )  # fmt: skip
    processor = DeformableDetrImageProcessor(size={"shortest_edge": 96, "longest_edge": 160})
    return DeformableDetrForObjectDetection(config), processor


def rt_detr() -> tuple[Any, Any]:
    from transformers import RTDetrImageProcessor, RTDetrResNetConfig, RTDetrV2Config, RTDetrV2ForObjectDetection

    backbone = RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = RTDetrV2Config(
        backbone_config=backbone, encoder_hidden_dim=16, encoder_in_channels=[8, 16, 16], encoder_ffn_dim=16,
        encoder_attention_heads=2, d_model=16, num_queries=12, decoder_in_channels=[16, 16, 16], decoder_ffn_dim=16,
        decoder_layers=2, decoder_attention_heads=2, num_denoising=0, **labels(VOC_NAMES),
    )  # fmt: skip
    return RTDetrV2ForObjectDetection(config), RTDetrImageProcessor(size={"height": 64, "width": 64})


def yolos() -> tuple[Any, Any]:
    from transformers import YolosConfig, YolosForObjectDetection, YolosImageProcessor

    config = YolosConfig(image_size=[48, 64], patch_size=8, num_detection_tokens=7, **TRANSFORMER, **labels(COCO_91))
    return YolosForObjectDetection(config), YolosImageProcessor(size={"shortest_edge": 48, "longest_edge": 80})


CLIP_TEXT = {
    **TRANSFORMER,
    "vocab_size": 32,
    "max_position_embeddings": 16,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 3,
}


def _calmed(owl: Any) -> Any:
    """Bring boxes and scores away from 0 and 1, where they start."""
    owl.box_head.dense2.weight.data.mul_(0.01)
    owl.class_head.logit_scale.weight.data.mul_(0.05)
    return owl


def owlvit() -> tuple[Any, Any]:
    from transformers import OwlViTConfig, OwlViTForObjectDetection, OwlViTImageProcessor, OwlViTProcessor

    config = OwlViTConfig(
        text_config=CLIP_TEXT, vision_config={**TRANSFORMER, "image_size": 32, "patch_size": 8}, projection_dim=16
    )
    processor = OwlViTImageProcessor(size={"height": 32, "width": 32})
    return _calmed(OwlViTForObjectDetection(config)), OwlViTProcessor(processor, reader())


def owlv2() -> tuple[Any, Any]:
    from transformers import Owlv2Config, Owlv2ForObjectDetection, Owlv2ImageProcessor, Owlv2Processor

    config = Owlv2Config(
        text_config=CLIP_TEXT, vision_config={**TRANSFORMER, "image_size": 96, "patch_size": 16}, projection_dim=16
    )
    processor = Owlv2ImageProcessor(size={"height": 96, "width": 96})
    return _calmed(Owlv2ForObjectDetection(config)), Owlv2Processor(processor, reader())


def grounding_dino() -> tuple[Any, Any]:
    from transformers import (
        BertConfig,
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        GroundingDinoImageProcessor,
        GroundingDinoProcessor,
    )

    config = GroundingDinoConfig(
        backbone_config=resnet(2, 3, 4), text_config=BertConfig(vocab_size=32, **TRANSFORMER), d_model=32,
        num_queries=9, encoder_layers=1, decoder_layers=2, encoder_ffn_dim=16, decoder_ffn_dim=16,
        encoder_attention_heads=2, decoder_attention_heads=2, max_text_len=24,
    )  # fmt: skip
    processor = GroundingDinoImageProcessor(size={"shortest_edge": 96, "longest_edge": 160})
    return GroundingDinoForObjectDetection(config), GroundingDinoProcessor(processor, reader("bert"))


def segformer() -> tuple[Any, Any]:
    from transformers import SegformerConfig, SegformerForSemanticSegmentation, SegformerImageProcessor

    config = SegformerConfig(
        depths=[1, 1, 1, 1], hidden_sizes=[8, 8, 16, 16], num_attention_heads=[1, 1, 2, 2], decoder_hidden_size=16,
        **labels(STUFF),
    )  # fmt: skip
    return SegformerForSemanticSegmentation(config), SegformerImageProcessor(size={"height": 64, "width": 64})


def upernet() -> tuple[Any, Any]:
    from transformers import SegformerImageProcessor, UperNetConfig, UperNetForSemanticSegmentation

    config = UperNetConfig(
        backbone_config=swin(), hidden_size=16, auxiliary_in_channels=32, auxiliary_channels=8, **labels(STUFF)
    )
    return UperNetForSemanticSegmentation(config), SegformerImageProcessor(size={"height": 64, "width": 64})


def beit() -> tuple[Any, Any]:
    from transformers import BeitConfig, BeitForSemanticSegmentation, BeitImageProcessor

    config = BeitConfig(
        image_size=64, patch_size=16, **{**TRANSFORMER, "num_hidden_layers": 4}, out_indices=[1, 2, 3, 4],
        use_auxiliary_head=False, use_relative_position_bias=True, **labels(STUFF),
    )  # fmt: skip
    processor = BeitImageProcessor(size={"height": 64, "width": 64}, do_center_crop=False)
    return BeitForSemanticSegmentation(config), processor


def dpt() -> tuple[Any, Any]:
    from transformers import DPTConfig, DPTForSemanticSegmentation, DPTImageProcessor

    config = DPTConfig(
        image_size=64, patch_size=16, **{**TRANSFORMER, "num_hidden_layers": 4}, backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 8, 8, 8], fusion_hidden_size=8, use_auxiliary_head=False, **labels(STUFF),
    )  # fmt: skip
    return DPTForSemanticSegmentation(config), DPTImageProcessor(size={"height": 64, "width": 64})


def maskformer() -> tuple[Any, Any]:
    from transformers import DetrConfig, MaskFormerConfig, MaskFormerForInstanceSegmentation, MaskFormerImageProcessor

    decoder = DetrConfig(
        backbone_config=resnet(4), use_timm_backbone=False, d_model=16, num_queries=9, encoder_layers=1,
        decoder_layers=1, encoder_ffn_dim=16, decoder_ffn_dim=16, encoder_attention_heads=2, decoder_attention_heads=2,
    )  # fmt: skip
    config = MaskFormerConfig(
        backbone_config=swin(), decoder_config=decoder, fpn_feature_size=32, mask_feature_size=32, **labels(STUFF)
    )
    processor = MaskFormerImageProcessor(size={"shortest_edge": 48, "longest_edge": 80}, size_divisor=16)
    return MaskFormerForInstanceSegmentation(config), processor


def mask2former() -> tuple[Any, Any]:
    from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, Mask2FormerImageProcessor

    config = Mask2FormerConfig(
        backbone_config=swin(), feature_size=32, mask_feature_size=32, hidden_dim=32, encoder_feedforward_dim=16,
        encoder_layers=1, decoder_layers=2, num_attention_heads=2, dim_feedforward=16, num_queries=9, **labels(STUFF),
    )  # fmt: skip
    processor = Mask2FormerImageProcessor(size={"height": 64, "width": 64}, size_divisor=32)
    return Mask2FormerForUniversalSegmentation(config), processor


def oneformer() -> tuple[Any, Any]:
    from transformers import (
        OneFormerConfig,
        OneFormerForUniversalSegmentation,
        OneFormerImageProcessor,
        OneFormerProcessor,
    )

    config = OneFormerConfig(
        backbone_config=swin(), num_queries=9, task_seq_len=12, text_encoder_width=16, text_encoder_context_length=12,
        text_encoder_num_layers=1, text_encoder_vocab_size=32, conv_dim=32, mask_dim=32, hidden_dim=32,
        encoder_feedforward_dim=16, encoder_layers=1, decoder_layers=2, num_attention_heads=2, dim_feedforward=16,
        query_dec_layers=1, **labels(STUFF),
    )  # fmt: skip
    processor = OneFormerImageProcessor(size={"shortest_edge": 48, "longest_edge": 80}, num_text=4)
    return OneFormerForUniversalSegmentation(config), OneFormerProcessor(processor, reader(), task_seq_length=12)


def clipseg() -> tuple[Any, Any]:
    from transformers import CLIPSegConfig, CLIPSegForImageSegmentation, CLIPSegProcessor, ViTImageProcessor

    config = CLIPSegConfig(
        text_config=CLIP_TEXT, vision_config={**TRANSFORMER, "num_hidden_layers": 3, "image_size": 32, "patch_size": 8},
        projection_dim=16, extract_layers=[0, 1, 2], reduce_dim=8, decoder_num_attention_heads=2,
        decoder_intermediate_size=16,
    )  # fmt: skip
    return CLIPSegForImageSegmentation(config), CLIPSegProcessor(
        ViTImageProcessor(size={"height": 48, "width": 48}), reader()
    )


GROWTH = {"owlvit": 1.0, "owlv2": 1.0, "clipseg": 1.5, "detr": 6.0}
"""By what weights are multiplied, so that images make a difference; 3 for the others."""
IMAGE_NETWORKS: dict[str, Callable[[], tuple[Any, Any]]] = {
    made.__name__: made
    for made in (
        vit, convnext, detr, conditional_detr, deformable_detr, rt_detr, yolos, owlvit, owlv2, grounding_dino,
        segformer, upernet, beit, dpt, maskformer, mask2former, oneformer, clipseg,
    )
}  # fmt: skip
