"""EMAP: the additive projection by hand, what it leaves alone, and which samples it is computed on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from harness.inputs.visual_tokens import VisualTokens
from harness.jobs.emap import additive_outcomes, has_two_inputs, spread
from harness.protocols import NOTICE
from harness.sample import Batch, Sample

IMAGES = ("p", "q", "r")
TEXTS = ("s", "t", "u")
CONDITIONS = ("honest", "absent", "irrelevant", "misleading")


class Table:
    """A classifier whose log-probabilities f(image, text) are looked up; `asked` is how often each pair was."""

    def __init__(self, scores: npt.NDArray[np.float64]) -> None:
        self.vision: Any = SimpleNamespace()
        self.scores, self.asked = scores, Counter[tuple[int, int]]()

    def predict(self, batch: Batch) -> list[list[float]]:
        assert batch.targets is None
        assert batch.visual is not None
        answers = []
        for image, text in zip(batch.visual[:, 0, 0].long().tolist(), batch.texts, strict=True):
            self.asked[image, TEXTS.index(str(text))] += 1
            exponentials = np.exp(self.scores[image, TEXTS.index(str(text))])
            answers.append((exponentials / exponentials.sum()).tolist())
        return answers


def visuals_of(learner: Table, count: int = 3) -> VisualTokens:
    samples = tuple(Sample(IMAGES[n], Path(), None, TEXTS[n]) for n in range(count))
    features = np.arange(count, dtype=np.float32).reshape(count, 1, 1)
    return VisualTokens(learner, None, samples, features, "cpu")  # type: ignore[arg-type]


def projected(learner: Table, count: int = 3) -> npt.NDArray[np.float64]:
    outcomes = additive_outcomes(learner, visuals_of(learner, count), count, lambda *_: None)  # type: ignore[arg-type]
    assert [outcome.sample_id for outcome in outcomes] == list(IMAGES[:count])
    return np.array([outcome.prediction for outcome in outcomes])


def log_softmax(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True)))


def test_every_pair_is_asked_once_and_the_projection_is_hessel_and_lees() -> None:
    learner = Table(np.random.default_rng(0).normal(0, 2, (3, 3, 4)))
    f = log_softmax(learner.scores)
    expected = np.stack([f[i].mean(axis=0) + f[:, i].mean(axis=0) - f.mean(axis=(0, 1)) for i in range(3)])
    assert projected(learner) == pytest.approx(np.exp(log_softmax(expected)))
    assert learner.asked == Counter({(i, t): 1 for i in range(3) for t in range(3)})


def test_exclusive_or_by_hand() -> None:
    """The answer is 1 where image and text agree: without an interaction nothing can be known of it."""
    agree = np.log(np.array([[[0.1, 0.9], [0.9, 0.1]], [[0.9, 0.1], [0.1, 0.9]]]))
    assert projected(Table(agree), 2) == pytest.approx(np.full((2, 2), 0.5))


def test_an_additive_model_is_left_as_it_is() -> None:
    draw = np.random.default_rng(1)
    scores = draw.normal(size=(3, 1, 2)) + draw.normal(size=(1, 3, 2))
    # of two classes the softmax's own constant cancels in the difference of their logarithms
    learner = Table(scores)
    own = np.exp(log_softmax(scores))[np.arange(3), np.arange(3)]
    assert projected(learner) == pytest.approx(own)


def test_a_model_of_one_input_is_left_as_it_is() -> None:
    for axis in (0, 1):
        scores = np.repeat(np.random.default_rng(2).normal(size=(3, 3, 5)).take([0], axis), 3, axis)
        learner = Table(scores)
        assert projected(learner) == pytest.approx(np.exp(log_softmax(scores))[np.arange(3), np.arange(3)])


@pytest.mark.parametrize("most_images", [2, 3])
def test_memory_that_runs_out_halves_the_pairs_and_says_so(most_images: int) -> None:
    class Small(Table):
        """Takes two pairs at once."""

        def predict(self, batch: Batch) -> list[list[float]]:
            if len(batch) > 2:
                raise torch.OutOfMemoryError("planted")
            return super().predict(batch)

    class SmallTokens(VisualTokens):
        def batch(self, indices: Sequence[int], *, with_targets: bool) -> Batch:
            if len(indices) > most_images:
                raise torch.OutOfMemoryError("planted")
            return super().batch(indices, with_targets=with_targets)

    scores = np.random.default_rng(3).normal(0, 2, (3, 3, 4))
    expected = projected(Table(scores))
    told, learner = list[str](), Small(scores)
    plain = visuals_of(learner)
    tokens = SmallTokens(plain.learner, None, plain.samples, plain.features, "cpu")

    def tell(what: str, done: int, total: int) -> None:
        told.extend([what] if total == NOTICE else [])

    outcomes = additive_outcomes(learner, tokens, 3, tell)  # type: ignore[arg-type]
    assert [outcome.sample_id for outcome in outcomes] == list(IMAGES)
    np.testing.assert_array_equal([outcome.prediction for outcome in outcomes], expected)
    assert learner.asked == Counter({(i, t): 1 for i in range(3) for t in range(3)})
    assert told == ["out of memory: pairing images with texts in batches of 1"]


def test_a_probability_of_zero_is_no_infinity() -> None:
    learner = Table(np.full((3, 3, 2), [0.0, -1e4]))
    assert projected(learner) == pytest.approx(np.array([[1.0, 0.0]] * 3))


def test_gradients_are_not_kept() -> None:
    class Watching(Table):
        def predict(self, batch: Batch) -> list[list[float]]:
            assert torch.is_inference_mode_enabled()
            return super().predict(batch)

    projected(Watching(np.zeros((3, 3, 2))))


def test_samples_are_spread_and_no_condition_is_left_out() -> None:
    """Each image is asked about under four conditions in a fixed order: equal steps would meet one of them."""
    ids = [f"{image}-{condition}" for image in range(1000) for condition in CONDITIONS]
    for total, count in ((4000, 200), (48, 8), (4000, 100)):
        chosen = spread(ids[:total], count)
        assert (len(chosen), len(set(chosen)), chosen) == (count, count, sorted(chosen))
        images = Counter(ids[index].partition("-")[0] for index in chosen)
        conditions = Counter(ids[index].partition("-")[2] for index in chosen)
        assert max(images.values()) <= 2
        assert set(conditions) == set(CONDITIONS)
        assert max(conditions.values()) <= 0.5 * count
    assert spread(ids, 200) == spread(ids, 200)


@pytest.mark.parametrize(("total", "count"), [(3, 5), (5, 5), (5, 1), (7, 3)])
def test_spread_of_few(total: int, count: int) -> None:
    chosen = spread([str(number) for number in range(total)], count)
    assert len(chosen) == min(total, count) == len(set(chosen))
    assert chosen == (list(range(total)) if total <= count else sorted(chosen))
    assert all(
        index * total // count <= place < (index + 1) * total // count for index, place in enumerate(chosen)
    ) or (total < count)


def test_two_inputs_need_an_eye_and_a_text_for_each_sample() -> None:
    visual_tokens = visuals_of(Table(np.zeros((3, 3, 2))))
    assert has_two_inputs(visual_tokens)
    blind = Table(np.zeros((3, 3, 2)))
    blind.vision = None
    assert not has_two_inputs(visuals_of(blind))
    lacking = (*visual_tokens.samples[:2], Sample("r", Path(), None))
    assert not has_two_inputs(VisualTokens(visual_tokens.learner, None, lacking, visual_tokens.features, "cpu"))
    empty_remark = (*visual_tokens.samples[:2], Sample("r", Path(), None, ""))
    assert has_two_inputs(VisualTokens(visual_tokens.learner, None, empty_remark, visual_tokens.features, "cpu"))
