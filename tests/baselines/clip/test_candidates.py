"""CLIP among candidate texts: equal to the cosines that open_clip itself gives, each sample with its own texts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from baselines.pretrained.catalog import parse_model_name
from harness.cell import DecodeOptions, ModelOptions, TrainOptions
from harness.protocols import BuildContext
from harness.sample import Batch, TaskSpec


@pytest.mark.parametrize("kind", ["clip", "siglip", "coca"])
def test_each_sample_is_scored_against_its_own_texts(kind: str, folders: Callable[[str], Path], tmp_path: Path) -> None:
    from baselines.clip.loading import load_open_clip
    from baselines.clip.source import parse_source

    name = f"local-dir:{folders(kind)}"
    context = BuildContext(ModelOptions(), TrainOptions(), DecodeOptions(), 0, tmp_path)
    model = parse_model_name(f"open_clip:{name}")
    assert "choices" in model.answers  # type: ignore[union-attr]
    learner: Any = model.build(TaskSpec("a-third-partys", (), "choices"), context)
    learner.eval()
    pixels = torch.randint(0, 256, (2, 3, 32, 32), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    choices = (("a dog", "a cat", "a red circle"), ("a house", "an aeroplane"))
    with torch.no_grad():
        visual = learner.vision(pixels)
        found = learner.predict(Batch(("0", "1"), visual, (None, None), choices=choices))
        loaded = load_open_clip(parse_source(name))
        images = F.normalize(visual[:, 0], dim=-1)
        for image, texts, scores in zip(images, choices, found, strict=True):
            own = F.normalize(loaded.model.encode_text(loaded.tokenizer(list(texts))), dim=-1)
            assert scores == pytest.approx((own @ image).tolist(), abs=1e-5)
