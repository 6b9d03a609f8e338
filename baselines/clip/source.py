"""Says which open_clip checkpoint is meant, and finds it. No torch here.

ViT-B-32/laion2b_s34b_b79k        an architecture of open_clip and a tag of its published weights
ViT-B-32/./file.safetensors       ... or a local checkpoint
local-dir:./folder                a folder with open_clip_config.json and weights
hf-hub:OWNER/REPOSITORY           the same on the Hugging Face hub; OWNER/REPOSITORY@REVISION at a branch, tag or commit
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from baselines.clip.hub_table import WEIGHT_NAMES, architecture_config, find_entry
from baselines.weights.hub import Checkpoint, download, find_cached, find_on_hub, how_to_get, weights_digest
from harness.errors import CheckpointError, MissingPath, UsageError, WeightsUnavailable

OPEN_CLIP_CONFIG = "open_clip_config.json"
CLIP_EXAMPLES = "ViT-B-32/laion2b_s34b_b79k, local-dir:./folder or hf-hub:OWNER/REPOSITORY"
_LOCAL_DIR, _HUB = "local-dir:", "hf-hub:"
_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth")
_FOLDER_NAMES = (WEIGHT_NAMES[0], "open_clip_pytorch_model.safetensors", WEIGHT_NAMES[1])
"""In the order in which open_clip itself looks for them."""
_SIDE_FILES = ("*.json", "*.txt", "*.model")
"""What a tokenizer of its own consists of."""


@dataclass(frozen=True)
class OpenClipSource:
    """A `folder`, a `repository` in the same layout, or an `architecture` with a `tag` or a `file`.

    Weights are safetensors, or a .bin/.pt that is read with torch's `weights_only`, which runs no code.
    Without `downloads` only the Hugging Face cache is looked at.
    """

    architecture: str | None = None
    tag: str | None = None
    file: Path | None = None
    folder: Path | None = None
    repository: str | None = None
    downloads: bool = True

    def to_json(self) -> dict[str, Any]:
        """Name architecture and digest of the weights; raises WeightsUnavailable or CheckpointError."""
        return {
            "architecture": self.architecture or self.repository or "local folder",
            "tag": self.tag,
            "weights": self.find().digest,
        }

    def find(self) -> Checkpoint:
        """Find the weights without loading them; raises WeightsUnavailable, CheckpointError or UsageError."""
        if self.folder is not None:
            return _find_folder(self.folder)
        if self.file is not None:
            architecture_config(str(self.architecture))
            if not self.file.is_file():
                raise MissingPath(f"There is no file {self.file}. Check the path.")
            return Checkpoint(self.file.parent, weights_digest([self.file]))
        repository, names = self._published()
        others = [OPEN_CLIP_CONFIG] if self.repository else []
        for name in names:
            if (cached := find_cached(repository, [name, *others])) is not None:
                return cached
        if self.downloads:
            return find_on_hub(repository)
        raise WeightsUnavailable(
            f"weights not available: {repository} is not in the Hugging Face cache. {how_to_get(repository)} "
            f"`--model open_clip:{self.architecture}/{self.tag}` downloads it too."
        )

    def local(self) -> OpenClipSource:
        """Bring the weights here and name them as a `file` or a `folder`; raises WeightsUnavailable."""
        if self.folder is not None or self.file is not None:
            return self
        repository, names = self._published()
        if self.repository:
            folder = _folder_of(self.find(), repository, (*names, *_SIDE_FILES))
            return replace(self, folder=folder)
        folder = _folder_of(self.find(), repository, names)
        return replace(self, file=_weights_in(folder, names))

    def captions(self) -> bool:
        """Tell whether the architecture is a CoCa, which writes text; what is not here might be one."""
        if self.architecture is not None:
            return "multimodal_cfg" in architecture_config(self.architecture)
        folder = self.folder
        if self.repository is not None:
            folder = cached.folder if (cached := find_cached(self.repository, [OPEN_CLIP_CONFIG])) else None
        return folder is None or not (folder / OPEN_CLIP_CONFIG).is_file() or "multimodal_cfg" in _folder_config(folder)

    def _published(self) -> tuple[str, tuple[str, ...]]:
        if self.repository is not None:
            return self.repository, WEIGHT_NAMES
        entry = find_entry(str(self.architecture), str(self.tag))
        return entry.repository, entry.names


def parse_source(text: str, *, downloads: bool = True) -> OpenClipSource:
    """Read one of the forms above; raises UsageError for what is none of them."""
    if text.startswith(_LOCAL_DIR):
        folder = text.removeprefix(_LOCAL_DIR)
        if not folder:
            raise UsageError(f"'{text}' names no folder. Wanted {CLIP_EXAMPLES}.")
        return OpenClipSource(folder=Path(folder).expanduser())
    if text.startswith(_HUB):
        repository = text.removeprefix(_HUB)
        if repository.partition("@")[0].count("/") != 1 or "" in repository.split("/"):
            raise UsageError(f"'{text}' names no repository of the hub. Wanted {CLIP_EXAMPLES}.")
        return OpenClipSource(repository=repository, downloads=downloads)
    architecture, slash, tag = text.partition("/")
    if not slash or not tag or not architecture:
        raise UsageError(f"'{text}' lacks a part of ARCHITECTURE/TAG. Wanted {CLIP_EXAMPLES}.")
    architecture_config(architecture)
    if Path(tag).suffix in _SUFFIXES:
        return OpenClipSource(architecture, file=Path(tag).expanduser())
    if tag.startswith((".", "/", "~", "\\")) or Path(tag).is_absolute():
        raise UsageError(f"'{tag}' is not a file of weights. Wanted a path that ends in {', '.join(_SUFFIXES)}.")
    find_entry(architecture, tag)
    return OpenClipSource(architecture, tag, downloads=downloads)


def _folder_of(found: Checkpoint, repository: str, patterns: tuple[str, ...]) -> Path:
    return found.folder or download(repository, patterns, found.digest)


def _find_folder(folder: Path) -> Checkpoint:
    if not folder.is_dir():
        raise MissingPath(f"There is no folder {folder}. Check the path.")
    _folder_config(folder)
    side = [path for pattern in _SIDE_FILES for path in folder.glob(pattern) if path.is_file()]
    return Checkpoint(folder, weights_digest([*side, _weights_in(folder, _FOLDER_NAMES)]))


def _folder_config(folder: Path) -> Mapping[str, Any]:
    config = folder / OPEN_CLIP_CONFIG
    try:
        content = json.loads(config.read_text(encoding="utf-8"))["model_cfg"]
        if not isinstance(content, dict):
            raise TypeError(f"model_cfg is {content!r:.40}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{config} is not an open_clip configuration ({error!r}). Wanted JSON with model_cfg, "
            "as open_clip.push_to_hf_hub writes it."
        ) from error
    return content


def _weights_in(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise CheckpointError(f"{folder} has none of {', '.join(names)}. Fetch the checkpoint again.")
