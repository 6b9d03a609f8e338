"""PGD and APGD against second implementations, written one sample at a time in NumPy after the published code."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from harness.perturb.attack.apgd import apgd
from harness.perturb.attack.pgd import pgd
from harness.perturb.attack.projection import Ball

SHAPE = (3, 6, 6)
CLASSES = 4
STEPS = 40
Array = np.ndarray


class Quadratic:
    """Cross-entropy of logits that are quadratic in the pixels; gradients written out, double precision."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        size = int(np.prod(SHAPE))
        self.linear = rng.standard_normal((CLASSES, size)) * 0.3
        self.curved = rng.standard_normal((CLASSES, size))
        self.clean = rng.uniform(0.0, 1.0, (5, *SHAPE))
        self.labels = rng.integers(0, CLASSES, 5)
        self.start = np.clip(self.clean + rng.uniform(-0.05, 0.05, self.clean.shape), 0, 1)

    def loss(self, image: Array, label: int) -> float:
        logits = self._logits(image)
        return float(np.log(np.exp(logits).sum()) - logits[label])

    def slope(self, image: Array, label: int) -> Array:
        logits = self._logits(image)
        by_logit = np.exp(logits) / np.exp(logits).sum()
        by_logit[label] -= 1
        flat = image.ravel() - 0.5
        return (by_logit @ (self.linear + 2 * self.curved * flat)).reshape(SHAPE)

    def _logits(self, image: Array) -> Array:
        flat = image.ravel() - 0.5
        return self.linear @ flat + self.curved @ flat**2

    def losses(self, pixels: torch.Tensor) -> torch.Tensor:
        flat = pixels.flatten(1) - 0.5
        logits = flat @ torch.from_numpy(self.linear).T + flat**2 @ torch.from_numpy(self.curved).T
        return F.cross_entropy(logits, torch.from_numpy(self.labels), reduction="none")

    def gradient(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        leaf = pixels.detach().clone().requires_grad_()
        losses = self.losses(leaf)
        return losses.detach(), torch.autograd.grad(losses.sum(), leaf)[0]


def project(image: Array, clean: Array, norm: str, eps: float) -> Array:
    if norm == "linf":
        return np.clip(np.clip(image, clean - eps, clean + eps), 0, 1)
    change = image - clean
    return np.clip(clean + change / (np.linalg.norm(change) + 1e-300) * min(np.linalg.norm(change), eps), 0, 1)


def uphill(slope: Array, norm: str) -> Array:
    return np.sign(slope) if norm == "linf" else slope / np.linalg.norm(slope)


def plain_pgd(model: Quadratic, row: int, norm: str, eps: float) -> tuple[Array, float]:
    clean, label = model.clean[row], int(model.labels[row])
    image, best = model.start[row], (clean, model.loss(clean, label))
    for step in range(STEPS + 1):
        loss = model.loss(image, label)
        if loss > best[1]:
            best = image, loss
        if step < STEPS:
            image = project(image + eps / 4 * uphill(model.slope(image, label), norm), clean, norm, eps)
    return best


def plain_apgd(model: Quadratic, row: int, norm: str, eps: float) -> tuple[Array, float]:
    """After Algorithm 1 of arXiv 2003.01690 and the names in its code; the clean image is a try as well."""
    clean, label = model.clean[row], int(model.labels[row])
    first, least, shorter = max(int(0.22 * STEPS), 1), max(int(0.06 * STEPS), 1), max(int(0.03 * STEPS), 1)
    x = x_old = x_best = model.start[row]
    f_best = f_best_last_check = model.loss(x, label)
    loss_steps, step_size, reduced_last_check, k, counter = [f_best], 2.0 * eps, True, first, 0
    grad = grad_best = model.slope(x, label)
    for i in range(STEPS):
        a = 0.75 if i > 0 else 1.0
        moved, x_old_now = x - x_old, x
        z = project(x + step_size * uphill(grad, norm), clean, norm, eps)
        x, x_old = project(x + a * (z - x) + (1 - a) * moved, clean, norm, eps), x_old_now
        grad, loss = model.slope(x, label), model.loss(x, label)
        loss_steps.append(loss)
        if loss > f_best:
            x_best, f_best, grad_best = x, loss, grad
        counter += 1
        if counter == k:
            rises = sum(loss_steps[-1 - j] > loss_steps[-2 - j] for j in range(k))
            reduce = rises <= 0.75 * k or (not reduced_last_check and f_best_last_check >= f_best)
            reduced_last_check, f_best_last_check = reduce, f_best
            if reduce:
                step_size, x, grad = step_size / 2, x_best, grad_best
            counter, k = 0, max(k - shorter, least)
    before = model.loss(clean, label)
    return (x_best, f_best) if f_best > before else (clean, before)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("seed", range(6))
def test_the_same_images_as_a_second_implementation(norm: str, seed: int) -> None:
    model, eps = Quadratic(seed), 0.1 if norm == "linf" else 0.7
    points = torch.from_numpy(model.clean), torch.from_numpy(model.start)
    for follow, plain in ((pgd, plain_pgd), (apgd, plain_apgd)):
        found = follow(model.gradient, model.losses, points, Ball(norm, eps), STEPS)
        for row in range(5):
            pixels, loss = plain(model, row, norm, eps)
            assert float(found.losses[row]) == pytest.approx(loss, rel=1e-9), (follow, row)
            np.testing.assert_allclose(found.pixels[row].numpy(), pixels, atol=1e-7)


def test_gradients_of_the_second_implementation_are_right() -> None:
    model = Quadratic(0)
    losses, slopes = model.gradient(torch.from_numpy(model.start))
    for row, label in enumerate(model.labels):
        assert float(losses[row]) == pytest.approx(model.loss(model.start[row], label))
        np.testing.assert_allclose(slopes[row].numpy(), model.slope(model.start[row], label), atol=1e-12)
