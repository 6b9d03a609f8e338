"""Says which CLIP on disk `task.clip_score` means, and finds it; nothing is downloaded, and nothing here imports torch.

hf:FOLDER                              what transformers' save_pretrained writes
open_clip:local-dir:FOLDER             open_clip_config.json and weights beside it
open_clip:ARCHITECTURE/FILE            an architecture of open_clip and a file of its weights
open_clip:ARCHITECTURE/TAG             its published weights, where they are in the Hugging Face cache
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import CheckpointError, MissingPath, UsageError, WeightsUnavailable, nearest
from harness.storage.content import file_digest

CLIP_WISHES = (
    "hf:FOLDER, open_clip:local-dir:FOLDER, open_clip:ViT-B-32/FILE.safetensors or open_clip:ViT-B-32/laion2b_s34b_b79k"
)
_LOCAL_DIR = "local-dir:"
_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth")
_OPEN_CLIP_NAMES = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin")
_SIDE_FILES = ("*.json", "*.txt", "*.model")


@dataclass(frozen=True)
class ClipWeights:
    """A CLIP on disk: a `folder` of transformers or of open_clip, or a `file` of an `architecture` of open_clip.

    `digest` is the sha256 of its files' names and contents; `published` is what open_clip's table says beside a tag.
    """

    library: str
    digest: str
    folder: Path | None = None
    architecture: str | None = None
    file: Path | None = None
    published: Mapping[str, Any] = field(default_factory=dict)


def find_clip(wish: str) -> ClipWeights:
    """Find what a setting means.

    Raises UsageError for what is none of the forms above, WeightsUnavailable for weights that are not there,
    CheckpointError for a folder that is no checkpoint.
    """
    library, colon, rest = wish.partition(":")
    if not colon or not rest or library not in ("hf", "open_clip"):
        raise UsageError(f"task.clip_score={wish}: names no CLIP. Wanted {CLIP_WISHES}.")
    if library == "hf":
        return _find_transformers(_place(rest))
    if rest.startswith(_LOCAL_DIR):
        return _find_local_dir(_place(rest.removeprefix(_LOCAL_DIR)))
    architecture, slash, weights = rest.partition("/")
    if not slash or not weights:
        raise UsageError(f"task.clip_score={wish}: lacks a part of ARCHITECTURE/FILE. Wanted {CLIP_WISHES}.")
    _check_architecture(architecture)
    if Path(weights).suffix in _SUFFIXES:
        file = _place(weights)
        if not file.is_file():
            raise MissingPath(f"task.clip_score: there is no file {file}. Check the path, or leave CLIPScore out.")
        return ClipWeights("open_clip", _digest([file]), architecture=architecture, file=file)
    return _find_published(architecture, weights)


def _find_transformers(folder: Path) -> ClipWeights:
    _require_folder(folder, "config.json", "transformers")
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise CheckpointError(
            f"{folder} holds no *.safetensors. A pickle can run code when it is read: convert it once with "
            "model.save_pretrained(FOLDER), and name that folder."
        )
    return ClipWeights("hf", _digest([*_side_files(folder), *weights]), folder=folder)


def _find_local_dir(folder: Path) -> ClipWeights:
    _require_folder(folder, "open_clip_config.json", "open_clip")
    weights = [folder / name for name in _OPEN_CLIP_NAMES if (folder / name).is_file()]
    if not weights:
        raise CheckpointError(f"{folder} has none of {', '.join(_OPEN_CLIP_NAMES)}. Fetch the checkpoint again.")
    return ClipWeights("open_clip", _digest([*_side_files(folder), weights[0]]), folder=folder)


def _find_published(architecture: str, tag: str) -> ClipWeights:
    """Look into the Hugging Face cache; importing open_clip's table costs seconds, as loading it does anyway."""
    from huggingface_hub import try_to_load_from_cache
    from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model

    entry = get_pretrained_cfg(architecture, tag)
    repository, _, name = str(entry.get("hf_hub", "")).rpartition("/")
    if not entry or not repository:
        known = [f"{architecture}/{other}" for other in list_pretrained_tags_by_model(architecture)]
        raise UsageError(f"open_clip has no weights '{architecture}/{tag}'. {nearest(f'{architecture}/{tag}', known)}")
    names = [str(Path(name).with_suffix(".safetensors")), name] if name else [_OPEN_CLIP_NAMES[0], _OPEN_CLIP_NAMES[2]]
    for wanted in names:
        cached = try_to_load_from_cache(repository, wanted)
        if isinstance(cached, str):
            file = Path(cached)
            return ClipWeights(
                "open_clip", _digest([file.resolve()]), architecture=architecture, file=file, published=entry
            )
    raise WeightsUnavailable(
        f"task.clip_score: the weights {architecture}/{tag} are not in the Hugging Face cache. Run "
        f"`hf download {repository}` where there is a network, name a file of them as "
        f"open_clip:{architecture}/FILE.safetensors, or leave CLIPScore out."
    )


def _check_architecture(name: str) -> None:
    found = importlib.util.find_spec("open_clip")
    if found is None or found.origin is None:
        raise WeightsUnavailable("task.clip_score: open_clip is not installed. Run `uv sync`, or take hf:FOLDER.")
    folder = Path(found.origin).parent / "model_configs"
    known = [path.stem for path in folder.glob("*.json")]
    if name not in known:
        raise UsageError(f"task.clip_score: open_clip has no architecture '{name}'. {nearest(name, known)}")


def _require_folder(folder: Path, config: str, library: str) -> None:
    if not folder.is_dir():
        raise MissingPath(f"task.clip_score: there is no folder {folder}. Check the path, or leave CLIPScore out.")
    if not (folder / config).is_file():
        raise CheckpointError(f"{folder} has no {config}, so it is no checkpoint of {library}. Check task.clip_score.")


def _place(text: str) -> Path:
    return Path(text).expanduser()


def _side_files(folder: Path) -> list[Path]:
    return [path for pattern in _SIDE_FILES for path in folder.glob(pattern) if path.is_file()]


def _digest(files: Iterable[Path]) -> str:
    parts: Sequence[str] = sorted(f"{path.name} {file_digest(path)}" for path in files)
    return hashlib.sha256("|".join(parts).encode()).hexdigest()
