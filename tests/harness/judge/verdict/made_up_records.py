"""A made-up results folder: `world.add(model, control, values[seeds, samples])`, then `world.evidence()`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness.judge.verdict.evidence import Evidence, FusionControls, Options, gather
from harness.record import Efficiency, Estimate, PerturbedScore, RobustnessRecord, RunRecord
from harness.stats.sample_scores import SampleScores

LADDER = ("C0", "C1", "C2", "C3", "C4")
MODALITY = {("wrong-image", s): 0.05 for s in range(1, 6)} | {("wrong-text", s): 0.05 for s in range(1, 6)}


def estimate(values: np.ndarray) -> Estimate:
    """A mean with its normal interval."""
    half = 1.96 * float(values.std(ddof=1)) / np.sqrt(len(values)) + 1e-9
    return Estimate(float(values.mean()), float(values.mean() - half), float(values.mean() + half), len(values))


@dataclass
class World:
    """Records, sample scores and sweeps that are made up."""

    controls: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"fused": LADDER})
    unfused: tuple[str, ...] = ("plain",)
    metrics: tuple[str, ...] = ("top-1", "H", "unseen-top-1")
    records: list[RunRecord] = field(default_factory=list)
    scores: dict[tuple[str, str | None], SampleScores] = field(default_factory=dict)
    sweeps: list[RobustnessRecord] = field(default_factory=list)

    def add(
        self,
        model: str,
        control: str | None,
        values: Mapping[str, np.ndarray] | np.ndarray,
        *,
        stored: bool = True,
        learnable: bool | None = True,
        train: Mapping[str, Any] | None = None,
        clusters: Sequence[str] | None = None,
        **fields: Any,
    ) -> list[RunRecord]:
        """Add one record a seed; `values` are [seeds, samples] of top-1, or of several metrics by name."""
        by_metric = dict(values) if isinstance(values, Mapping) else {"top-1": values}
        count = len(next(iter(by_metric.values())))
        settings = {"steps": 400, "gate_steps": 0, "limit": None, "validation_limit": 0, **(train or {})}
        made = []
        for seed in range(count):
            mine = {name: of_seeds[seed] for name, of_seeds in by_metric.items()}
            extra = {k: v[seed] if isinstance(v, list) else v for k, v in fields.items()}
            tune = extra.pop("tune", None)
            name = (
                f"{model}-{control}-{seed}-{settings['limit']}-{settings['steps']}-{tune}{settings.get('sequence', '')}"
            )
            training = {
                "model": model, "seed": seed, "train": settings, "recipe": {"tune": tune},
                "options": {"tune": None, "settings": {}}, "versions": extra.pop("versions", {}),
            }  # fmt: skip
            record = RunRecord(
                fingerprint=name,
                task="image-classification",
                data="tiny",
                data_digest="d1" * 32,
                split="test",
                model=model,
                control=control,
                seed=seed,
                status="ok",
                error=None,
                metrics={m: estimate(v) for m, v in mine.items()} | extra.pop("slices", {}),
                signature="top-1:1",
                efficiency=extra.pop("efficiency", Efficiency(parameters_trainable=7)),
                device=extra.pop("device", "a machine"),
                provenance={"training": {"steps": 400, "learnable": learnable}},
                cell={"training": training, "evaluate": {"limit": None}, "measure": extra.pop("measure", {})},
                created=extra.pop("created", "2026-01-01"),
                ceilings=extra.pop("ceilings", {}),
            )
            assert not extra, extra
            made.append(record)
            if stored:
                ids = tuple(f"s{n}" for n in range(len(next(iter(mine.values())))))
                self.scores[name, None] = SampleScores(ids, tuple(clusters or ids), mine)
        self.records += made
        return made

    def sweep(
        self, records: Sequence[RunRecord], cells: Mapping[tuple[str, int], Any], clean: Any = 0.8, half: float = 0.02
    ) -> None:
        """Perturb models: a cell is a score, a reason ("skipped: …"), or `[seeds, samples]` contributions."""
        for n, record in enumerate(records):
            scores = []
            for (name, severity), content in {("clean", 0): clean, **cells}.items():
                modality = "text" if "text" in name or "typo" in name else "image"
                place = (f"{name}-{severity}", name, severity, "some", modality)
                if isinstance(content, str):
                    status, _, error = content.partition(": ")
                    scores.append(PerturbedScore(*place, status, error))
                    continue
                if isinstance(content, np.ndarray):
                    found = estimate(content[n])
                    ids = tuple(f"s{i}" for i in range(len(content[n])))
                    kept = SampleScores(ids, ids, {"top-1": content[n]})
                    self.scores[record.fingerprint, f"{name}-{severity}"] = kept
                else:
                    found = Estimate(content, content - half, content + half, 100)
                scores.append(PerturbedScore(*place, "ok", None, {"top-1": found}))
            self.sweeps.append(
                RobustnessRecord(
                    record.fingerprint,
                    record.task,
                    record.data,
                    record.data_digest,
                    record.split,
                    record.model,
                    record.control,
                    record.seed,
                    "top-1",
                    "top-1:1",
                    0.1,
                    None,
                    224,
                    "a machine",
                    tuple(scores),
                    {},
                    "2026-01-01",
                )
            )

    def ladder(self, values: np.ndarray, gains: Mapping[str, float], seed: int = 0, battery: bool = True) -> None:
        """Add the fused model, controls lower by a gain with noise of seeds and samples, and the battery."""
        generator = np.random.default_rng(seed)
        fused = self.add("fused", None, values)
        for control, gain in gains.items():
            rest = 0.02 * generator.standard_normal(values.shape) + 0.002 * generator.standard_normal((len(values), 1))
            self.add("fused", control, values - gain + rest - rest.mean())
        if battery:
            self.sweep(fused, MODALITY)

    def evidence(self, **options: Any) -> Evidence:
        """Gather the one table that there is."""
        (found,) = self.tables(**options)
        return found

    def tables(self, **options: Any) -> list[Evidence]:
        fusion = FusionControls(self.controls, self.unfused)
        return gather(
            self.records,
            self.sweeps,
            self.metrics,
            fusion,
            lambda task, name, condition: self.scores.get((name, condition)),
            Options(**options),
        )
