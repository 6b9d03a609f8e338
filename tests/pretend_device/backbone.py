"""The default backbone as its training leaves it, but with random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.cell import DecodeOptions, ModelOptions, TrainOptions
from harness.jobs.checkpoints import write_checkpoint
from harness.jobs.train import trained_state
from harness.plan.plugins import load_model
from harness.protocols import BuildContext
from harness.sample import TaskSpec


def write_random_backbone(folder: Path) -> None:
    """Write what a training of it would."""
    folder.mkdir(parents=True, exist_ok=True)
    context = BuildContext(ModelOptions(), TrainOptions(), DecodeOptions(), 0, Path("unused"))
    learner: Any = load_model("attribute-classifier").build(TaskSpec("scene-attributes", ([0, 1, 1],)), context)
    digest = write_checkpoint(trained_state(learner), folder / "checkpoint.safetensors")
    summary = {"checkpoint_sha256": digest, "skipped": [], "seconds": 0}
    (folder / "training.json").write_text(json.dumps(summary))
