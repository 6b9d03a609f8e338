"""CLIPScore of captions, where a run asks for it: each image and each text is embedded once a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from harness.protocols import Statistics
from harness.sample import Sample
from tasks.captioning.clip_weights import ClipWeights

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tasks.captioning.clip_encoder import ClipEncoder

_Item = TypeVar("_Item", Path, str)


@dataclass
class ClipScoring:
    """A CLIP, and what it has embedded so far."""

    weights: ClipWeights
    _encoder: ClipEncoder | None = None
    _images: dict[Path, Any] = field(default_factory=dict)
    _texts: dict[str, Any] = field(default_factory=dict)

    def prepare(self) -> str:
        """Check the golden case, load the CLIP and return the signature, digest of its weights included.

        Raises MetricDrift, and CheckpointError or UsageError for a CLIP that cannot be loaded: before any training.
        """
        from harness.metrics.captions.clip_golden import check_clip_score

        signature = f"{check_clip_score()},{self.weights.digest[:16]}"
        self._load()
        return signature

    def score(self, samples: Sequence[Sample], captions: Mapping[str, str]) -> Mapping[str, Statistics | None]:
        """Score captions by sample id: `CLIPScore` and `RefCLIPScore`, in the order of the samples."""
        from harness.metrics.captions.clip_score import clip_statistics

        encoder = self._load()
        images = _remembered(self._images, [sample.image for sample in samples], encoder.images)
        references = [sample.target.references for sample in samples]

        def encode(texts: Sequence[str]) -> npt.NDArray[np.float32]:
            return _remembered(self._texts, texts, encoder.texts)

        return dict(clip_statistics(images, [captions[sample.sample_id] for sample in samples], references, encode))

    def _load(self) -> ClipEncoder:
        from tasks.captioning.clip_encoder import load_clip

        if self._encoder is None:
            self._encoder = load_clip(self.weights)
        return self._encoder


def _remembered(
    known: dict[_Item, Any], items: Sequence[_Item], encode: Callable[[Sequence[_Item]], npt.NDArray[np.float32]]
) -> npt.NDArray[np.float32]:
    """[N, d] embeddings of items, only new ones computed."""
    import numpy as np

    new = [item for item in dict.fromkeys(items) if item not in known]
    if new:
        known.update(zip(new, encode(new), strict=True))
    return np.stack([known[item] for item in items])
