"""Names of pretrained captioners: `hf:NAME`, `open_clip:ARCH/TAG`, and four that stand in `--model all`.

    hf:Salesforce/blip-image-captioning-base     a repository of the Hugging Face hub
    hf:./folder, hf:/folder, hf:~/folder         what transformers' save_pretrained wrote
    open_clip:coca_ViT-B-32/laion2b_s13b_b90k    an architecture of open_clip and a tag of its weights
    open_clip:coca_ViT-B-32/./file.safetensors   ... or a local checkpoint
    open_clip:local-dir:./folder                 a folder with open_clip_config.json and weights

Whoever names a repository as `hf:NAME` or `open_clip:ARCH/TAG` has it downloaded when there is a network.
The four below have short names and never download: in `all` they run where their weights are in the
Hugging Face cache already, and are listed as skipped elsewhere.
"""

from __future__ import annotations

import re
from pathlib import Path

from baselines.pretrained.open_clip_model import COCA_REPOSITORIES, OpenClipModel
from baselines.pretrained.transformers_model import TransformersModel
from harness.errors import UsageError, nearest

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_LOCAL_DIR = "local-dir:"
_EXAMPLES = {
    "hf": "hf:Salesforce/blip-image-captioning-base or hf:./folder",
    "open_clip": "open_clip:coca_ViT-B-32/laion2b_s13b_b90k or open_clip:local-dir:./folder",
}


def parse_model_name(name: str) -> TransformersModel | OpenClipModel:
    """Turn `hf:NAME` or `open_clip:NAME/TAG` into a model; raises UsageError for what is neither."""
    family, colon, rest = name.partition(":")
    if not colon or family not in _EXAMPLES or not rest.strip():
        raise UsageError(f"'{name}' names no pretrained model. Wanted {_EXAMPLES['hf']}, {_EXAMPLES['open_clip']}.")
    return _parse_transformers(name, rest) if family == "hf" else _parse_open_clip(name, rest)


def _parse_transformers(name: str, rest: str) -> TransformersModel | OpenClipModel:
    if _is_path(rest):
        return TransformersModel(name, f"the transformers checkpoint in {rest}", folder=_path(rest))
    if not _REPOSITORY.fullmatch(rest):
        raise UsageError(
            f"'{rest}' in '{name}' is neither a repository nor a folder. Wanted {_EXAMPLES['hf']}; "
            "a folder begins with ./, ../, ~ or /."
        )
    return TransformersModel(name, f"{rest} from the Hugging Face hub", repository=rest)


def _parse_open_clip(name: str, rest: str) -> TransformersModel | OpenClipModel:
    if rest.startswith(_LOCAL_DIR):
        folder = rest.removeprefix(_LOCAL_DIR)
        if not folder:
            raise UsageError(f"'{name}' names no folder. Wanted {_EXAMPLES['open_clip']}.")
        return OpenClipModel(name, f"the open_clip checkpoint in {folder}", folder=_path(folder))
    architecture, slash, tag = rest.partition("/")
    if not slash or not tag or not architecture:
        raise UsageError(f"'{name}' lacks a part of ARCHITECTURE/TAG. Wanted {_EXAMPLES['open_clip']}.")
    if _is_path(tag) or Path(tag).suffix in (".safetensors", ".bin", ".pt", ".pth"):
        return OpenClipModel(name, f"{architecture} of open_clip from {tag}", architecture, file=_path(tag))
    if (architecture, tag) not in COCA_REPOSITORIES:
        known = ["/".join(pair) for pair in COCA_REPOSITORIES]
        raise UsageError(
            f"'{rest}' is not an open_clip captioner with public weights; only CoCa can write text. "
            f"{nearest(rest, known)} For weights of your own: open_clip:{architecture}/./FILE.safetensors."
        )
    return OpenClipModel(name, f"{architecture} of open_clip, weights {tag}", architecture, tag=tag)


def _is_path(text: str) -> bool:
    return text.startswith((".", "/", "~", "\\")) or Path(text).is_absolute()


def _path(text: str) -> Path:
    return Path(text).expanduser()


HF_BLIP = TransformersModel(
    "hf-blip",
    "BLIP base fine-tuned on COCO captions (Li et al. 2022, arXiv 2201.12086)",
    repository="Salesforce/blip-image-captioning-base",
    downloads=False,
)
HF_GIT = TransformersModel(
    "hf-git",
    "GIT base fine-tuned on COCO captions (Wang et al. 2022, arXiv 2205.14100)",
    repository="microsoft/git-base-coco",
    downloads=False,
)
HF_BLIP2 = TransformersModel(
    "hf-blip2",
    "BLIP-2 with OPT-2.7B, not fine-tuned on COCO (Li et al. 2023, arXiv 2301.12597)",
    repository="Salesforce/blip2-opt-2.7b",
    downloads=False,
)
OPEN_CLIP_COCA = OpenClipModel(
    "open-clip-coca",
    "CoCa ViT-B-32 on LAION-2B, fine-tuned on COCO captions (Yu et al. 2022, arXiv 2205.01917)",
    "coca_ViT-B-32",
    tag="mscoco_finetuned_laion2b_s13b_b90k",
    downloads=False,
)
