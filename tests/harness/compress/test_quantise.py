"""Quantisation of a tiny network: near its parent, fewer bytes, and refused by name where there is nothing to do."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from harness.errors import NotCompressible
from harness.jobs.variants import bytes_of_tensors
from harness.plan.modifiers import load_modifier
from harness.protocols import CompressionWork

pytest.importorskip("torchao")


def compressed(word: str, module: nn.Module, folder: Path) -> tuple[Any, dict[str, Any]]:
    modifier, changed = load_modifier(word), copy.deepcopy(module)
    learner: Any = changed
    work = CompressionWork(learner, modifier.argument, lambda *_: None, folder, lambda *_: None)
    told = modifier.plugin.compress(work)
    return changed, dict(told)


@pytest.mark.parametrize(
    ("word", "error", "share"), [("int8", 0.05, 0.30), ("int8:weight", 0.02, 0.30), ("int4", 0.3, 0.35)]
)
def test_quantised_weights_are_near_and_small(word: str, error: float, share: float, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10)).eval()
    inputs = torch.randn(16, 64)
    small, told = compressed(word, network, tmp_path)
    with torch.inference_mode():
        assert (small(inputs) - network(inputs)).abs().max() < error
        assert not torch.equal(small(inputs), network(inputs))
    before: Any = network
    assert bytes_of_tensors(small) < share * bytes_of_tensors(before)
    assert (told["layers"], told["layers_left"]) == (2, 0)
    assert 0.98 < told["share_of_weights"] < 1  # all but the biases


def test_what_has_no_linear_layer_or_no_weights_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(NotCompressible, match="Sequential has no linear layer"):
        compressed("int8", nn.Sequential(nn.Conv2d(3, 4, 3)), tmp_path)
    with pytest.raises(NotCompressible, match="ReLU has no weights"):
        compressed("int8", nn.ReLU(), tmp_path)
    with pytest.raises(NotCompressible, match="multiple of 32"):
        compressed("int4", nn.Linear(31, 8), tmp_path)
