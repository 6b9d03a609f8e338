"""Maps against what is known of planted models: a linear one, one that looks at a quadrant, one that reads a word."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations, pairwise
from math import factorial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.errors import UsageError
from harness.explain.attributions import Effort, attribute
from harness.explain.baseline_maps import image_baselines, mean_by_cell
from harness.explain.explained import Explained, cells_of
from harness.explain.map_kinds import ON_SHUFFLED
from harness.explain.map_scores import heed, mass, orders, pointing
from harness.explain.methods import METHODS, explain_methods
from harness.explain.random_weights import shuffled_weights
from harness.explain.references import reference_of
from harness.explain.sample_maps import SampleMaps, decisive_words, interaction_of, share_within
from harness.protocols import EmbeddedText
from harness.sample import Batch, Sample

SIDE, GRID = 16, 4
EFFORT = Effort(steps=8, draws=40, seed=1)


class Tower(nn.Module):
    """Each pixel is a token of its colours in 0..1."""

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels.flatten(2).transpose(1, 2) / 255.0


class Planted(nn.Module):
    """Loss: minus a weighted sum of pixels, minus what words are worth, minus what a word is worth with the image."""

    reads = ("text",)

    def __init__(self, weights: Tensor, worth: dict[str, float], together: float = 0.0) -> None:
        super().__init__()
        self.vision = Tower()
        self.weights = nn.Parameter(weights)
        self.worth, self.together = worth, together
        self.given: Tensor | None = None

    def embed_text(self, text: str) -> EmbeddedText:
        """A token that begins every text, then two a word, each of half its worth."""
        halves = [[0.0], *([self.worth.get(word, 0.0) / 2] for word in text.split() for _ in range(2))]
        vectors = torch.tensor(halves)
        return EmbeddedText(vectors, torch.zeros_like(vectors), (-1, *(n // 2 for n in range(len(halves) - 1))))

    @contextmanager
    def reading(self, vectors: Tensor) -> Iterator[None]:
        self.given = vectors
        yield
        self.given = None

    def losses(self, batch: Batch) -> Tensor:
        of_image = torch.einsum("bnc,nc->b", batch.visual, self.weights)
        words = [(text or "").split() for text in batch.texts]
        of_text = torch.tensor([sum(self.worth.get(word, 0.0) for word in own) for own in words])
        if self.given is not None:
            of_text = self.given.sum(dim=(1, 2))
        known = torch.tensor([float(any(word in self.worth for word in own)) for own in words])
        return -(of_image + of_text + self.together * of_image * known)


def explained(learner: Any, pixels: Tensor, text: str = "", **more: Any) -> Explained:
    sample = Sample("s", Path("s.png"), None, text)
    settings = {"reference": torch.zeros_like(pixels), "size": (SIDE, SIDE), "grid": GRID, **more}
    return Explained(learner=learner, sample=sample, pixels=pixels, words=tuple(text.split()), **settings)


@pytest.fixture
def pixels() -> Tensor:
    return torch.rand(3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def linear(pixels: Tensor, **more: Any) -> Planted:
    weights = torch.randn(SIDE * SIDE, 3, generator=torch.Generator().manual_seed(1)) / 100
    return Planted(weights, {"red": 0.3, "big": -0.2}, **more)


@pytest.mark.parametrize("method", [m for m in METHODS if m != "grad-cam"])
def test_of_a_linear_model_each_method_finds_weight_times_input(method: str, pixels: Tensor) -> None:
    learner = linear(pixels)
    found = attribute(method, explained(learner, pixels, "a big red one"), EFFORT)
    wanted = (learner.weights.detach().T.reshape(3, SIDE, SIDE) * pixels).sum(dim=0).numpy()
    cells = wanted.reshape(GRID, SIDE // GRID, GRID, SIDE // GRID).sum(axis=(1, 3)).ravel()
    tolerance = 0.05 if method == "kernel-shap" else 1e-5
    np.testing.assert_allclose(found.image, cells, atol=tolerance)
    if METHODS[method].words:
        np.testing.assert_allclose(found.words, [0, -0.2, 0.3, 0], atol=tolerance)
    else:
        assert found.words is None


def test_shapley_values_are_those_of_the_definition(pixels: Tensor) -> None:
    """Exact values over all coalitions of four cells and two words, where they interact."""
    learner, few = linear(pixels, together=2.0), {"grid": 2}
    own = explained(learner, pixels, "red big", **few)
    found = attribute("shapley", own, Effort(8, 400, 1))
    players = range(6)

    def worth(coalition: tuple[int, ...]) -> float:
        shown = torch.tensor([[place in coalition for place in players]])
        with torch.no_grad():
            return float(own.value(own.mixed(shown[:, :4]), shown[:, 4:].float()))

    exact = []
    for player in players:
        others = [each for each in players if each != player]
        exact.append(sum(
            factorial(size) * factorial(5 - size) / factorial(6)
            * (worth((*coalition, player)) - worth(coalition))
            for size in range(6) for coalition in combinations(others, size)
        ))  # fmt: skip
    np.testing.assert_allclose(np.concatenate([found.image, found.words]), exact, atol=0.05)
    assert found.image.sum() + found.words.sum() == pytest.approx(worth(tuple(players)) - worth(()), abs=1e-4)


def test_grad_cam_is_captums(pixels: Tensor) -> None:
    from captum.attr import LayerGradCam

    class Convolved(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution, self.head = nn.Conv2d(3, 5, 3, padding=1), nn.Linear(5 * SIDE * SIDE, 1)

        def vision(self, pixels: Tensor) -> Tensor:
            return self.convolution(pixels / 255).relu().flatten(2).transpose(1, 2)

        def losses(self, batch: Batch) -> Tensor:
            return -self.head(batch.visual.transpose(1, 2).flatten(1))[:, 0]

    torch.manual_seed(3)
    learner = Convolved()
    found = attribute("grad-cam", explained(learner, pixels), EFFORT)
    relu = nn.ReLU()
    whole = nn.Sequential(learner.convolution, relu, nn.Flatten(), learner.head)
    wanted = LayerGradCam(whole, relu).attribute(pixels[None], target=0, relu_attributions=True)[0, 0]
    np.testing.assert_allclose(found.image, mean_by_cell(wanted.detach().double().numpy(), GRID), rtol=1e-4)


def test_a_model_that_looks_at_a_quadrant_wins_and_shuffled_it_is_void(pixels: Tensor) -> None:
    weights = torch.zeros(SIDE, SIDE, 3)
    weights[:8, :8] = 0.01
    learner = Planted(weights.reshape(-1, 3), {"red": 1.0})
    mask = np.zeros((SIDE, SIDE), bool)
    mask[:8, :8] = True
    maps = SampleMaps(
        explained(learner, pixels, "the red one"),
        share_within(mask, GRID),
        decisive_words(["the", "red", "one"], ["red"]),
    )
    for suffix in ("", ON_SHUFFLED):
        found = attribute("occlusion", maps.explained, EFFORT)
        if suffix:
            with shuffled_weights(learner, 0, lambda: None):
                found = attribute("occlusion", maps.explained, EFFORT)
        maps.image[f"occlusion{suffix}"], maps.words[f"occlusion{suffix}"] = found.image, found.words
    maps.add_baselines(np.random.default_rng(0))
    truth = maps.score(4, 0)
    of = lambda name, measure: truth["image-truth"][name, measure]  # noqa: E731
    assert of("occlusion", "pointing") == 1 and of("occlusion", "mass") == pytest.approx(1)
    assert of(f"occlusion{ON_SHUFFLED}", "mass") < 0.6 and of("random", "mass") < 0.5
    assert of("centre", "pointing") == 0.25  # four equal cells in the middle, of which one is within
    assert truth["text-truth"]["occlusion", "mass"] == pytest.approx(1)
    heeded = truth["image-heed"]
    assert heeded["occlusion", "insertion-deletion"] > heeded["random", "insertion-deletion"]
    assert torch.equal(learner.weights, weights.reshape(-1, 3))  # put back


def test_insertion_and_deletion_again_step_by_step(pixels: Tensor) -> None:
    """A second implementation, part by part on the images themselves."""
    own = explained(linear(pixels), pixels)
    values = np.random.default_rng(5).random(GRID * GRID)
    likelihood = SampleMaps(own, None, None)._likelihood("image")
    found = heed(values, likelihood, 8, np.random.default_rng(0))
    side = SIDE // GRID
    areas = {}
    for name, start, end in (("insertion", own.reference, pixels), ("deletion", pixels, own.reference)):
        image, curve = start.clone(), []
        for step, cell in enumerate([-1, *np.argsort(-values)]):
            if cell >= 0:
                rows, columns = (slice(n * side, n * side + side) for n in divmod(int(cell), GRID))
                image[:, rows, columns] = end[:, rows, columns]
            if step % 2 == 0:  # 16 cells in 8 steps
                curve.append(float(own.value(image[None]).exp().detach()))
        areas[name] = sum((a + b) / 2 / 8 for a, b in pairwise(curve))
    assert found["insertion"] == pytest.approx(areas["insertion"], rel=1e-5)
    assert found["deletion"] == pytest.approx(areas["deletion"], rel=1e-5)
    assert found["insertion-deletion"] == pytest.approx(areas["insertion"] - areas["deletion"], abs=1e-6)


def test_pointing_mass_and_orders_by_hand() -> None:
    within = np.array([0.5, 0.0, 0.0, 0.0])
    assert pointing(np.array([2.0, 1, 1, 1]), within) == 1 and pointing(np.zeros(4), within) == 0.25
    assert mass(np.array([2.0, 1, 1, -9]), within) == 0.25
    assert mass(np.full(4, -1.0), within) == 0.125  # nothing speaks for the answer: an even map
    shown = orders(np.array([1.0, 3, 2]), 3, np.random.default_rng(0))
    assert shown.tolist() == [[False] * 3, [False, True, False], [False, True, True], [True] * 3]
    assert {tuple(orders(np.zeros(2), 2, np.random.default_rng(s))[1]) for s in range(9)} == {(0, 1), (1, 0)}


def test_interaction_is_what_only_both_give(pixels: Tensor) -> None:
    for together, wanted in ((0.0, False), (3.0, True)):
        learner = Planted(torch.full((SIDE * SIDE, 3), 1e-3), {"red": 1e-6}, together)
        one = explained(learner, pixels, "red")
        other = explained(learner, torch.zeros_like(pixels), "blue")
        assert (abs(interaction_of(one, other)) > 0.1) == wanted


def test_references_and_baselines(pixels: Tensor) -> None:
    assert torch.allclose(reference_of("mean", pixels, pixels)[:, 3, 5], pixels.mean(dim=(1, 2)))
    assert reference_of("other", pixels, pixels) is pixels
    flat = torch.full((3, SIDE, SIDE), 0.4)
    assert torch.allclose(reference_of("blur", flat, flat), flat)
    assert reference_of("blur", pixels, pixels).std() < pixels.std() / 3
    edge = np.zeros((3, SIDE, SIDE))
    edge[:, :, 12:] = 1
    maps = image_baselines(edge, GRID, np.random.default_rng(0))
    assert set(np.flatnonzero(maps["edges"] > 0) % GRID) == {2, 3}
    assert maps["centre"].reshape(4, 4)[1:3, 1:3].min() > maps["centre"].reshape(4, 4)[0].max()
    assert np.bincount(cells_of(10, 4).ravel()).sum() == 100


def test_unknown_methods_are_named() -> None:
    with pytest.raises(UsageError, match="Did you mean 'grad-cam'"):
        explain_methods("gradcam")
    with pytest.raises(UsageError, match="names no method"):
        explain_methods(" , ")
    assert [method.name for method in explain_methods("all")] == list(METHODS)
