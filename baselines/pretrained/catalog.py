"""Names of pretrained models: `hf:NAME`, `open_clip:ARCH/TAG`, and those that stand in `--model all`.

    hf:Salesforce/blip-image-captioning-base     a repository of the Hugging Face hub: a captioner, classifier,
                                                 detector or segmenter, as its config.json says
    hf:OWNER/NAME@REVISION                       ... at a branch, a tag or a commit
    hf:./folder, hf:/folder, hf:~/folder         what transformers' save_pretrained wrote
    open_clip:coca_ViT-B-32/laion2b_s13b_b90k    an architecture of open_clip and a tag of its weights
    open_clip:coca_ViT-B-32/./file.safetensors   ... or a local checkpoint
    open_clip:local-dir:./folder                 a folder with open_clip_config.json and weights
    open_clip:hf-hub:OWNER/REPOSITORY            the same on the Hugging Face hub

Whoever names a repository as `hf:NAME` or `open_clip:ARCH/TAG` has it downloaded when there is a network.
Those below and in `image_catalog` have short names and never download: in `all` they run where their weights are in the
Hugging Face cache already, and are listed as skipped elsewhere.
"""

from __future__ import annotations

import re
from pathlib import Path

from baselines.clip.source import OpenClipSource, parse_source
from baselines.pretrained.architectures import CAPTIONER
from baselines.pretrained.named_models import UnreadModel, named_folder, named_repository
from baselines.pretrained.open_clip_model import CHOOSING, OpenClipModel, open_clip_model
from baselines.pretrained.transformers_model import TransformersModel
from harness.answers import CAPTIONS
from harness.errors import UsageError

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?(@[\w./-]+)?")
_EXAMPLES = {
    "hf": "hf:Salesforce/blip-image-captioning-base or hf:./folder",
    "open_clip": "open_clip:coca_ViT-B-32/laion2b_s13b_b90k or open_clip:local-dir:./folder",
}


def parse_model_name(name: str) -> TransformersModel | UnreadModel | OpenClipModel:
    """Turn `hf:NAME` or `open_clip:NAME/TAG` into a model; raises UsageError for what is neither."""
    family, colon, rest = name.partition(":")
    if not colon or family not in _EXAMPLES or not rest.strip():
        raise UsageError(f"'{name}' names no pretrained model. Wanted {_EXAMPLES['hf']}, {_EXAMPLES['open_clip']}.")
    return _parse_transformers(name, rest) if family == "hf" else _parse_open_clip(name, rest)


def _parse_transformers(name: str, rest: str) -> TransformersModel | UnreadModel | OpenClipModel:
    if _is_path(rest):
        return named_folder(name, _path(rest))
    if not _REPOSITORY.fullmatch(rest):
        raise UsageError(
            f"'{rest}' in '{name}' is neither a repository nor a folder. Wanted {_EXAMPLES['hf']}; "
            "a folder begins with ./, ../, ~ or /."
        )
    return named_repository(name, rest)


def _parse_open_clip(name: str, rest: str) -> TransformersModel | UnreadModel | OpenClipModel:
    return open_clip_model(name, f"{rest} of open_clip", parse_source(rest))


def _is_path(text: str) -> bool:
    return text.startswith((".", "/", "~", "\\")) or Path(text).is_absolute()


def _path(text: str) -> Path:
    return Path(text).expanduser()


HF_BLIP = TransformersModel(
    "hf-blip",
    "BLIP base fine-tuned on COCO captions (Li et al. 2022, arXiv 2201.12086)",
    repository="Salesforce/blip-image-captioning-base",
    downloads=False,
    kind=CAPTIONER,
)
HF_GIT = TransformersModel(
    "hf-git",
    "GIT base fine-tuned on COCO captions (Wang et al. 2022, arXiv 2205.14100)",
    repository="microsoft/git-base-coco",
    downloads=False,
    kind=CAPTIONER,
)
HF_BLIP2 = TransformersModel(
    "hf-blip2",
    "BLIP-2 with OPT-2.7B, not fine-tuned on COCO (Li et al. 2023, arXiv 2301.12597)",
    repository="Salesforce/blip2-opt-2.7b",
    downloads=False,
    kind=CAPTIONER,
)
OPEN_CLIP_COCA = OpenClipModel(
    "open-clip-coca",
    "CoCa ViT-B-32 on LAION-2B, fine-tuned on COCO captions (Yu et al. 2022, arXiv 2205.01917)",
    OpenClipSource("coca_ViT-B-32", "mscoco_finetuned_laion2b_s13b_b90k", downloads=False),
    (CAPTIONS, *CHOOSING),
)
OPEN_CLIP_VIT_B_32 = OpenClipModel(
    "open-clip-vit-b-32",
    "CLIP ViT-B-32 on LAION-2B, zero-shot (Radford et al. 2021, arXiv 2103.00020)",
    OpenClipSource("ViT-B-32", "laion2b_s34b_b79k", downloads=False),
)
