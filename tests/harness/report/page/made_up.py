"""Made-up records for tests of the report: nothing here was measured, and names say so."""

from __future__ import annotations

import hashlib
import io
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.perturb.grids import STANDARD_CORRUPTIONS
from harness.record import Efficiency, Estimate, PerturbedScore, RobustnessRecord, RunRecord
from harness.records.store import Store
from harness.sample import Outcome

FAMILIES = {
    "gaussian-noise": "noise", "shot-noise": "noise", "impulse-noise": "noise", "defocus-blur": "blur",
    "glass-blur": "blur", "motion-blur": "blur", "zoom-blur": "blur", "snow": "weather", "frost": "weather",
    "fog": "weather", "brightness": "weather", "contrast": "digital", "elastic-transform": "digital",
    "pixelate": "digital", "jpeg": "digital",
}  # fmt: skip
TEXTS = {
    "typo-keyboard": "character", "typo-ocr": "character", "char-swap": "character", "word-synonym": "word",
    "word-delete": "word", "punctuation": "word", "formal": "sentence", "passive": "sentence",
}  # fmt: skip
MODALITY = ("blank-image", "noise-image", "wrong-image", "empty-text", "wrong-text")
SHIFTS = ("shift-style", "shift-ground-swap", "shift-light", "shift-scale")
MACHINE = "a made-up machine, 1 of 2 threads"


def made_record(model: str, value: float | None, **fields: Any) -> RunRecord:
    """A record of a made-up run; None for `value` gives one that was skipped."""
    control, seed, task = fields.pop("control", None), fields.pop("seed", 0), fields.pop("task", "image-classification")
    metric, layout = fields.pop("metric", "top-1"), fields.pop("layout", "scenes")
    draw = random.Random(f"{model} {control} {seed}")
    name = hashlib.sha256(f"{model} {control} {seed} {task}".encode()).hexdigest()[:12]
    content = {
        "training": {
            "model": model, "seed": seed, "data": {"layout": layout, "root": "made-up"}, "train": {"steps": 400},
            "versions": {"task": "1:made-up", "scoring": "made-up"},
        },
        "evaluate": {"limit": None, "resamples": 1000},
    }  # fmt: skip
    metrics: dict[str, Estimate | None] = {}
    if value is not None:
        metrics = {
            metric: around(value),
            "macro-F1": around(value * 0.97),
            "ECE": around(0.08),
            "ECE-null": around(0.04),
        }
        metrics |= {f"{metric}[clear]": around(value * 1.1), f"{metric}[night]": around(value * 0.5)}
        metrics |= {f"{metric}:{kind}": around(value * share) for kind, share in (("heart", 0.8), ("star", 1.1))}
    made = RunRecord(
        fingerprint=f"made{name}",
        task=task,
        data="made-up",
        data_digest="d1" * 32,
        split="test",
        model=model,
        control=control,
        seed=seed,
        status="ok" if value is not None else "skipped",
        error=None if value is not None else "weights not available: made-up. Get them somewhere.",
        metrics=metrics,
        signature="made-up:v1" if value is not None else None,
        efficiency=Efficiency(
            parameters_total=23_000_000, parameters_trainable=draw.randrange(10**4, 10**6), flops=44_659_200,
            latency_p50_seconds=draw.uniform(0.0006, 0.009), latency_p95_seconds=0.01, latency_runs=130,
            throughput_per_second=1900.0, throughput_batch=32, peak_memory_bytes=draw.randrange(550, 800) * 2**20,
            train_seconds=draw.uniform(1, 80),
        ) if value is not None else Efficiency(),
        device=MACHINE,
        provenance={"git": "c0ffee" * 6, "python": "3.11", "torch": "2.15.0", "training": {"steps": 400}},
        cell=content,
        created="2026-01-01T00:00:00.000+00:00",
    )  # fmt: skip
    return replace(made, **fields)


def around(value: float, half: float = 0.03, count: int = 978) -> Estimate:
    """An estimate with an interval of a made-up width."""
    return Estimate(value, max(0.0, value - half), value + half, count)


