"""CLIP chooses among texts of each image: the cosine of image and text (Radford et al. 2021, arXiv 2103.00020)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from baselines.clip.learner import embeddings_of
from baselines.clip.loading import clip_preprocessing_of, load_open_clip
from baselines.clip.parts import text_tower
from baselines.clip.source import OpenClipSource
from baselines.clip.text_tower import TextTower
from baselines.clip.tower import ClipTower
from harness.errors import UsageError
from harness.protocols import ParameterGroups
from harness.sample import Batch


class CandidateChooser(nn.Module):
    """Scores each of a sample's texts by its cosine with the image; nothing is trained."""

    def __init__(self, vision: ClipTower, text: TextTower) -> None:
        super().__init__()
        self.vision = vision.requires_grad_(False)
        self.vision_frozen = True
        self.text = text.requires_grad_(False)

    def loss(self, batch: Batch, generator: Generator) -> Tensor:
        """Refuse to be trained."""
        raise UsageError("A CLIP that chooses among texts is evaluated as it is and cannot be trained here.")

    @torch.no_grad()
    def predict(self, batch: Batch) -> list[list[float]]:
        """Return a cosine for each text of each sample."""
        images = F.normalize(embeddings_of(batch).float(), dim=-1)
        texts = F.normalize(self.text.embed([text for texts in batch.choices for text in texts]).float(), dim=-1)
        parts = texts.to(images.device).split([len(texts) for texts in batch.choices])
        return [(part @ image).tolist() for image, part in zip(images, parts, strict=True)]

    def parameter_groups(self) -> ParameterGroups:
        """Name nothing: nothing is trained."""
        return ParameterGroups((), (), ())


def load_chooser(source: OpenClipSource, dtype: torch.dtype) -> CandidateChooser:
    """Load both towers of a checkpoint; raises WeightsUnavailable, CheckpointError."""
    with torch.random.fork_rng(devices=[]):  # its weights are drawn before they are read
        loaded = load_open_clip(source, dtype=dtype)
    tower = ClipTower(loaded.model.visual, clip_preprocessing_of(loaded.model), loaded.digest)
    return CandidateChooser(tower, text_tower(loaded.model, loaded.tokenizer))
