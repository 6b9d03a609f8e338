"""Floating point operations of one call, counted as it runs.

A multiplication and an addition are two operations. Counted are matrix products, convolutions,
attention and recurrent layers; element-wise operations, normalisation and look-ups are not, as is
usual. Masked-out attention counts in full. `torch.utils.flop_counter` misses three things that are
mended here: the fused inference path of `nn.MultiheadAttention` and `nn.TransformerEncoderLayer`
(it would read 0), fused LSTM layers (0 as well), and matrix-vector products.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

Shape = Sequence[int]


@dataclass(frozen=True)
class FlopCount:
    """Operations of one call, in all and by operator (`aten.addmm`, ...)."""

    total: int
    by_operator: Mapping[str, int]


def count_flops(call: Callable[[], Any]) -> FlopCount:
    """Run a call once and count its floating point operations, on whatever device it runs.

    Gradients are left as the caller has set them: a backward pass inside `call` is counted too.
    """
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False, custom_mapping=_missing_formulas())
    with _decomposed_attention(), counter:
        call()
    by_operator = {str(operator): int(count) for operator, count in counter.get_flop_counts().get("Global", {}).items()}
    return FlopCount(total=sum(by_operator.values()), by_operator=by_operator)


@contextmanager
def _decomposed_attention() -> Iterator[None]:
    """Turn off the fused attention of inference, which hides its matrix products from the counter."""
    from torch.backends import mha

    enabled = mha.get_fastpath_enabled()
    mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        mha.set_fastpath_enabled(enabled)


def _missing_formulas() -> dict[Any, Callable[..., int]]:
    """Formulas for operators that torch has none for; they see shapes in place of tensors."""
    from torch import ops

    return {
        ops.aten.mv: _matrix_vector,
        ops.aten.addmv: _added_matrix_vector,
        ops.aten.dot: _dot,
        ops.aten.mkldnn_rnn_layer: _mkldnn_layer,
        ops.aten._cudnn_rnn: _cudnn_layers,
    }


def _matrix_vector(matrix: Shape, vector: Shape, **_: Any) -> int:
    return 2 * prod(matrix)


def _added_matrix_vector(bias: Shape, matrix: Shape, vector: Shape, **_: Any) -> int:
    return 2 * prod(matrix)


def _dot(left: Shape, right: Shape, **_: Any) -> int:
    return 2 * prod(left)


def _mkldnn_layer(inputs: Shape, input_weight: Shape, hidden_weight: Shape, *_: Any, **__: Any) -> int:
    """Every step multiplies the input and the hidden state `[*, width]` by their weight matrices."""
    return 2 * prod(inputs[:-1]) * (prod(input_weight) + prod(hidden_weight))


def _cudnn_layers(inputs: Shape, weights: Sequence[Shape], *_: Any, **__: Any) -> int:
    """Every step of every layer and direction multiplies by its matrices; biases have one dimension."""
    return 2 * prod(inputs[:-1]) * sum(prod(weight) for weight in weights if len(weight) == 2)
