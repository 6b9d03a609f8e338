"""A task of candidate texts: which of a sample's own captions is true of its image. Its data has a test split alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.answers import CHOICES
from harness.errors import DataError, UsageError
from harness.protocols import DataContext, Scorer
from harness.sample import Dataset, Outcome, Prediction, Sample, Target, TaskSpec
from outsider_captions.task import Mean, WordScorer


@dataclass(frozen=True)
class FoilTarget:
    """The index of the true caption."""

    choice: int


class FoilScorer(WordScorer):
    """How often the true caption has the highest score."""

    def prepare(self, samples: Sequence[Sample]) -> str:
        """Say which version this is."""
        return "foil:1"

    def score(self, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> Mapping[str, Mean | None]:
        """Score in the order of the samples; that each has its answer is the harness's business."""
        answers = {outcome.sample_id: outcome.prediction for outcome in outcomes}
        right = [float(np.argmax(answers[s.sample_id]) == s.target.choice) for s in samples]
        return {"foil-accuracy": Mean(np.asarray(right))}


@dataclass(frozen=True)
class FoilTask:
    """Reads `foils.json`: a list of {"id", "image", "texts", "choice"}."""

    name: str = "caption-foil"
    summary: str = "tell the caption of an image from a foil"
    version: int = 1
    metrics: tuple[str, ...] = ("foil-accuracy",)
    settings: tuple[str, ...] = ()
    learnable_score: float = 0.0
    answers: str = CHOICES

    def open_data(self, context: DataContext) -> Dataset:
        """Find the folder; nothing is embedded."""
        if context.wish is None:
            raise UsageError("caption-foil needs --data FOLDER with foils.json.")
        root = Path(context.wish)
        if not (root / "foils.json").is_file():
            raise DataError(f"{root} has no foils.json.")
        digest = hashlib.sha256((root / "foils.json").read_bytes()).hexdigest()
        return Dataset(root.name, root, digest, "foils", ("test",), None, None, "test")

    def samples(self, data: Dataset, split: str) -> Sequence[Sample]:
        """Read the only split."""
        rows = json.loads((data.root / "foils.json").read_text())
        return [
            Sample(row["id"], data.root / row["image"], FoilTarget(row["choice"]), choices=tuple(row["texts"]))
            for row in rows
        ]

    def spec(self, data: Dataset, training: Sequence[Sample]) -> TaskSpec:
        """Nothing to know beforehand: each sample brings its texts."""
        return TaskSpec(self.name, tuple(sample.target for sample in training), CHOICES)

    def ceilings(self, data: Dataset, split: str, samples: Sequence[Sample]) -> Mapping[str, Mapping[str, float]]:
        """None is known."""
        return {}

    def validation_score(self, predictions: Sequence[Prediction], targets: Sequence[Target]) -> float:
        """Accuracy."""
        return float(np.mean([np.argmax(p) == t.choice for p, t in zip(predictions, targets, strict=True)]))

    def scorer(self, data: Dataset, cache: Path) -> Scorer:
        """Nothing to start."""
        return FoilScorer()

    def read_predictions(self, path: Path, data: Dataset) -> Sequence[Outcome]:
        """Read a list of {"id", "scores"} without looking at it any further."""
        return [Outcome(row["id"], row["scores"]) for row in json.loads(path.read_text())]

    def read_references(self, path: Path) -> tuple[Dataset, Sequence[Sample]]:
        """The same file by itself."""
        data = Dataset(path.stem, path.parent, "0" * 64, "references", ("all",), None, None, "all")
        return data, self.samples(data, "all")


caption_foil = FoilTask()
