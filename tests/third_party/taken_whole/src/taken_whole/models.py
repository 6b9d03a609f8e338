"""The models by name: cheap to import, torch only where a learner is built."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.cell import ModelOptions
from harness.errors import MissingPath, UsageError
from harness.protocols import BuildContext, Learner, Model
from harness.sample import TaskSpec


@dataclass(frozen=True)
class TakenWhole:
    """A model that is evaluated as it is; `weights` (a setting) is its checkpoint where `kind` is a tower."""

    name: str
    summary: str
    kind: str
    tasks: tuple[str, ...]
    variant: str = ""
    fused: bool = False
    evaluates_only: bool = True

    @property
    def settings(self) -> tuple[str, ...]:
        """A tower's checkpoint."""
        return () if self.kind == "boxes" else ("weights",)

    def controls_for(self, task: str) -> tuple[str, ...]:
        """Offer none."""
        return ()

    def with_control(self, control: str) -> Model:
        """It has no controls."""
        raise UsageError(f"{self.name} offers no control '{control}'.")

    def recipe(self, options: ModelOptions) -> Mapping[str, Any]:
        """Name the weights by their content."""
        if self.kind == "boxes":
            return {"kind": self.kind, "variant": self.variant}
        content = _weights(self.name, options).read_bytes()
        return {"kind": self.kind, "variant": self.variant, "weights": hashlib.sha256(content).hexdigest()}

    def prerequisite(self, options: ModelOptions) -> None:
        """Nothing must be trained first."""
        return None

    def build(self, spec: TaskSpec, context: BuildContext) -> Learner:
        """Wrap the session, or load the tower as its author does: without a thought of modes."""
        if self.kind == "boxes":
            from taken_whole.detector import SessionDetector, StatedDetector

            return StatedDetector(spec) if self.variant == "stated" else SessionDetector(spec)
        from taken_whole.towers import LabelHead, MapHead, load_tower

        head = MapHead if self.kind == "maps" else LabelHead
        return head(load_tower(_weights(self.name, context.options), head.side_px), spec)


def _weights(name: str, options: ModelOptions) -> Path:
    wish = options.settings.get("weights")
    if wish is None:
        raise UsageError(f"{name} needs --set model.weights=FILE.safetensors.")
    if not Path(str(wish)).is_file():
        raise MissingPath(f"model.weights={wish}: there is no such file. Check the path.")
    return Path(str(wish))


_BOXES, _MAPS, _LABELS = ("coco-detection",), ("coco-segmentation",), ("image-classification",)
tiny_detector = TakenWhole("tiny-detector", "a detector that torch knows nothing of", "boxes", _BOXES)
tiny_detector_stated = TakenWhole("tiny-detector-stated", "the same, its costs stated", "boxes", _BOXES, "stated")
tiny_enet = TakenWhole("tiny-enet", "a tower with batch norm and dropout, a class a pixel", "maps", _MAPS)
tiny_enet_deep = TakenWhole("tiny-enet-deep", "its twin, another model on the same tower", "maps", _MAPS, "deep")
tiny_resnet = TakenWhole("tiny-resnet", "a tower with batch norm, the mean over pixels", "labels", _LABELS)
