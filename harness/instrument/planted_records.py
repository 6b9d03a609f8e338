"""Planted answers -> records: scored by the task's own scorer, stored and vouched for as those of a run are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

from harness.cell import EvaluateOptions, MeasureOptions, TrainOptions
from harness.instrument.planted_worlds import CONTROL_ARMS, FUSED, PlantedWorld, without_modality
from harness.plan.plugins import load_task
from harness.plan.run_plan import Environment
from harness.protocols import DataContext, HasChanceLevel, Progress, Task, open_data
from harness.record import Efficiency, PerturbedScore, RobustnessRecord, RunRecord, now
from harness.records.sample_scores import Scored, write_scores
from harness.records.score_answers import answer_metrics, score_answers
from harness.records.scoring import Scoring
from harness.records.store import Store
from harness.sample import Dataset, Sample, limited
from harness.stats.estimates import estimates

TASK, MODEL = "image-classification", "planted"
REVERSED_SLICE = "clear misleading"
"""A slice of this data with enough samples."""
_EXCHANGES = ("wrong-image", "wrong-text")
_PERMUTATIONS = range(1, 6)
_SHARED_FIELDS = (
    "fingerprint", "task", "data", "data_digest", "split", "model", "control", "seed", "signature", "device", "created",
)  # fmt: skip


@dataclass(frozen=True)
class PlantedPlace:
    """Where planted answers are about: samples of built-in data with several slices, and what scores them."""

    task: Task
    data: Dataset
    samples: Sequence[Sample]
    classes: int
    signature: str
    ceilings: Mapping[str, Mapping[str, float]]
    scorer: Scoring
    resamples: int


@contextmanager
def opened_place(here: Environment, limit: int, resamples: int, progress: Progress) -> Iterator[PlantedPlace]:
    """Open the built-in data of which the planted answers are; raises BenchError where that cannot be made."""
    task = load_task(TASK)
    context = DataContext("scenes", None, None, here.working_directory, here.cache, progress, {"track": "context"})
    data = open_data(task, context)
    samples = limited(task.samples(data, data.default_split), limit)
    classes = len(task.spec(data, ()).classes.names)
    ceilings = task.ceilings(data, data.default_split, samples)
    with Scoring(task, data, here.cache) as scorer:
        yield PlantedPlace(task, data, samples, classes, scorer.prepare(samples), ceilings, scorer, resamples)


def plant(world: PlantedWorld, place: PlantedPlace, seeds: int, store: Store) -> None:
    """Write the records of a world: the fused model and C0 to C5 for each seed, the modality battery for the first."""
    for seed in range(seeds):
        for arm in (FUSED, *CONTROL_ARMS):
            control = None if arm == FUSED else arm
            outcomes = world.answers(arm, seed, place.samples, place.classes)
            record = _record(world, place, control, seed)
            scored = _in_brief(score_answers(place.scorer, place.samples, outcomes), place.task.metrics[0])
            metrics = answer_metrics(place.scorer, scored, place.task.metrics[0], place.resamples)
            tables = write_scores(store, TASK, record["fingerprint"], scored, place.task.metrics)
            provenance = {"planted": world.name, "training": {"learnable": True}, **tables}
            store.write_record(RunRecord(**record, metrics=metrics, provenance=provenance))
            if control is None and seed == 0:
                store.write_robustness(_battery({**record, "metrics": metrics}, place, seed))


def _in_brief(scored: Scored, metric: str) -> Scored:
    """Keep the metric that ranks, whole and in slices: of the others no verdict here says anything."""
    return replace(scored, statistics={n: s for n, s in scored.statistics.items() if n.partition("[")[0] == metric})


def _record(world: PlantedWorld, place: PlantedPlace, control: str | None, seed: int) -> dict[str, Any]:
    """What is known of a cell before it is scored."""
    data = {"name": place.data.name, "layout": place.data.layout, "root": "scenes", "options": dict(place.data.options)}
    training: dict[str, Any] = {
        "task": TASK, "data": data, "model": MODEL, "control": control, "seed": seed, "train": asdict(TrainOptions()),
        "options": {"tune": None, "settings": {}}, "versions": {}, "recipe": {},
    }  # fmt: skip
    evaluate = asdict(EvaluateOptions(limit=len(place.samples), resamples=place.resamples))
    return {
        "fingerprint": hashlib.sha256(f"{world.name} {control} {seed}".encode()).hexdigest()[:20],
        "task": TASK, "data": place.data.name, "data_digest": place.data.digest, "split": place.data.default_split,
        "model": MODEL, "control": control, "seed": seed, "status": "ok", "error": None, "signature": place.signature,
        "efficiency": Efficiency(), "device": "none", "created": now(),
        "cell": {"training": training, "evaluate": evaluate, "measure": asdict(MeasureOptions(timed=False))},
        "ceilings": place.ceilings,
    }  # fmt: skip


def _battery(record: Mapping[str, Any], place: PlantedPlace, seed: int) -> RobustnessRecord:
    """How the fused model does when its image, or its text, is another sample's, in five permutations each."""
    metric = place.task.metrics[0]
    known = {name: record[name] for name in _SHARED_FIELDS}
    scores = []
    for exchange, permutation in product(_EXCHANGES, _PERMUTATIONS):
        label = f"{exchange}-{permutation}"
        outcomes = without_modality(place.samples, place.classes, seed, label)
        found = estimates({metric: place.scorer.score_condition(place.samples, outcomes)[metric]}, place.resamples)
        modality = exchange.removeprefix("wrong-")
        scores.append(PerturbedScore(label, exchange, permutation, "modality", modality, "ok", None, found))
    clean = PerturbedScore("clean", "clean", 0, "", "", "ok", None, {metric: record["metrics"][metric]})
    chance = place.task.chance(place.data, place.samples) if isinstance(place.task, HasChanceLevel) else 0.0
    return RobustnessRecord(
        **known, metric=metric, chance=chance, limit=len(place.samples), shortest_px=0, scores=(clean, *scores),
        provenance={"planted": True},
    )  # fmt: skip
