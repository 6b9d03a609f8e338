"""Trains several members of a model at once, from seeds of their own, and answers with their mean.

Deep ensembles (Lakshminarayanan et al. 2017, arXiv 1612.01474): members differ by what is drawn when they are built and
while they are trained; all see the same batches. A frozen tower that all share is run once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Generator, Tensor, nn

from harness.answers import CHOICES, LABELS, SHORT_ANSWERS, form_of, is_label
from harness.errors import UsageError
from harness.protocols import (
    BuildContext,
    HasMeanLoss,
    HasNormalizedPixels,
    HasSampleLosses,
    Learner,
    Model,
    ParameterGroups,
    ReadsText,
    SupportsFit,
    SupportsForget,
    VisionTower,
)
from harness.sample import Batch, Prediction, TaskSpec

_SEEDS_APART = 100_003
"""Between the seeds of two members: those of runs with seeds 0, 1, 2 … stay apart."""


def build_ensemble(model: Model, spec: TaskSpec, context: BuildContext) -> Ensemble:
    """Build `train.ensemble` members, the first of which is the model as it is built alone.

    Raises UsageError where a mean of answers means nothing, or members could not differ.
    """
    asked, form = f"train.ensemble={context.train.ensemble}", form_of(spec.answers)
    if form not in (LABELS, CHOICES, SHORT_ANSWERS):
        raise UsageError(
            f"{asked} takes the mean of probabilities or scores, and {spec.task} wants {form}. Leave it out here; "
            "train.soup takes the mean of weights instead."
        )
    members: list[Any] = []
    for number in range(context.train.ensemble):
        seed = context.seed + number * _SEEDS_APART
        torch.manual_seed(seed)
        member: Any = model.build(spec, replace(context, seed=seed))
        if isinstance(member, SupportsFit) or not any(weight.requires_grad for weight in member.parameters()):
            raise UsageError(
                f"{asked}: nothing of {model.name} is trained by gradient: all members would be one. Leave it out."
            )
        members.append(member)
    return Ensemble(members, form)


class JoinedTowers(nn.Module):
    """The towers of all members as one: their tokens side by side, `[B, N, width]` of as many times the width."""

    def __init__(self, towers: Sequence[Any]) -> None:
        super().__init__()
        self._towers = tuple(towers)  # not registered: they are the members' own
        self.key = hashlib.sha256("+".join(tower.key for tower in towers).encode()).hexdigest()
        self.preprocessing = towers[0].preprocessing
        self.width = sum(tower.width for tower in towers)
        if isinstance(towers[0], HasNormalizedPixels):  # all are the same but for their weights
            self.normalized = towers[0].normalized

    def forward(self, pixels: Tensor) -> Tensor:
        """Encode uint8 pixels `[B, 3, S, S]` by each tower."""
        return torch.cat([tower(pixels) for tower in self._towers], dim=-1)


class Ensemble(nn.Module):
    """Members of one model for a task, trained together, whose mean is the answer."""

    def __init__(self, members: Sequence[Any], form: str) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.vision_frozen = all(member.vision_frozen for member in members)
        self._form = form
        towers = [member.vision for member in members if member.vision is not None]
        self._joined = None if not towers or self._is_shared(towers) else JoinedTowers(towers)
        if all(isinstance(member, HasSampleLosses) for member in members):
            self.losses = self._losses

    def _is_shared(self, towers: Sequence[VisionTower]) -> bool:
        return self.vision_frozen and len({tower.key for tower in towers}) == 1

    @property
    def vision(self) -> VisionTower | None:
        """The tower that all share, or all towers."""
        first: VisionTower | None = self._each[0].vision
        return first if self._joined is None else self._joined

    @property
    def loss_is_mean_over_samples(self) -> bool:
        """As the members' losses are."""
        return all(isinstance(each, HasMeanLoss) and each.loss_is_mean_over_samples for each in self._each)

    @property
    def reads(self) -> tuple[str, ...]:
        """What a member reads."""
        first = self._each[0]
        return first.reads if isinstance(first, ReadsText) else ()

    def loss(self, batch: Batch, generator: Generator) -> Tensor:
        """The mean of the members' losses: no weight is in two of them, so each is trained by its own.

        The norm of gradients that is held below `train.clip_norm` is that of all members.
        """
        return torch.stack([each.loss(own, generator) for each, own in self._shares(batch)]).mean()

    @torch.no_grad()
    def predict(self, batch: Batch) -> list[Prediction]:
        """The mean of the members' probabilities; of scores of choices that of their softmax. Expects eval mode.

        Raises UsageError where a member answers without: with a class or a text alone.
        """
        answers = [each.predict(own) for each, own in self._shares(batch)]
        return [self._mean(own) for own in zip(*answers, strict=True)]

    def parameter_groups(self) -> ParameterGroups:
        """Those of all members, by the names that they have here."""
        groups = [each.parameter_groups() for each in self._each]

        def joined(origin: str) -> list[tuple[str, nn.Parameter]]:
            return [
                (f"members.{number}.{name}", parameter)
                for number, group in enumerate(groups)
                for name, parameter in getattr(group, origin)
            ]

        return ParameterGroups(joined("language"), joined("vision"), joined("new"))

    def reword(self, class_texts: Sequence[Sequence[str]]) -> None:
        """Have each member read these texts for the classes from now on."""
        for each in self._each:
            if isinstance(each, ReadsText):
                each.reword(class_texts)

    def forget(self) -> None:
        """Have each member drop what it remembers of samples."""
        for each in self._each:
            if isinstance(each, SupportsForget):
                each.forget()

    def _losses(self, batch: Batch) -> Tensor:
        """The mean of the members' losses of each sample `[B]`."""
        members: Any = self._shares(batch)
        return torch.stack([each.losses(own) for each, own in members]).mean(dim=0)

    @property
    def _each(self) -> list[Learner]:
        members: Any = self.members
        return list(members)

    def _shares(self, batch: Batch) -> list[tuple[Learner, Batch]]:
        """Each member with the batch as it sees it: with the tokens of its own tower."""
        if self._joined is None or batch.visual is None:
            return [(each, batch) for each in self._each]
        towers: list[Any] = [each.vision for each in self._each]
        edges = accumulate((tower.width for tower in towers), initial=0)
        parts = [batch.visual[..., low:high] for low, high in pairwise(edges)]
        return [(each, replace(batch, visual=part)) for each, part in zip(self._each, parts, strict=True)]

    def _mean(self, answers: Sequence[Prediction]) -> list[float]:
        if any(isinstance(answer, str) or is_label(answer) for answer in answers):
            raise UsageError(
                f"train.ensemble={len(answers)} takes the mean of probabilities or scores, and the members answer "
                f"without: {str(answers[0])[:60]!r}. Leave it out here."
            )
        values = torch.stack([torch.as_tensor(answer, dtype=torch.float64).cpu() for answer in answers])
        mean: list[float] = (values if self._form == LABELS else values.softmax(dim=1)).mean(dim=0).tolist()
        return mean
