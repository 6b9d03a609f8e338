"""What the evaluation loop costs over a bare PyTorch loop that does the same forward passes.

    uv run python tests/benchmarks/bench_evaluation_loop.py

Both loops read the same cached features with the same learner and batch size, in turn; the ratio is
the median over the pairs. Wanted: at most 1.03.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from safetensors.torch import save_file

from harness.cell import DecodeOptions, ModelOptions, TrainOptions
from harness.inputs.visual_tokens import VisualTokens
from harness.jobs.predict import predict_all
from harness.measure.machine import describe_machine
from harness.plan.plugins import load_model
from harness.protocols import BuildContext, Learner
from harness.sample import Batch, Sample, TaskSpec
from tasks.targets.targets import CaptionTarget

SAMPLES, BATCH, TOKENS, PAIRS = 512, 64, 16, 7


def main() -> None:
    """Time both loops in turn and print the ratio."""
    learner, visual_tokens = _prepare()
    features = torch.from_numpy(np.asarray(visual_tokens.features))
    pairs = []
    for pair in range(PAIRS + 1):
        ours = _seconds(lambda: predict_all(learner, visual_tokens, BATCH, lambda what, done, total: None))
        bare = _seconds(lambda: _bare_loop(learner, features))
        if pair:  # the first pair warms up
            pairs.append((ours, bare))
    ratios = sorted(ours / bare for ours, bare in pairs)
    report = {
        "samples": SAMPLES,
        "batch": BATCH,
        "loop_seconds_median": statistics.median(ours for ours, _ in pairs),
        "bare_seconds_median": statistics.median(bare for _, bare in pairs),
        "ratio_median": statistics.median(ratios),
        "ratio_range": [ratios[0], ratios[-1]],
        "machine": describe_machine("cpu").label,
    }
    json.dump(report, sys.stdout, indent=1)
    print()


@torch.inference_mode()
def _bare_loop(learner: Learner, features: torch.Tensor) -> None:
    answers: list[str] = []
    for start in range(0, SAMPLES, BATCH):
        tokens = features[start : start + BATCH]
        answers += learner.predict(Batch(("",) * len(tokens), tokens, (None,) * len(tokens)))
    assert len(answers) == SAMPLES


def _prepare() -> tuple[Learner, VisualTokens]:
    """Build the un-fused captioner on random features; how well it answers does not matter here."""
    targets = [CaptionTarget((f"a picture of thing number {i} on the grass",)) for i in range(50)]
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "weights.safetensors"
        save_file(timm.create_model("test_resnet").state_dict(), weights)
        options = ModelOptions(vision="test_resnet", vision_weights=str(weights), vision_args={"size": 64})
        context = BuildContext(options, TrainOptions(), DecodeOptions(TOKENS), 0, Path(folder))
        learner: Any = load_model("cnn-transformer").build(TaskSpec("coco-caption", targets), context)
    learner.eval()
    with torch.inference_mode():
        shape = learner.vision(torch.zeros(1, 3, 64, 64, dtype=torch.uint8)).shape
    features = np.random.default_rng(0).standard_normal((SAMPLES, *shape[1:]), dtype=np.float32)
    samples = tuple(Sample(str(i), Path(), None) for i in range(SAMPLES))
    return learner, VisualTokens(learner, None, samples, features, "cpu")


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