def made_sweep(record: RunRecord, *, metric: str = "top-1", reads_text: bool = True) -> RobustnessRecord:
    """The standard grid over a made-up record; a model that reads no text skips the text conditions."""
    draw = random.Random(record.fingerprint)
    clean = record.metrics[metric]
    assert clean is not None

    def score(name: str, severity: int, family: str, modality: str, value: float) -> PerturbedScore:
        if modality == "text" and not reads_text:
            return PerturbedScore("-", name, severity, family, modality, "skipped", "the model reads no text")
        metrics: dict[str, Estimate | None] = {
            metric: around(max(0.02, value), 0.04, 500),
            "ECE": around(0.1 + 0.02 * severity),
        }
        notes = {"pixels_sha256": f"{name}-{severity}"}
        return PerturbedScore("-", name, severity, family, modality, "ok", None, metrics, notes)

    scores = [score("clean", 0, "clean", "", clean.value)]
    for name in STANDARD_CORRUPTIONS:
        slope = draw.uniform(0.02, 0.16)
        scores += [score(name, s, FAMILIES[name], "image", clean.value * (1 - slope * s)) for s in range(1, 6)]
    for name, family in TEXTS.items():
        scores += [score(name, s, family, "text", clean.value * (1 - 0.03 * s)) for s in (1, 3, 5)]
    scores += [score(n, 1, "modality", "text" if "text" in n else "image", 0.1 * clean.value) for n in MODALITY]
    scores += [score(n, 0, "shift", "image", draw.uniform(0.5, 1.02) * clean.value) for n in SHIFTS]
    return RobustnessRecord(
        fingerprint=record.fingerprint,
        task=record.task,
        data=record.data,
        data_digest=record.data_digest,
        split=record.split,
        model=record.model,
        control=record.control,
        seed=record.seed,
        metric=metric,
        signature="made-up:v1",
        chance=1 / 24,
        limit=500,
        shortest_px=224,
        device=record.device,
        scores=tuple(scores),
        provenance={"git": "c0ffee" * 6},
        created=record.created,
    )


def made_records() -> list[RunRecord]:
    """Ten made-up models, one with all its controls, one skipped."""
    names = (
        "fused-a",
        "fused-b",
        "film-made-up",
        "gated-made-up",
        "probe-made-up",
        "vision-only",
        "q-former-like",
        "concat",
    )
    records = [made_record(name, 0.55 - 0.04 * place) for place, name in enumerate(names)]
    gaps = {"C0": 0.02, "C1": 0.03, "C2": 0.01, "C3": 0.2, "C4": 0.08, "C5": 0.45, "C6": 0.02}
    records += [made_record("fused-a", 0.55 - gap, control=control) for control, gap in gaps.items()]
    return [*records, made_record("far-away", None)]


def write_made_up(folder: Path, records: Sequence[RunRecord]) -> Store:
    """Write records, a sweep of each, predictions of the first, and one example into a results folder."""
    store = Store(str(folder))
    for record in records:
        store.write_record(record)
        if record.status == "ok" and record.control is None:
            sweep = made_sweep(record, metric=next(iter(record.metrics)), reads_text="vision" not in record.model)
            store.write_robustness(sweep)
    _write_outcomes(store, f"{records[0].task}/outcomes/{records[0].fingerprint}", 0.9)
    for name in STANDARD_CORRUPTIONS:
        _write_outcomes(store, f"{records[0].task}/robustness/{records[0].fingerprint}/{name}-5", 0.5)
    return store


def _write_outcomes(store: Store, name: str, share: float) -> None:
    draw = random.Random(name)
    sure = [draw.uniform(0.35, 1.0) for _ in range(400)]
    outcomes = [Outcome(str(n), [p, (1 - p) / 2, (1 - p) / 2]) for n, p in enumerate(sure)]
    store.write_outcomes(name, outcomes, {"top-1": [float(draw.random() < p * share) for p in sure]})


def write_examples(store: Store, task: str, models: Sequence[str], reference: str = "a red heart") -> None:
    """Write two samples under three conditions, as the runner leaves them."""
    from PIL import Image

    samples = []
    for number in range(2):
        conditions = []
        for place, (name, severity) in enumerate((("clean", 0), ("fog", 3), ("glass-blur", 5))):
            stream = io.BytesIO()
            Image.new("RGB", (96, 96), (200 - 40 * place, 60 + 30 * number, 80 + 30 * place)).save(stream, "JPEG")
            store.write_bytes(f"{task}/robustness/examples/{number}-{place}.jpg", stream.getvalue())
            said = dict.fromkeys(models, f"a {name} drawing")
            conditions.append(
                {"perturbation": name, "severity": severity, "file": f"{number}-{place}.jpg", "predictions": said}
            )
        samples.append({"sample_id": str(number), "reference": [reference, "a heart"], "conditions": conditions})
    store.write_bytes(f"{task}/robustness/examples/index.json", json.dumps({"samples": samples}).encode())
