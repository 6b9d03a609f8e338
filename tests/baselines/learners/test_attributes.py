"""The training of the default backbone, and that captioners take its weights over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from baselines import catalog
from baselines.vision.timm_tower import CHECKPOINT_PREFIX
from harness.cell import ModelOptions
from harness.sample import Batch, TaskSpec
from tests.baselines.conftest import context_of

TARGETS = tuple([row % 2, (row // 2) % 2, 1] for row in range(8))


def test_learns_attributes() -> None:
    learner: Any = catalog.attribute_classifier.build(TaskSpec("scene-attributes", TARGETS), context_of(ModelOptions()))
    size = learner.vision.preprocessing.size
    pixels = torch.randint(0, 256, (8, 3, size, size), dtype=torch.uint8)
    optimizer = torch.optim.AdamW(learner.parameters(), 3e-3)
    losses = []
    learner.train()
    for _ in range(8):
        batch = Batch(tuple("abcdefgh"), learner.vision(pixels), (None,) * 8, TARGETS)
        loss = learner.loss(batch, torch.Generator())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]
    learner.eval()
    with torch.no_grad():
        answers = learner.predict(Batch(tuple("abcdefgh"), learner.vision(pixels), (None,) * 8))
    assert len(answers) == 8 and all(0 <= p <= 1 for answer in answers for p in answer)


def test_captioners_take_the_weights(build: Any, prerequisite: Path) -> None:
    learner = build(catalog.cnn_lstm)
    state = load_file(prerequisite / "checkpoint.safetensors")
    own = learner.vision.network.state_dict()
    assert own and all(torch.equal(value, state[CHECKPOINT_PREFIX + name]) for name, value in own.items())
    assert learner.vision_frozen and not learner.parameter_groups().vision
