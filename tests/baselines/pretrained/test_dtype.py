"""Networks taken whole in bf16 and with other attention: their weights, and answers close to those in fp32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from baselines.pretrained.catalog import parse_model_name
from baselines.pretrained.timm_model import parse_timm_name
from harness.cell import DecodeOptions, ModelOptions, TrainOptions
from harness.errors import CheckpointError
from harness.protocols import BuildContext
from harness.sample import TaskSpec

from .taking import Folders, answers, classes, label_maps
from .test_image_networks import KNOWN, SHAPES
from .test_pretrained_captioners import EVERY

BF16 = {"dtype": "bf16"}


def build(name: str, spec: TaskSpec, **settings: Any) -> Any:
    model: Any = parse_timm_name(name) if name.startswith("timm:") else parse_model_name(name)
    options = model.settled(ModelOptions(settings=settings, answers=spec.answers), "cpu", lambda wish: wish)
    context = BuildContext(options, TrainOptions(), DecodeOptions(max_tokens=6), 0, Path("unused"))
    learner = model.build(spec, context).to("cpu").eval()
    assert model.recipe(options)["dtype"] == {"bf16": "bfloat16"}.get(settings.get("dtype", ""), "float32")
    return learner


def share_in(learner: Any, dtype: torch.dtype) -> float:
    counts = [(p.numel(), p.dtype) for p in learner.model.parameters() if p.is_floating_point()]
    return sum(count for count, kind in counts if kind == dtype) / sum(count for count, _ in counts)


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_image_networks_answer_in_bf16_much_as_in_fp32(name: str, checkpoint: Folders) -> None:
    spec = TaskSpec("a-task", (), parse_model_name(f"hf:{checkpoint(name)}").answers[0], classes(*KNOWN[name]))
    whole, half = (build(f"hf:{checkpoint(name)}", spec, **wish) for wish in ({}, BF16))
    assert min(share_in(whole, torch.float32), share_in(half, torch.bfloat16)) > 0.95
    one, other = answers(whole, SHAPES), answers(half, SHAPES)
    if isinstance(one[0], dict):
        same = [np.mean(a == b) for a, b in zip(label_maps(one), label_maps(other), strict=True)]
        assert np.mean(same) > 0.8
    elif isinstance(one[0][0], float):
        np.testing.assert_allclose(other, one, atol=0.1)
    else:  # the surest box of each image; beside it many are as sure
        for first, second in zip(one, other, strict=True):
            assert len(second) > 0 and np.isfinite(np.array(second)).all()
            assert second[0][1] == pytest.approx(first[0][1], abs=0.1)


@pytest.mark.parametrize("name", EVERY)
def test_captioners_write_in_bf16(name: str, checkpoint: Folders, pictures: list[Image.Image]) -> None:
    learner = build(f"hf:{checkpoint(name)}", TaskSpec("coco-caption", ()), **BF16)
    assert share_in(learner, torch.bfloat16) > 0.5  # some keep a few weights in fp32 by themselves
    together = answers(learner, pictures)
    assert any(together) and together == answers(learner, pictures)


def test_coca_and_timm_answer_in_bf16(coca_folder: Path, pictures: list[Image.Image], tmp_path: Path) -> None:
    import timm
    from timm.models import save_for_hf

    name = f"open_clip:local-dir:{coca_folder}"
    learner = build(name, TaskSpec("coco-caption", (), "captions"), **BF16)
    assert share_in(learner, torch.bfloat16) == 1
    assert any(answers(learner, pictures))
    torch.manual_seed(5)
    save_for_hf(
        timm.create_model("test_resnet", num_classes=2), tmp_path, {"num_classes": 2, "label_names": ["cat", "dog"]},
        safe_serialization=True,
    )  # fmt: skip
    spec = TaskSpec("a-task", (), "labels", classes("cat", "dog"))
    whole, half = (build(f"timm:{tmp_path}", spec, **wish) for wish in ({}, BF16))
    assert share_in(half, torch.bfloat16) == 1
    np.testing.assert_allclose(answers(half, pictures), answers(whole, pictures), atol=0.02)


@pytest.mark.parametrize(
    ("name", "attention"), [("vit", "eager"), ("vit", "sdpa"), ("blip", "eager"), ("llava", "sdpa")]
)
def test_attention_is_computed_as_asked(
    name: str, attention: str, checkpoint: Folders, pictures: list[Image.Image]
) -> None:
    answer = parse_model_name(f"hf:{checkpoint(name)}").answers[0]
    spec = TaskSpec("a-task", (), answer, classes("cat", "red fox", "Tench"))
    plain, asked = (build(f"hf:{checkpoint(name)}", spec, **wish) for wish in ({}, {"attention": attention}))
    assert asked.model.config._attn_implementation == attention
    one, other = answers(plain, pictures), answers(asked, pictures)
    assert np.allclose(one, other, atol=1e-6) if name == "vit" else one == other


def test_attention_that_a_network_has_not_is_refused_by_its_name(checkpoint: Folders) -> None:
    with pytest.raises(
        CheckpointError, match=r"does not support an attention .* Take another model\.attention than sdpa"
    ):
        build(f"hf:{checkpoint('blip')}", TaskSpec("coco-caption", ()), attention="sdpa")


def test_a_network_that_was_placed_when_it_was_loaded_is_not_moved(
    checkpoint: Folders, pictures: list[Image.Image]
) -> None:
    spec = TaskSpec("coco-caption", ())
    plain = build(f"hf:{checkpoint('llava')}", spec)
    spread = build(f"hf:{checkpoint('llava')}", spec, device_map="auto")
    assert answers(spread, pictures) == answers(plain, pictures)
    spread.model.hf_device_map = {"": "cpu"}  # as accelerate says where there are several devices
    spread.to("meta")
    assert {str(parameter.device) for parameter in spread.model.parameters()} == {"cpu"}
    assert spread.device() == "meta"  # where inputs go, from where accelerate moves them on
    assert {str(parameter.device) for parameter in plain.to("meta").model.parameters()} == {"meta"}
