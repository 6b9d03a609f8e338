"""Losses that harden a model: by hand, by torchvision, and by what an attack must do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from harness.cell import TrainOptions
from harness.errors import UsageError
from harness.inputs.visual_tokens import VisualTokens
from harness.jobs.hardened_loss import HardenedLoss, mixed_images, with_a_part_cut
from harness.jobs.weight_soup import WeightSoup
from harness.jobs.word_edits import batch_reworded
from harness.sample import Batch, Sample


class Seer(nn.Module):
    """Scores two classes by pixels; the loss is the cross entropy."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.weights = nn.Linear(3 * 8 * 8, 2)
        self.vision: Any = lambda pixels: pixels / 255.0
        self.vision_frozen = False
        self.seen: list[torch.Tensor] = []

    def loss(self, batch: Batch, generator: Any) -> torch.Tensor:
        assert batch.visual is not None and batch.targets is not None
        self.seen.append(batch.visual.detach())
        labels = torch.tensor([target.label for target in batch.targets])
        return nn.functional.cross_entropy(self.weights(batch.visual.flatten(1)), labels)


class Pixels(VisualTokens):
    """Eight images of noise; the class is drawn."""

    def _read(self, indices: Any) -> torch.Tensor:
        generator = torch.Generator().manual_seed(3)
        return torch.randint(0, 256, (8, 3, 8, 8), generator=generator)[list(indices)].to(torch.uint8)


def loss_of(**options: Any) -> tuple[Seer, HardenedLoss]:
    learner: Any = Seer()
    samples = tuple(Sample(str(n), Path(), SimpleNamespace(label=n % 2)) for n in range(8))
    data = Pixels(learner, None, samples, None, "cpu")
    return learner, HardenedLoss(learner, data, TrainOptions(**options))


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("mix", ["mixup", "cutmix"])
def test_mixing_is_that_of_torchvision(mix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same draws: the same images, and the loss of soft targets."""
    from torchvision.transforms import v2

    generator = drawn(5)
    share, across, down = (float(torch.rand((), generator=generator)) for _ in range(3))
    learner, hardened = loss_of(mix=mix)
    pixels = hardened.data.pixels(range(8))
    draws = iter([torch.tensor([int(across * 8)]), torch.tensor([int(down * 8)])])
    monkeypatch.setattr(torch, "randint", lambda *_, **__: next(draws))
    monkeypatch.setattr(torch.distributions.Beta, "sample", lambda self, shape=(): torch.tensor([share]))
    theirs, soft = (v2.MixUp if mix == "mixup" else v2.CutMix)(num_classes=2)(pixels, torch.arange(8) % 2)
    monkeypatch.undo()
    value = hardened(range(8), drawn(5))
    torch.testing.assert_close(learner.seen[0], theirs / 255.0)
    wanted = -(soft * learner.weights((theirs / 255.0).flatten(1)).log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(value, wanted)


def test_mixing_by_hand() -> None:
    images = torch.tensor([[0.0], [4.0]])
    assert mixed_images(images, 0.75).tolist() == [[1.0], [3.0]]
    whole = torch.arange(2.0)[:, None, None, None].expand(2, 3, 10, 10)
    cut, share = with_a_part_cut(whole, 0.75, drawn(1))
    assert cut[1].mean() == pytest.approx(share) and cut[0].mean() == pytest.approx(1 - share) and 0.75 <= share < 1


def test_adversarial_pixels_stay_in_the_ball_raise_the_loss_and_leave_no_gradient() -> None:
    learner, hardened = loss_of(adversarial=8.0, adversarial_steps=5)
    value = hardened(range(8), drawn())
    clean = hardened.data.pixels(range(8))
    attacked = learner.seen[-1] * 255
    assert (attacked - clean).abs().max() <= 8 + 1e-4 and attacked.min() >= 0 and attacked.max() <= 255
    batch = hardened.data.batch(range(8), with_targets=True, with_visual=False)
    plain = float(learner.loss(hardened._seen(clean, batch), None).detach())
    assert float(value.detach()) > plain
    assert learner.weights.weight.grad is None
    value.backward()
    assert learner.weights.weight.grad is not None
    random = (clean + (2 * torch.rand(clean.shape, generator=drawn()) - 1) * 8).clamp(0, 255)
    assert float(value.detach()) > float(learner.loss(hardened._seen(random, batch), None).detach())


def test_words_are_left_out_anew_and_images_with_texts_are_not_mixed() -> None:
    texts = ("a red circle stands left of a small blue square", None)
    batch = Batch(("a", "b"), None, texts, (SimpleNamespace(label=0),) * 2)
    found = {batch_reworded(batch, "word-delete", drawn(seed)).texts for seed in range(5)}
    assert len(found) > 1 and all(second is None and first != texts[0] for first, second in found)
    assert all(set(first.split()) <= set(texts[0].split()) for first, _ in found if first)  # type: ignore[union-attr]
    _, hardened = loss_of(mix="mixup")
    worded = replace(hardened.data, samples=tuple(replace(s, text="x") for s in hardened.data.samples))
    with pytest.raises(UsageError, match=r"train\.mix=mixup mixes images that have a class and no text"):
        replace(hardened, data=worded)(range(2), drawn())
    captions = replace(hardened.data, samples=tuple(replace(s, target="x") for s in hardened.data.samples))
    with pytest.raises(UsageError, match=r"Leave it out here"):
        replace(hardened, data=captions)(range(2), drawn())


def test_a_soup_is_the_mean_of_the_best_validations() -> None:
    soup = WeightSoup(2)
    for step, score in enumerate((0.1, 0.7, 0.5, 0.7)):
        soup.add((score, step, {"w": torch.full((2,), float(step)), "n": torch.tensor(step)}))
    mean = soup.mean()
    assert mean is not None and mean["w"].tolist() == [2.0, 2.0] and int(mean["n"]) == 1
    alone = WeightSoup(0)
    alone.add((1.0, 1, {}))
    assert alone.mean() is None and np.isfinite(soup.kept[0][0])
