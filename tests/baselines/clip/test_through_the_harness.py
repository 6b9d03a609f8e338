"""Each model through the harness's own loop: pixels on disk, cached features, validation, checkpoint, answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from baselines.clip import catalog
from harness.cell import TrainOptions
from harness.inputs.images import open_images
from harness.inputs.visual_tokens import VisualTokens, open_visual_tokens
from harness.jobs.checkpoints import read_checkpoint, write_checkpoint
from harness.jobs.predict import predict_all
from harness.jobs.train import TrainingData, train_learner, trained_state
from harness.sample import Sample

from .conftest import TARGETS

MODELS = [value for value in vars(catalog).values() if hasattr(value, "recipe") and not isinstance(value, type)]


class Accuracy:
    """As much of a task as the loop asks for."""

    def validation_score(self, predictions: Sequence[Any], targets: Sequence[Any]) -> float:
        return float(np.mean([int(np.argmax(p)) == t.label for p, t in zip(predictions, targets, strict=True)]))


def silent(*_: Any) -> None:
    return None


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    folder = tmp_path_factory.mktemp("images")
    draw = np.random.default_rng(0)
    made = []
    for index, target in enumerate(TARGETS):
        pixels = draw.integers(0, 60, (40, 48, 3)).astype(np.uint8)
        pixels[:, :, target.label % 3] += np.uint8(60 * (1 + target.label))
        path = folder / f"{index}.png"
        Image.fromarray(pixels).save(path)
        made.append(Sample(f"image-{index}", path, target))
    return made


def opened(learner: Any, samples: Sequence[Sample], cache: Path) -> VisualTokens:
    images = open_images(samples, learner.vision.preprocessing, cache, "fail", silent)
    return open_visual_tokens(learner, images, cache, "cpu", silent)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("model", MODELS, ids=lambda model: str(model.name))
def test_train_keep_load_predict(
    model: Any,
    precision: str,
    build: Any,
    samples: list[Sample],
    prerequisite: Path,
    languages: dict[str, Path],
    tmp_path: Path,
) -> None:
    wishes: dict[str, Any] = {"context_vectors": 4, "shots": 4}
    if model is catalog.dual_encoder:
        wishes = {"prerequisite": prerequisite, "language": str(languages["bert"])}
    learner = build(model, **wishes)
    data = TrainingData(Accuracy(), opened(learner, samples, tmp_path), opened(learner, samples[:16], tmp_path))  # type: ignore[arg-type]
    assert (data.training.features is not None) == learner.vision_frozen
    options = TrainOptions(steps=8, batch_size=16, validations=4, learning_rate=1e-2, dropout=0.0, precision=precision)
    log: list[Any] = []
    summary = train_learner(learner, data, options, 0, (silent, log.append))
    trained = any(vars(learner.parameter_groups()).values())
    assert summary.steps == (8 if trained else 0)
    digest = write_checkpoint(trained_state(learner), tmp_path / "checkpoint.safetensors")
    expected = [outcome.prediction for outcome in predict_all(learner, data.selection, 16, silent)]
    if trained:
        score = Accuracy().validation_score(expected, TARGETS[:16])
        assert score == summary.best_score == max(entry.get("validation_score", 0) for entry in log)
    again = build(model, **wishes)
    read_checkpoint(again, tmp_path / "checkpoint.safetensors", digest)
    again.eval()
    visual_tokens = opened(again, samples[:16], tmp_path)
    for size in (1, 7, 16):
        answers = [outcome.prediction for outcome in predict_all(again, visual_tokens, size, silent)]
        np.testing.assert_allclose(answers, expected, atol=1e-5)


def test_models_of_the_same_weights_share_features(build: Any, samples: list[Sample], tmp_path: Path) -> None:
    for model in (catalog.clip_zero_shot, catalog.clip_linear_probe, catalog.clip_coop, catalog.clip_tip_adapter):
        opened(build(model, context_vectors=4), samples, tmp_path)
    assert len(list((tmp_path / "features").glob("*.npy"))) == 1
