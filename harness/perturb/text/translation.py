"""Translates a text into another language and back (Qiu et al. 2024, arXiv 2212.08044, with WMT19 English-German)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from harness.errors import CheckpointError, WeightsUnavailable
from harness.perturb.perturbation import TEXT

if TYPE_CHECKING:
    import numpy as np

HUB_NAMES: Final = ("Helsinki-NLP/opus-mt-en-de", "Helsinki-NLP/opus-mt-de-en")
"""What is looked for in the hub's cache where no folders are given; nothing is ever downloaded for this."""
_BEAMS: Final = 4
_LONGEST: Final = 128  # pieces of a text, and of its translation
_NEEDED: Final = ("config.json", "model.safetensors")
_REFUSALS = (OSError, ValueError, KeyError, ImportError, AttributeError, TypeError, RuntimeError)
"""What transformers raises when a folder is not what its class wants."""


@dataclass(frozen=True)
class BackTranslation:
    """Two translators of transformers (Marian and its like), there and back, each a folder with safetensors.

    `there` and `back` are such folders; None takes the opus-mt pair of the hub's cache, if it is there. Beam search,
    so nothing is random. Without both sets of weights the perturbation is absent.
    """

    name: str = "back-translation"
    summary: str = "translated into another language and back"
    family: str = "sentence"
    modality: str = TEXT
    severities: tuple[int, ...] = (1,)
    version: int = 1
    keeps_meaning: bool = True
    there: Path | None = None
    back: Path | None = None

    def absent_reason(self) -> str | None:
        """Say why this cannot be applied here; None where it can."""
        try:
            self._folders()
        except WeightsUnavailable as error:
            return str(error)
        return None

    def apply(self, text: str, severity: int, rng: np.random.Generator) -> str:
        """Translate there and back; a text without letters stays as it is.

        Raises WeightsUnavailable where the weights are not there, CheckpointError where they cannot be loaded.
        """
        if not any(character.isalpha() for character in text):
            return text
        there, back = self._folders()
        return _translate(_translate(text, there), back) or text

    def _folders(self) -> tuple[Path, Path]:
        there, back = (_find(*pair) for pair in zip((self.there, self.back), HUB_NAMES, strict=True))
        return there, back


def _find(folder: Path | None, hub_name: str) -> Path:
    found = _cached(hub_name) if folder is None else folder
    if found is None:
        raise WeightsUnavailable(
            f"back-translation: {hub_name} is not in the hub's cache with safetensors. Run `hf download {hub_name}` "
            "where there is a network, or name two folders of translators."
        )
    lacking = [name for name in _NEEDED if not (found / name).is_file()]
    if lacking:
        raise WeightsUnavailable(
            f"back-translation: {found} has no {lacking[0]}. Wanted a folder that save_pretrained has written."
        )
    return found


def _cached(repository: str) -> Path | None:
    """Find a repository's snapshot in the hub's cache by its documented layout; None where it is not complete."""
    from huggingface_hub import constants

    home = Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"
    reference = home / "refs" / "main"
    if not reference.is_file():
        return None
    folder = home / "snapshots" / reference.read_text(encoding="utf-8").strip()
    return folder if all((folder / name).is_file() for name in _NEEDED) else None


def _translate(text: str, folder: Path) -> str:
    import torch

    model, tokenizer = _load(folder)
    encoded = tokenizer([text], truncation=True, max_length=_LONGEST, return_tensors="pt")
    with torch.no_grad():
        ids = model.generate(
            input_ids=encoded["input_ids"],
            attention_mask=encoded["attention_mask"],
            num_beams=_BEAMS,
            max_new_tokens=_LONGEST,
            do_sample=False,
        )
    translated: str = tokenizer.decode(ids[0], skip_special_tokens=True)
    return translated.strip()


@lru_cache(maxsize=2)
def _load(folder: Path) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    try:
        model, report = AutoModelForSeq2SeqLM.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except _REFUSALS as error:
        raise CheckpointError(
            f"{folder} cannot be loaded as a translator: {error} Wanted a checkpoint of transformers for translation "
            "with its tokenizer, as safetensors and without remote code."
        ) from error
    missing = sorted({*report["missing_keys"]} & {name for name, _ in model.named_parameters()})
    if missing:
        raise CheckpointError(
            f"{folder} lacks {len(missing)} weights of {type(model).__name__} (first: {missing[0]}), which would stay "
            "random. Fetch it again."
        )
    return model.eval(), tokenizer
