"""Scores what models have answered under conditions: each against the targets of its split, moved with the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.cell import PerturbOptions
from harness.condition import Condition
from harness.inputs.decoded_images import DecodedImages, open_decoded_images
from harness.inputs.perturbed_inputs import affine_for, image_key, part_for
from harness.perturb.natural_shifts import ShiftedSplit
from harness.perturb.perturbation import IMAGE, GeometricPerturbation
from harness.plan.conditions import RobustnessPlan
from harness.plan.run_plan import Environment, Plan
from harness.protocols import MovesTargets, Progress
from harness.record import Estimate
from harness.records.sample_scores import Scored
from harness.records.scoring import Scoring
from harness.sample import Outcome, Sample, limited
from harness.stats.estimates import estimates, fewer

MAIN = ""
"""The key of the split that the models' records are about (`Condition.split_key`)."""


@dataclass
class ConditionScores:
    """The splits of a plan's conditions, with their samples; `options` are those that the conditions are run with."""

    plan: Plan
    sweep: RobustnessPlan
    options: PerturbOptions
    environment: Environment
    progress: Progress
    samples: dict[str, Sequence[Sample]] = field(default_factory=dict)
    _decoded: DecodedImages | None = None

    @property
    def targets(self) -> Mapping[str, ShiftedSplit]:
        """The split of each condition, by its `split_key`."""
        return {MAIN: ShiftedSplit(self.plan.data, self.plan.split), **self.sweep.shifts}

    def prepare(self, scorer: Scoring, name: str) -> str:
        """Have a scorer take in a split; returns its signature."""
        target = self.targets[name]
        self.samples[name] = self.plan.task.samples(target.data, target.split)
        return scorer.prepare(self.samples[name])

    def score(
        self, condition: Condition, answers: Sequence[tuple[str, Any]], scorer: Scoring, resamples: int
    ) -> tuple[Scored, dict[str, Estimate | None]]:
        """Score the answers by sample; there are hundreds of conditions: a fifth of the resamples, as for classes."""
        target = self.targets[condition.split_key]
        outcomes = [Outcome(sample_id, target.translate(answer)) for sample_id, answer in answers]
        scored = self._scored(condition, outcomes, scorer)
        return scored, estimates(scored.statistics, fewer(resamples))

    def _scored(self, condition: Condition, outcomes: Sequence[Outcome], scorer: Scoring) -> Scored:
        """Score by the task's first metric and by what else is kept under each condition."""
        answered = {outcome.sample_id for outcome in outcomes}
        samples = limited(self.samples[condition.split_key], self.options.limit)
        kept = self.moved([sample for sample in samples if sample.sample_id in answered], condition)
        return Scored(kept, outcomes, scorer.score_condition(kept, outcomes))

    def moved(self, samples: Sequence[Sample], condition: Condition) -> Sequence[Sample]:
        """Let targets follow their images, where a condition moves these."""
        part = part_for(condition, IMAGE, self.sweep.known)
        perturbation = self.sweep.known[part.name] if part else None
        task = self.plan.task
        if part is None or not isinstance(perturbation, GeometricPerturbation) or not isinstance(task, MovesTargets):
            return samples
        decoded_images = self.decoded_images()
        sizes = dict(zip(decoded_images.paths, decoded_images.sizes, strict=True))
        moved = []
        for sample in samples:
            image = image_key(sample.image, sizes[sample.image])
            affine = affine_for(perturbation, part, self.options.seed, image)
            moved.append(replace(sample, target=task.moved(sample.target, affine)))
        return moved

    def decoded_images(self) -> DecodedImages:
        """The images of the main split as they are perturbed; decoded once."""
        if self._decoded is None:
            samples = limited(self.plan.task.samples(self.plan.data, self.plan.split), self.options.limit)
            on_bad = self.plan.cells[0].training.on_bad_sample
            self._decoded = open_decoded_images(
                samples, self.options.shortest_px, self.environment.cache, on_bad, self.progress
            )
        return self._decoded
