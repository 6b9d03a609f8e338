"""The built-in default backbone `scenes-cnn`: a small timm network trained on Scenes' attributes (phi0).

Nothing pretrained can be downloaded where the tool must work at once, so its features are made here,
once, from the training split's attributes; captions and every other split stay unseen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from harness.cell import TrainOptions

SCENES_CNN: Final = "scenes-cnn"


@dataclass(frozen=True)
class ScenesNetwork:
    """Which timm network it is: name, keywords, the last stage that is kept, preprocessing."""

    timm_name: str
    keywords: Mapping[str, Any]
    stage: int
    preprocessing: Mapping[str, Any]


SCENES_CNN_NETWORK: Final = ScenesNetwork(
    timm_name="test_byobnet",
    keywords={},
    stage=3,
    preprocessing={
        "size": 64,
        "fit": "squash",
        "interpolation": "bilinear",
        "mean": [0.5, 0.5, 0.5],
        "std": [0.25, 0.25, 0.25],
    },
)
"""0.1 M weights. At 64 px this stage has 4 x 4 tokens of 128: enough to tell left from right, and few."""

SCENES_CNN_BUDGET: Final = TrainOptions(
    steps=800,
    batch_size=64,
    learning_rate=2e-2,
    vision_learning_rate=2e-2,
    weight_decay=0.05,
    warmup_fraction=0.15,
    dropout=0.0,
    precision="fp32",
    validations=1,
)
"""51,200 image-steps, a minute of one quiet core. Mean average precision of the attributes on 400 images
held out of the training split: .47 to .50; with two fifths of the steps and half the rate .30.
"""
