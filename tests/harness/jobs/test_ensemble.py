"""Ensembles: each member is trained as if alone, the answer is the mean by hand, towers of their own stay apart."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.cell import Cell, TrainOptions
from harness.errors import UsageError
from harness.jobs.ensemble import Ensemble, build_ensemble
from harness.protocols import BuildContext, HasSampleLosses, Learner
from harness.sample import Batch, Preprocessing, TaskSpec

LABELS = [int(number >= 20) for number in range(40)]


class Asked(nn.Module):
    """Answers what it was told to."""

    vision, vision_frozen = None, True

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer, self.weight = answer, nn.Parameter(torch.rand(1))

    def predict(self, batch: Batch) -> list[Any]:
        return [self.answer] * len(batch)


class Tower(nn.Module):
    """One token of a number of its own beside the mean of the pixels."""

    preprocessing = Preprocessing(4)

    def __init__(self, number: float, width: int = 2, key: str | None = None) -> None:
        super().__init__()
        self.number, self.width, self.key = nn.Parameter(torch.tensor(number)), width, key or str(number)

    def forward(self, pixels: Tensor) -> Tensor:
        seen = pixels.float().mean(dim=(1, 2, 3))[:, None, None].expand(-1, 1, self.width - 1)
        return torch.cat([self.number.expand(len(pixels), 1, 1), seen], dim=2)


class Sighted(nn.Module):
    """Its loss is the sum of what it sees."""

    def __init__(self, tower: Tower, frozen: bool) -> None:
        super().__init__()
        self.vision, self.vision_frozen = tower, frozen

    def losses(self, batch: Batch) -> Tensor:
        assert batch.visual is not None
        return batch.visual.sum(dim=(1, 2))

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        return self.losses(batch).mean()


def batch(count: int = 1, visual: Tensor | None = None) -> Batch:
    return Batch(tuple(map(str, range(count))), visual, ("",) * count)


@pytest.fixture
def context(tmp_path: Path, cell: Cell) -> BuildContext:
    training = cell.training
    return BuildContext(training.options, TrainOptions(ensemble=3), training.decode, 4, tmp_path)


class Drawn:
    """A model whose learner is drawn by the seed."""

    name = "drawn"

    def build(self, spec: TaskSpec, context: BuildContext) -> Learner:
        learner: Any = Asked([0.5, float(context.seed)])
        return learner


def test_members_have_seeds_of_their_own_and_the_first_is_the_model_alone(context: BuildContext) -> None:
    spec = TaskSpec("image-classification", (), "labels:unseen")
    members: Any = build_ensemble(Drawn(), spec, context).members
    assert [each.answer[1] for each in members] == [4, 100_007, 200_010]
    assert len({each.weight.item() for each in members}) == 3
    torch.manual_seed(4)
    assert members[0].weight.item() == torch.rand(1).item()


@pytest.mark.parametrize(
    ("form", "answers", "wanted"),
    [
        ("labels", [[0.75, 0.25], [0.25, 0.75], [1.0, 0.0]], [2 / 3, 1 / 3]),
        ("labels", [[0.9, 0.8], torch.tensor([0.5, 0.4])], [0.7, 0.6]),  # several classes at once: sums are not 1
        ("choices", [[0.0, 0.0, 0.0], [0.0, 0.6931471805599453, -1e9]], [1 / 3, 1 / 2, 1 / 6]),
    ],
)
def test_the_answer_is_the_mean(form: str, answers: list[Any], wanted: list[float]) -> None:
    found = Ensemble([Asked(answer) for answer in answers], form).predict(batch(2))
    assert found == [pytest.approx(wanted, abs=1e-7)] * 2


@pytest.mark.parametrize(("answer", "told"), [(3, "3"), ("a cat", "a cat")])
def test_answers_without_numbers_have_no_mean(answer: Any, told: str) -> None:
    with pytest.raises(UsageError, match=f"train.ensemble=2 .* without: '{told}'"):
        Ensemble([Asked(answer), Asked(answer)], "answers").predict(batch())


@pytest.mark.parametrize("form", ["captions", "boxes", "maps"])
def test_a_task_without_probabilities_is_refused(form: str, context: BuildContext) -> None:
    with pytest.raises(UsageError, match=f"train.ensemble=3 .* some-task wants {form}"):
        build_ensemble(Drawn(), TaskSpec("some-task", (), form), context)


def test_what_is_not_trained_by_gradient_is_refused(context: BuildContext) -> None:
    fixed: Any = SimpleNamespace(name="fixed", build=lambda *_: Asked([1.0]).requires_grad_(False))
    with pytest.raises(UsageError, match="nothing of fixed is trained by gradient"):
        build_ensemble(fixed, TaskSpec("image-classification", (), "labels"), context)


@pytest.fixture
def made() -> list[Any]:
    """First the class of the smallest learner, last what a job is to train."""
    return []


@pytest.fixture
def chooser(chooser: type[Any], made: list[Any]) -> Any:
    """What the job's learner is made by."""
    made.append(chooser)
    return lambda: made[-1]


def test_each_member_ends_where_it_would_alone(made: list[Any], trained: Any) -> None:
    """The steps of Adam do not depend on the scale of gradients."""

    def learner(number: int) -> Any:
        found = made[0]()
        with torch.no_grad():
            found.new.weight += number
        return found

    def weight(asked: Any, name: str = "new.weight") -> Tensor:
        made.append(asked)
        state, _ = trained(LABELS, clip_norm=1e9, validations=1)
        found: Tensor = state[name]
        return found

    alone = [weight(learner(number)) for number in (0, 1)]
    assert not torch.allclose(alone[0], alone[1], rtol=1e-2)
    for number in (0, 1):
        found = weight(Ensemble([learner(0), learner(1)], "labels"), f"members.{number}.new.weight")
        assert torch.allclose(found, alone[number], rtol=1e-4)


def test_towers_of_their_own_are_seen_by_their_own_member() -> None:
    members = [Sighted(Tower(1.0), frozen=False), Sighted(Tower(10.0), frozen=False)]
    ensemble = Ensemble(members, "labels")
    tower: Any = ensemble.vision
    pixels = torch.full((3, 3, 4, 4), 2.0)
    assert (tower.width, tower.preprocessing) == (4, Preprocessing(4))
    visual = tower(pixels)
    assert visual.shape == (3, 1, 4)
    loss = ensemble.loss(batch(3, visual), torch.Generator())
    assert float(loss.detach()) == ((1 + 2) + (10 + 2)) / 2
    loss.backward()
    assert [float(each.vision.number.grad) for each in members] == [0.5, 0.5]
    assert isinstance(ensemble, HasSampleLosses)
    assert ensemble.losses(batch(3, visual)).tolist() == [7.5] * 3
    assert sum(1 for _ in ensemble.parameters()) == len(ensemble.state_dict()) == 2, "no weight is there twice"


def test_a_frozen_tower_that_all_share_is_run_once() -> None:
    members = [Sighted(Tower(1.0, key="one"), frozen=True), Sighted(Tower(1.0, key="one"), frozen=True)]
    assert Ensemble(members, "labels").vision is members[0].vision
    assert not isinstance(Ensemble([Asked([1.0])], "labels"), HasSampleLosses)
