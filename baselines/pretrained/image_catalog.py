"""Pretrained image networks that stand in `--model all`; each attribute is an entry point. Cheap to import.

They never download: they run where their weights are in the Hugging Face cache, and are listed as skipped elsewhere.
"""

from __future__ import annotations

from baselines.pretrained.architectures import (
    CLASSIFIER,
    DETECTOR,
    GROUNDING_DETECTOR,
    OWL_DETECTOR,
    SEGMENTER,
    TASK_SEGMENTER,
    TEXT_SEGMENTER,
    ArchitectureKind,
)
from baselines.pretrained.timm_model import TimmModel
from baselines.pretrained.transformers_model import TransformersModel


def _named(name: str, summary: str, repository: str, kind: ArchitectureKind) -> TransformersModel:
    return TransformersModel(name, summary, repository=repository, downloads=False, kind=kind)


HF_VIT = _named(
    "hf-vit",
    "ViT-B/16 on ImageNet (Dosovitskiy et al. 2021, arXiv 2010.11929)",
    "google/vit-base-patch16-224",
    CLASSIFIER,
)
TIMM_RESNET50 = TimmModel(
    "timm-resnet50",
    "ResNet-50 on ImageNet, recipe A1 (Wightman et al. 2021, arXiv 2110.00476)",
    "timm/resnet50.a1_in1k",
    downloads=False,
)
HF_DETR = _named(
    "hf-detr", "DETR with ResNet-50 on COCO (Carion et al. 2020, arXiv 2005.12872)", "facebook/detr-resnet-50", DETECTOR
)
HF_RTDETR = _named(
    "hf-rtdetr",
    "RT-DETRv2 with ResNet-50 on COCO (Lv et al. 2024, arXiv 2407.17140)",
    "PekingU/rtdetr_v2_r50vd",
    DETECTOR,
)
HF_OWLVIT = _named(
    "hf-owlvit",
    "OWL-ViT B/32, guided by class texts (Minderer et al. 2022, arXiv 2205.06230)",
    "google/owlvit-base-patch32",
    OWL_DETECTOR,
)
HF_OWLV2 = _named(
    "hf-owlv2",
    "OWLv2 B/16, guided by class texts (Minderer et al. 2023, arXiv 2306.09683)",
    "google/owlv2-base-patch16-ensemble",
    OWL_DETECTOR,
)
HF_GROUNDING_DINO = _named(
    "hf-grounding-dino",
    "Grounding DINO tiny, guided by class texts (Liu et al. 2023, arXiv 2303.05499)",
    "IDEA-Research/grounding-dino-tiny",
    GROUNDING_DETECTOR,
)
HF_SEGFORMER = _named(
    "hf-segformer",
    "SegFormer B0 on ADE20K (Xie et al. 2021, arXiv 2105.15203)",
    "nvidia/segformer-b0-finetuned-ade-512-512",
    SEGMENTER,
)
HF_ONEFORMER = _named(
    "hf-oneformer",
    "OneFormer with Swin-L on COCO (Jain et al. 2023, arXiv 2211.06220)",
    "shi-labs/oneformer_coco_swin_large",
    TASK_SEGMENTER,
)
HF_CLIPSEG = _named(
    "hf-clipseg",
    "CLIPSeg rd64, guided by class texts (Lüddecke & Ecker 2022, arXiv 2112.10003)",
    "CIDAS/clipseg-rd64-refined",
    TEXT_SEGMENTER,
)
