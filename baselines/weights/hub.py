"""Finds a pretrained checkpoint: a local folder or file, or a repository in the Hugging Face cache.

Nothing here imports torch. The cache is read through its documented layout (`refs/main` names a commit,
`snapshots/COMMIT` holds the files), because importing the hub's client for it costs 0.6 s.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.errors import CheckpointError, MissingPath, WeightsUnavailable
from harness.storage.content import file_digest

HUB_SECONDS = 5.0
_SIDE_FILES = ("*.json", "*.txt", "*.model", "*.jinja")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
_COMMIT = re.compile("[0-9a-f]{40}")
_INDEX = "model.safetensors.index.json"


@dataclass(frozen=True)
class Checkpoint:
    """Where a checkpoint lies, and its digest: sha256 of local files, commit of a hub's repository.

    `folder` is None when it must be downloaded first.
    """

    folder: Path | None
    digest: str


def find_folder(folder: Path) -> Checkpoint:
    """Find a transformers checkpoint in a local folder.

    Raises WeightsUnavailable when the folder is not there, CheckpointError when it holds no safetensors.
    """
    if not folder.is_dir():
        raise MissingPath(f"There is no folder {folder}. Check the path.")
    if not (folder / "config.json").is_file():
        raise CheckpointError(
            f"{folder} has no config.json, so it is not a transformers checkpoint. Wanted what save_pretrained writes."
        )
    lacking = missing_weights(folder)
    if lacking:
        raise CheckpointError(f"{folder}: {lacking}")
    return Checkpoint(folder, weights_digest(_weight_files(folder) + _matching(folder, _SIDE_FILES)))


def split_revision(wish: str) -> tuple[str, str]:
    """Part NAME@REVISION; without one it is main.

    >>> split_revision("org/name@v1"), split_revision("org/name")
    (('org/name', 'v1'), ('org/name', 'main'))
    """
    name, _, revision = wish.partition("@")
    return name, revision or "main"


def find_cached(wish: str, wanted: Iterable[str] = ("config.json",)) -> Checkpoint | None:
    """Find the snapshot of NAME or NAME@REVISION in the Hugging Face cache; None when it, or a file, is absent.

    A revision is a branch, a tag or a commit; the digest names the commit.
    """
    from huggingface_hub import constants

    repository, revision = split_revision(wish)
    home = Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"
    reference = home / "refs" / revision
    if reference.is_file():
        commit = reference.read_text(encoding="utf-8").strip()
    elif _COMMIT.fullmatch(revision):
        commit = revision
    else:
        return None
    folder = home / "snapshots" / commit
    complete = all((folder / name).is_file() for name in wanted)
    return Checkpoint(folder, f"commit:{commit}") if complete else None


def find_on_hub(wish: str) -> Checkpoint:
    """Ask the hub for the commit of NAME or NAME@REVISION, within seconds; raises WeightsUnavailable."""
    from huggingface_hub import constants

    repository, revision = split_revision(wish)
    if constants.HF_HUB_OFFLINE:
        raise WeightsUnavailable(
            f"weights not available: {wish} is not in the cache {constants.HF_HUB_CACHE} "
            f"and HF_HUB_OFFLINE is set. {how_to_get(wish)}"
        )
    from huggingface_hub import HfApi

    try:
        commit = HfApi().model_info(repository, revision=revision, timeout=HUB_SECONDS).sha
    except Exception as error:  # the client raises many kinds, none of them ours
        raise WeightsUnavailable(
            f"weights not available: {wish} is not in the cache {constants.HF_HUB_CACHE} "
            f"and the hub did not answer ({type(error).__name__}). {how_to_get(wish)}"
        ) from error
    return Checkpoint(None, f"commit:{commit}")


def download(wish: str, patterns: Iterable[str], digest: str) -> Path:
    """Download the files of the commit that `digest` names into the cache; raises WeightsUnavailable.

    Never those of a branch as it is by then: the fingerprint must name what is read.
    """
    from huggingface_hub import snapshot_download

    repository, _ = split_revision(wish)
    try:
        return Path(
            snapshot_download(repository, revision=digest.removeprefix("commit:"), allow_patterns=list(patterns))
        )
    except Exception as error:
        raise WeightsUnavailable(
            f"weights not available: {wish} could not be downloaded ({type(error).__name__}: {error}). "
            f"{how_to_get(wish)}"
        ) from error


def missing_weights(folder: Path) -> str | None:
    """Say why a folder cannot be loaded safely; None when it can.

    Only safetensors are read: a pickle can run code when it is read.
    """
    if _index_of(folder) or _matching(folder, ("*.safetensors",)):
        lacking = [name for name in _index_of(folder) if not (folder / name).is_file()]
        return f"shard {lacking[0]} of {_INDEX} is missing; fetch the checkpoint again." if lacking else None
    if _matching(folder, _PICKLES):
        return (
            "holds its weights as a pickle only, which can run code when it is read. Convert it once with "
            "model.save_pretrained(FOLDER), which writes model.safetensors, and name that folder."
        )
    return "holds no *.safetensors file; fetch the checkpoint again."


def weights_digest(files: Iterable[Path]) -> str:
    """Digest the names and contents of files."""
    parts = sorted(f"{path.name} {file_digest(path)}" for path in files)
    return f"sha256:{hashlib.sha256('|'.join(parts).encode()).hexdigest()}"


def how_to_get(repository: str) -> str:
    """Say how weights can be brought here."""
    return (
        f"Run `{hub_command(repository)}` where there is a network, "
        "or copy the repository to a folder and name it as hf:./FOLDER (or open_clip:local-dir:FOLDER)."
    )


def hub_command(wish: str) -> str:
    """Say how NAME or NAME@REVISION is downloaded by hand."""
    repository, revision = split_revision(wish)
    return f"hf download {repository}" + ("" if revision == "main" else f" --revision {revision}")


def _weight_files(folder: Path) -> list[Path]:
    return [folder / name for name in _index_of(folder)] or _matching(folder, ("*.safetensors",))


def _index_of(folder: Path) -> list[str]:
    """List the shards of a checkpoint that is split; empty for one that is not."""
    path = folder / _INDEX
    if not path.is_file():
        return []
    try:
        return sorted(set(json.loads(path.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError) as error:
        raise CheckpointError(f"{path} is not an index of shards: {error!r}. Fetch the checkpoint again.") from error


def _matching(folder: Path, patterns: Iterable[str]) -> list[Path]:
    return sorted(path for pattern in patterns for path in folder.glob(pattern) if path.is_file())
