"""FLOPs against counts worked out by hand, on every path that torch may take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from harness.measure.flops import count_flops

BATCH, STEPS, WIDTH, HIDDEN = 2, 5, 16, 24


@pytest.fixture(params=[torch.no_grad, torch.inference_mode, torch.enable_grad], autouse=True)
def gradients(request: pytest.FixtureRequest) -> Any:
    with request.param():
        yield


def sequence() -> torch.Tensor:
    return torch.randn(BATCH, STEPS, WIDTH)


def recurrent(kind: Callable[..., nn.Module]) -> nn.Module:
    return kind(WIDTH, HIDDEN, num_layers=2, bidirectional=True, batch_first=True).eval()


def test_linear_and_convolution() -> None:
    linear, convolution = nn.Linear(WIDTH, 8), nn.Conv2d(4, 8, 3, groups=2)
    tokens, image = sequence(), torch.randn(1, 4, 10, 10)
    assert count_flops(lambda: linear(tokens)).total == 2 * BATCH * STEPS * WIDTH * 8
    assert count_flops(lambda: convolution(image)).total == 2 * 8 * 8 * 8 * (4 // 2) * 9


def test_attention_counts_both_products_and_ignores_the_mask() -> None:
    q = torch.randn(BATCH, 4, STEPS, 8)
    expected = 2 * (2 * BATCH * 4 * STEPS * STEPS * 8)
    for causal in (False, True):
        assert count_flops(lambda c=causal: scaled_dot_product_attention(q, q, q, is_causal=c)).total == expected


def test_the_fused_transformer_layer_of_inference_is_not_counted_as_nothing() -> None:
    layer = nn.TransformerEncoderLayer(WIDTH, 4, 32, batch_first=True).eval()
    tokens = sequence()
    projections = 2 * BATCH * STEPS * (4 * WIDTH * WIDTH + 2 * WIDTH * 32)
    attention = 4 * BATCH * STEPS * STEPS * WIDTH
    assert count_flops(lambda: layer(tokens)).total == projections + attention
    assert torch.backends.mha.get_fastpath_enabled()


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
def test_recurrent_layers(kind: Callable[..., nn.Module], gates: int) -> None:
    network, tokens = recurrent(kind), sequence()
    weights = 2 * gates * HIDDEN * ((WIDTH + HIDDEN) + (2 * HIDDEN + HIDDEN))
    assert count_flops(lambda: network(tokens)).total == 2 * BATCH * STEPS * weights


def test_matrix_vector_products() -> None:
    matrix, vector = torch.randn(3, 4), torch.randn(4)
    assert count_flops(lambda: matrix @ vector).total == 24
    assert count_flops(lambda: torch.addmv(torch.zeros(3), matrix, vector)).total == 24
    assert count_flops(lambda: vector @ vector).total == 8


def test_operators_sum_to_the_total() -> None:
    network, tokens = nn.Sequential(nn.Linear(WIDTH, 4), nn.ReLU(), nn.Linear(4, 2)), sequence()
    count = count_flops(lambda: network(tokens))
    assert sum(count.by_operator.values()) == count.total > 0


def test_the_cudnn_formula_counts_weight_matrices_only() -> None:
    from harness.measure.flops import _cudnn_layers

    shapes = [[96, 16], [96, 24], [96], [96]]
    assert _cudnn_layers([BATCH, STEPS, WIDTH], shapes, 4) == 2 * BATCH * STEPS * 96 * (16 + 24)
