"""The embedded default backbone `scenes-cnn`: a small timm network trained on Scenes' attributes (phi0).

Nothing pretrained can be downloaded where the tool must work at once, so its features are made here,
once, from the training split's attributes; captions and every other split stay unseen.
"""

from __future__ import annotations

from typing import Any, Final

from harness.cell import TrainOptions

SCENES_CNN: Final = "scenes-cnn"
SCENES_CNN_TIMM: Final[tuple[str, dict[str, Any], dict[str, Any]]] = (
    "resnet10t",
    {"channels": [32, 64, 128, 256]},
    {"size": 64, "squash": True, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]},
)
"""timm name, keywords and preprocessing."""

SCENES_CNN_BUDGET: Final = TrainOptions(steps=200, batch_size=64, vision_learning_rate=2e-3, learning_rate=2e-3)
"""About 45 s on two cores."""
