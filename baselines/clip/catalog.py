"""The named models of the CLIP family: each is an entry point of the group `bench.models`. Cheap to import."""

from __future__ import annotations

from baselines.clip.dual_encoder_model import DualEncoderModel
from baselines.clip.model import CLASSIFICATION, ClipModel
from harness.answers import CHOICES

clip_zero_shot = ClipModel(
    "clip-zero-shot",
    "zero-shot CLIP with prompt ensembles (Radford 2021)",
    "zero_shot",
    controlled=False,
    answers=(*CLASSIFICATION, CHOICES),
)
clip_linear_probe = ClipModel(
    "clip-linear-probe",
    "logistic regression on CLIP's frozen image embeddings, without language (Radford 2021)",
    "linear_probe",
    fused=False,
    controlled=False,
)
clip_coop = ClipModel(
    "clip-coop", "CLIP with learned context vectors before the class (CoOp, Zhou 2022)", "coop", ("context_vectors",)
)
clip_adapter = ClipModel(
    "clip-adapter",
    "CLIP with a bottleneck on the image embedding (CLIP-Adapter, Gao 2021)",
    "adapter",
    ("adapter_ratio",),
)
clip_tip_adapter = ClipModel(
    "clip-tip-adapter",
    "CLIP plus a cache of training images, untrained (Tip-Adapter, Zhang 2022)",
    "tip_adapter",
    ("shots",),
)
clip_tip_adapter_f = ClipModel(
    "clip-tip-adapter-f", "Tip-Adapter with its keys fine-tuned (Zhang 2022)", "tip_adapter_f", ("shots",)
)
clip_wise_ft = ClipModel(
    "clip-wise-ft",
    "mean of zero-shot and fine-tuned image tower (WiSE-FT, Wortsman 2022)",
    "wise_ft",
    ("wise_alpha",),
)
dual_encoder = DualEncoderModel(
    "dual-encoder", "vision backbone and language model trained contrastively (CLIP 2021, UniCL 2022)"
)
