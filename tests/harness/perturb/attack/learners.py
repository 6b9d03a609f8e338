"""Small learners to attack: linear, convolutional, one that hides its gradients, one that reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.perturb.attack.request import AttackRequest
from harness.sample import Batch, Preprocessing, Sample

SIDE = 16
CLASSES = 3


@dataclass(frozen=True)
class Label:
    """Stands for the tasks' own target."""

    label: int
    labels: tuple[int, ...] = ()


class Pixels(nn.Module):
    """A tower without weights: pixels of 0..255 to one token."""

    key, width = "pixels", 3 * SIDE * SIDE

    def __init__(self, fit: str = "crop") -> None:
        super().__init__()
        self.preprocessing = Preprocessing(SIDE, fit=fit)

    def forward(self, pixels: Tensor) -> Tensor:
        return (pixels.float() / 255).flatten(1)[:, None]


class Linear(nn.Module):
    """Loss w . x + the sample's label: what raises it most is known in closed form."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.vision, self.vision_frozen = Pixels(), True
        self.weights = nn.Parameter(weights)
        self.sizes = list[int]()

    def losses(self, batch: Batch) -> Tensor:
        self.sizes.append(len(batch))
        assert batch.targets is not None and batch.visual is not None
        return batch.visual[:, 0] @ self.weights + torch.tensor([float(t.label) for t in batch.targets])

    def predict(self, batch: Batch) -> list[float]:
        assert batch.targets is None and batch.visual is not None
        scores: list[float] = (batch.visual[:, 0] @ self.weights).tolist()
        return scores


class Network(nn.Module):
    """A CNN for three kinds of pattern; `hide` makes its gradients useless (a step function before it)."""

    def __init__(self, hide: str = "") -> None:
        super().__init__()
        self.vision, self.vision_frozen = Pixels(), True
        self.hide = hide
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.layers = nn.Sequential(
                nn.Conv2d(3, 8, 3, padding=1), nn.GELU(), nn.AvgPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.GELU(),
                nn.AvgPool2d(4), nn.Flatten(), nn.Linear(64, CLASSES),
            )  # fmt: skip

    def logits(self, batch: Batch) -> Tensor:
        assert batch.visual is not None
        images = batch.visual.view(-1, 3, SIDE, SIDE)
        if self.hide == "steps":  # has a gradient, almost everywhere wrong: of a tiny sine beside a staircase
            images = (images * 12).round() / 12 + 1e-3 * (images * 3000).sin()
        elif self.hide == "rounding":
            images = (images * 12).round() / 12
        found: Tensor = self.layers(images)
        return found

    def losses(self, batch: Batch) -> Tensor:
        assert batch.targets is not None and not self.training
        return F.cross_entropy(self.logits(batch), torch.tensor([t.label for t in batch.targets]), reduction="none")

    @torch.no_grad()
    def predict(self, batch: Batch) -> list[list[float]]:
        assert batch.targets is None
        return self.logits(batch).double().softmax(dim=1).tolist()


class OnlyAnswers(nn.Module):
    """Hides everything but answers."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner, self.vision, self.vision_frozen = inner, inner.vision, True

    def predict(self, batch: Batch) -> Any:
        return self.inner.predict(batch)


class Reader(nn.Module):
    """Its loss is the number of changed characters: of the text, or of the classes' texts."""

    def __init__(self, *reads: str, vision: Any = None) -> None:
        super().__init__()
        self.vision, self.vision_frozen, self.reads = vision, True, reads
        self.original = {f"s{n}": f"the red circle number {n}" for n in range(20)}
        self.class_texts: Any = CLASS_TEXTS
        self.most = 0.0
        self.worded: list[Any] = []

    def reword(self, class_texts: Sequence[Sequence[str]]) -> None:
        self.class_texts = class_texts
        self.worded.append(class_texts)

    def losses(self, batch: Batch) -> Tensor:
        losses = torch.zeros(len(batch))
        if "text" in self.reads:
            pairs = [(self.original[i], t) for i, t in zip(batch.sample_ids, batch.texts, strict=True)]
            losses = losses + torch.tensor([distance(a, b or "") for a, b in pairs])
        if "classes" in self.reads:
            groups = zip(CLASS_TEXTS, self.class_texts, strict=True)
            losses = losses + sum(distance(a, b) for x, y in groups for a, b in zip(x, y, strict=True))
        if batch.visual is not None:
            losses = losses + batch.visual.mean(dim=(1, 2))
        return losses

    def predict(self, batch: Batch) -> list[Any]:
        return [[text, self.class_texts] for text in batch.texts]


CLASS_TEXTS = (("a red circle", "red circle"), ("a blue square", "blue square"), ("a star", "star"))


def distance(one: str, other: str) -> float:
    """Count characters that one has and the other has not."""
    return float(sum(((Counter(one) - Counter(other)) + (Counter(other) - Counter(one))).values()))


def patterns(count: int) -> tuple[np.ndarray, list[Label]]:
    """Noisy images of a brighter row, column, or centre: uint8 `[N, 3, SIDE, SIDE]`."""
    rng = np.random.default_rng(1)
    images = rng.integers(70, 150, (count, 3, SIDE, SIDE))
    labels = [Label(n % CLASSES) for n in range(count)]
    for image, label in zip(images, labels, strict=True):
        place = int(rng.integers(2, SIDE - 5))
        where = [np.s_[:, place : place + 3], np.s_[:, :, place : place + 3], np.s_[:, 5:11, 5:11]][label.label]
        image[where] += 60
    return images.astype(np.uint8), labels


def request_for(pixels: np.ndarray | None, labels: Sequence[Any], *, batch_size: int = 5, **changes: Any) -> Any:
    count = len(labels)
    samples = tuple(Sample(f"s{n}", Path(), labels[n], changes.get("texts", {}).get(n)) for n in range(count))
    sizes = changes.get("sizes", ((SIDE, SIDE),) * count)
    seed, score = changes.get("seed", 0), changes.get("score")
    return AttackRequest(pixels, samples, sizes, CLASS_TEXTS, batch_size, seed, "cpu", score)


@dataclass
class Trained:
    """A network that was fitted to the patterns, and what it was fitted to."""

    pixels: np.ndarray
    labels: list[Label]
    state: dict[str, Tensor] = field(default_factory=dict)

    def learner(self, hide: str = "") -> Network:
        network = Network(hide)
        network.load_state_dict(self.state)
        return network.eval()


def train_network(steps: int = 150) -> Trained:
    pixels, labels = patterns(96)
    network = Network()
    visual = network.vision(torch.from_numpy(pixels))
    wanted = torch.tensor([label.label for label in labels])
    optimizer = torch.optim.AdamW(network.parameters(), 1e-2)
    for _ in range(steps):
        loss = F.cross_entropy(network.logits(Batch(("",) * 96, visual, (None,) * 96)), wanted)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return Trained(pixels, labels, network.state_dict())
