"""Towers: checkpoints with their own keywords and preprocessing, and what is refused."""

from __future__ import annotations

import inspect
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from baselines.pretrained.timm_model import parse_timm_name
from baselines.vision.source import find_vision
from baselines.vision.timm_keywords import SHAPING
from baselines.vision.timm_tower import build_tower
from harness.cell import ModelOptions
from harness.errors import CheckpointError, MissingPath, UsageError, WeightsUnavailable

SHARED = Path(os.environ.get("BENCH_TEST_WEIGHTS", Path(__file__).parents[4] / "shared" / "weights"))
MOBILENET = SHARED / "mobilenetv2_100.coral.safetensors"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A tiny ResNet with its classifier."""
    torch.manual_seed(0)
    path = tmp_path / "tiny.safetensors"
    save_file(timm.create_model("test_resnet").state_dict(), path)
    return path


def options(path: Path | None, name: str = "test_resnet", **arguments: Any) -> ModelOptions:
    return ModelOptions(vision=name, vision_weights=str(path) if path else None, vision_args=arguments)


def pixels(size: int, count: int = 2) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_tokens_equal_a_plain_forward(checkpoint: Path) -> None:
    tower = build_tower(find_vision(options(checkpoint, size=64, mean="0.5", std="0.5/0.25/0.2"))).eval()
    plain = timm.create_model("test_resnet", num_classes=0).eval()
    plain.load_state_dict(load_file(checkpoint), strict=False)
    std = torch.tensor([0.5, 0.25, 0.2]).view(1, 3, 1, 1)
    with torch.no_grad():
        tokens = tower(pixels(64))
        wanted = plain((pixels(64).float() / 255 - 0.5) / std)
    assert tokens.shape == (2, tower.tokens, tower.width)
    torch.testing.assert_close(tokens.mean(dim=1), wanted, atol=1e-4, rtol=1e-4)


def test_stage_cuts_the_network(checkpoint: Path) -> None:
    whole, cut = (build_tower(find_vision(options(checkpoint, size=64)), stage=stage) for stage in (-1, 2))
    assert cut.tokens == 64 and cut.tokens > whole.tokens
    assert sum(p.numel() for p in cut.parameters()) < sum(p.numel() for p in whole.parameters())
    assert cut.key != whole.key
    with pytest.raises(UsageError, match="stages 0 to"):
        build_tower(find_vision(options(checkpoint)), stage=17)


def test_transformer_tokens_keep_the_class_token() -> None:
    source = find_vision(options(None, "test_vit"))
    from dataclasses import replace

    tower = build_tower(replace(source, origin="scratch"))
    size = tower.preprocessing.size
    assert tower.tokens == (size // 16) ** 2 + 1


def test_side_file_and_flags(checkpoint: Path) -> None:
    checkpoint.with_suffix(".toml").write_text('size = 96\nmean = [0.1, 0.2, 0.3]\nact_layer = "silu"\n')
    source = find_vision(options(checkpoint, size="64"))
    assert source.keywords == {"act_layer": "silu"}
    assert source.preprocessing == {"size": 64, "mean": [0.1, 0.2, 0.3]}
    assert source.to_json() != find_vision(options(checkpoint)).to_json()


def test_keys_differ_by_all_that_moves_features(checkpoint: Path) -> None:
    keys = {
        build_tower(find_vision(options(checkpoint, **arguments))).key
        for arguments in ({}, {"size": 64}, {"mean": 0.4}, {"act_layer": "silu"}, {"crop": 0.5})
    }
    assert len(keys) == 5


@pytest.mark.parametrize(
    ("wish", "error", "words"),
    [
        ({"name": "test_resnett"}, UsageError, "test_resnet"),
        ({"pad_typ": "same"}, UsageError, "pad_typ"),
        ({"name": "test_vit"}, CheckpointError, "missing"),
        ({"mean": "0.1/0.2"}, UsageError, "one or three numbers"),
    ],
)
def test_wrong_wishes_are_explained(checkpoint: Path, wish: Any, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        build_tower(find_vision(options(checkpoint, **wish)))


def test_files_that_can_run_code_are_refused(tmp_path: Path) -> None:
    for suffix in (".bin", ".pt", ".ckpt"):
        path = tmp_path / f"weights{suffix}"
        path.write_bytes(b"")
        with pytest.raises(CheckpointError, match="safetensors"):
            find_vision(options(path))
    path = tmp_path / "evil.pth"
    torch.save({"a": Path("x")}, path)
    with pytest.raises(CheckpointError, match="tensors only"):
        build_tower(find_vision(options(path)))
    with pytest.raises(MissingPath, match="no such file"):
        find_vision(options(tmp_path / "nowhere.safetensors"))


def test_shapes_are_compared(checkpoint: Path) -> None:
    state = load_file(checkpoint)
    state["conv1.0.weight"] = torch.zeros(7, 3, 3, 3)
    save_file(state, checkpoint)
    with pytest.raises(CheckpointError, match=r"conv1.0.weight has shape \[7, 3, 3, 3\]"):
        build_tower(find_vision(options(checkpoint)))


def test_default_backbone_needs_its_prerequisite(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable, match=r"checkpoint\.safetensors"):
        build_tower(find_vision(ModelOptions()), prerequisite=tmp_path)


@pytest.mark.skipif(not MOBILENET.is_file(), reason="the shared MobileNet v2 checkpoint is not here")
def test_pad_type_is_honoured() -> None:
    arguments = {"pad_type": "same", "mean": 0.5, "std": 0.5, "size": 224, "crop": 0.875}
    tower = build_tower(find_vision(options(MOBILENET, "mobilenetv2_100", **arguments))).eval()
    plain = timm.create_model("mobilenetv2_100", num_classes=0, pad_type="same").eval()
    plain.load_state_dict(load_file(MOBILENET), strict=False)
    images = pixels(224, 1)
    with torch.no_grad():
        pooled = tower(images).mean(dim=1)
        torch.testing.assert_close(pooled, plain(images.float() / 127.5 - 1), atol=1e-4, rtol=1e-4)
        other = build_tower(find_vision(options(MOBILENET, "mobilenetv2_100", mean=0.5, std=0.5))).eval()
        assert not torch.allclose(pooled, other(images).mean(dim=1), atol=1e-2)
    assert tower.width == 1280 and tower.tokens == 49 and tower.key != other.key


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "checkpoint_path",
            "extra.pth",
            "'checkpoint_path' is not taken: it reads weights that would stand in no digest",
        ),
        ("pretrained", True, "'pretrained' is not taken"),
        ("pretrained_cfg", {"file": "x.pth"}, "'pretrained_cfg' is not taken"),
        ("pretrained_cfg_overlay", {"file": "x.pth"}, "'pretrained_cfg_overlay' is not taken"),
        ("cache_dir", "/tmp", "'cache_dir' is not taken"),
        ("drop_rat", 0.1, "unknown keyword 'drop_rat'. Did you mean 'drop_rate'?"),
        ("interpolaton", "bicubic", "Did you mean 'interpolation'?"),
        ("scriptable", True, "unknown keyword 'scriptable'"),
        ("drop_rate", {"a": 1}, "wanted a number, a word, or a list of them"),
    ],
)
def test_only_keywords_that_shape_the_network_come_in(name: str, value: Any, message: str, checkpoint: Path) -> None:
    """From the command line, from a side file, and for a classifier of timm by name."""
    with pytest.raises(UsageError, match=re.escape(message)):
        find_vision(options(checkpoint, **{name: value}))
    with pytest.raises(UsageError, match=re.escape(message)):
        parse_timm_name("timm:test_resnet").recipe(
            ModelOptions(vision_weights=str(checkpoint), vision_args={name: value})
        )
    checkpoint.with_name("tiny.safetensors.json").write_text(json.dumps({name: value}))
    with pytest.raises(UsageError, match=re.escape(message)):
        find_vision(options(checkpoint))


def test_a_checkpoint_with_code_in_it_runs_none(tmp_path: Path) -> None:
    """A pickle that would make a file: as weights, and as a keyword beside clean ones."""

    class Code:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "ran",)

    torch.save({"x": Code()}, tmp_path / "evil.pth")
    with pytest.raises(CheckpointError, match="cannot be read as tensors only"):
        build_tower(find_vision(options(tmp_path / "evil.pth")))
    with pytest.raises(UsageError, match="is not taken"):
        find_vision(options(tmp_path / "evil.pth", checkpoint_path=str(tmp_path / "evil.pth")))
    assert not (tmp_path / "ran").exists()


def test_arguments_in_a_folders_configuration_are_held_to_the_same_list(tmp_path: Path) -> None:
    network = timm.create_model("test_resnet", num_classes=3)
    timm.models.save_for_hf(network, tmp_path, {"num_classes": 3}, safe_serialization=True)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(
        json.dumps({**config, "model_args": {"pretrained_cfg_overlay": {"file": "x"}}})
    )
    with pytest.raises(CheckpointError, match="model_args: 'pretrained_cfg_overlay' is not taken"):
        parse_timm_name(f"timm:{tmp_path}").recipe(ModelOptions())
    (tmp_path / "config.json").write_text(json.dumps({**config, "model_args": {"global_pool": "avg"}}))
    assert parse_timm_name(f"timm:{tmp_path}").recipe(ModelOptions())["checkpoint"] == "local folder"


def test_every_keyword_of_the_list_is_one_of_timm(checkpoint: Path) -> None:
    known = {
        name
        for module in list(sys.modules.values())
        if getattr(module, "__name__", "").startswith("timm.models.")
        for each in vars(module).values()
        if inspect.isclass(each) and issubclass(each, torch.nn.Module)
        for name in inspect.signature(each.__init__).parameters
    }
    assert known >= SHAPING
    assert not {name for name in SHAPING if name.startswith(("pretrained", "checkpoint", "cache"))}
