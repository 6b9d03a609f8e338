"""What every adaptation of CLIP is made of: image tower, text tower, class embeddings, temperature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from baselines.clip.class_embeddings import Reread, cached_class_embeddings, embed_classes
from baselines.clip.loading import clip_preprocessing_of, load_open_clip
from baselines.clip.source import OpenClipSource
from baselines.clip.text_tower import TextTower
from baselines.clip.tower import ClipTower
from baselines.language.class_texts import derangement
from baselines.settings import Settings
from harness.answers import LABELS
from harness.errors import UsageError
from harness.protocols import BuildContext, Derived
from harness.sample import Classes, TaskSpec


@dataclass(frozen=True)
class ClipParts:
    """An open_clip model taken apart, for one task.

    `scale` is exp(logit_scale), `bias` SigLIP's or None. `texts` are each class's prompts, permuted under control C3:
    class i has those that the task gives to class `order[i]`.
    """

    tower: ClipTower
    text: TextTower
    scale: float
    bias: float | None
    spec: TaskSpec
    texts: Sequence[Sequence[str]]
    order: Sequence[int]
    settings: Settings
    digest: str
    reinitialised: bool
    cache: Path
    reread: Reread
    derived: Derived

    @property
    def classes(self) -> Classes:
        """The task's classes."""
        return self.spec.classes

    def class_embeddings(self) -> Tensor:
        """Embed the prompts of each class; returns `[C, d]` of unit length."""
        if self.reinitialised:  # another text tower for each seed
            return embed_classes(self.text, self.texts)
        return cached_class_embeddings(self.text, self.texts, self.digest, self.cache)


def open_parts(
    source: OpenClipSource,
    spec: TaskSpec,
    context: BuildContext,
    settings: Settings,
    control: str | None = None,
) -> ClipParts:
    """Load a model for a task of labels; C2 draws the text tower anew, C3 gives each class the texts of another.

    Raises UsageError for a task without class texts, WeightsUnavailable and CheckpointError for the weights.
    """
    texts = check_class_texts(spec)
    order = derangement(len(texts), context.seed) if control == "C3" else list(range(len(texts)))
    dtype = settings.load.torch_dtype
    loaded = load_open_clip(source, dtype=dtype)
    model = loaded.model
    tower = ClipTower(model.visual, clip_preprocessing_of(model), loaded.digest)
    seed = context.seed if control == "C2" else None
    text = _open_text(source, loaded, seed, dtype)
    return ClipParts(
        tower=tower,
        text=text,
        scale=loaded.scale,
        bias=loaded.bias,
        spec=spec,
        texts=[texts[index] for index in order],
        order=order,
        settings=settings,
        digest=loaded.digest if dtype == torch.float32 else f"{loaded.digest} {settings.load.dtype}",
        reinitialised=control == "C2",
        cache=context.cache,
        reread=Rereading(source, seed, order, dtype),
        derived=context.derived,
    )


class Rereading:
    """Embeds other class texts; its text tower is loaded when it is first asked, since few evaluations need one."""

    def __init__(self, source: OpenClipSource, seed: int | None, order: Sequence[int], dtype: torch.dtype) -> None:
        self._source, self._seed, self._order, self._dtype = source, seed, order, dtype
        self._text: TextTower | None = None

    def __call__(self, texts: Sequence[Sequence[str]]) -> Tensor:
        """Return `[C, d]`, in the order of control C3 where the model has it."""
        # What is read while a sweep predicts must be able to take part in an attack's gradient later.
        with torch.inference_mode(False), torch.no_grad():
            if self._text is None:
                with torch.random.fork_rng(devices=[]):  # its weights are drawn before they are read
                    loaded = load_open_clip(self._source, dtype=self._dtype)
                    self._text = _open_text(self._source, loaded, self._seed, self._dtype)
            return embed_classes(self._text, [texts[index] for index in self._order])


def _open_text(source: OpenClipSource, loaded: Any, seed: int | None, dtype: torch.dtype) -> TextTower:
    """Take the text tower of a loaded model, or with a seed one that is drawn anew (control C2)."""
    if seed is None:
        return text_tower(loaded.model, loaded.tokenizer)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return text_tower(load_open_clip(source, random=True, dtype=dtype).model, loaded.tokenizer)


def check_class_texts(spec: TaskSpec) -> Sequence[Sequence[str]]:
    """Return the prompts of each class; raises UsageError for a task without any."""
    texts = spec.classes.texts
    if spec.answers != LABELS or not texts or not all(texts):
        raise UsageError(f"The task {spec.task} gives no texts for its classes, and CLIP names classes by their texts.")
    return texts


def require_single_label(spec: TaskSpec, name: str, why: str) -> None:
    """Raise UsageError for a task in which an image has several classes."""
    if spec.classes.multilabel:
        raise UsageError(
            f"{name} cannot answer {spec.task} where an image has several classes: {why} "
            "Take clip-linear-probe, or a SigLIP model with clip-zero-shot."
        )


def text_tower(model: object, tokenizer: object) -> TextTower:
    """Take away what texts do not need."""
    for name in ("visual", "text_decoder"):
        if hasattr(model, name):
            delattr(model, name)
    return TextTower(model, tokenizer)
