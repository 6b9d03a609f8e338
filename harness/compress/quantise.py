"""Weights of linear layers in 8 or 4 bits, by torchao (Or et al. 2025, arXiv 2507.16099)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.compress.linear_layers import linear_layers, share_of_weights
from harness.errors import NotCompressible, UsageError
from harness.protocols import CompressionWork
from harness.text.error_text import named_error

WEIGHT_ONLY = "weight"
GROUP = 32


@dataclass(frozen=True)
class Quantisation:
    """Linear layers of fewer bits: weights per output channel, or in 4 bits per group of 32 inputs.

    In 8 bits activations are quantised too, at each call and per row, unless the argument is `weight`. What is no
    linear layer stays as it is: convolutions, embeddings, attention's packed projections.
    """

    name: str
    summary: str
    bits: int
    packages: tuple[str, ...] = ("torchao",)
    extra: str = "quantise"
    exact: bool = False
    same_operations: bool = True

    def check(self, argument: str) -> None:
        """Take `weight` for weights alone, of 8 bits; raises UsageError for others."""
        if argument and (self.bits != 8 or argument != WEIGHT_ONLY):
            wanted = "int8 or int8:weight" if self.bits == 8 else "int4 alone"
            raise UsageError(f"+{self.name}:{argument}: wanted {wanted}.")

    def compress(self, work: CompressionWork) -> Mapping[str, Any]:
        """Quantise every linear layer that can be; raises NotCompressible naming what cannot."""
        names = linear_layers(work.learner, f"+{self.name}")
        module: Any = work.learner
        wanted = [name for name in names if self.bits == 8 or module.get_submodule(name).in_features % GROUP == 0]
        if not wanted:
            raise NotCompressible(f"+{self.name}: no linear layer has a multiple of {GROUP} inputs.")
        share = share_of_weights(work.learner, wanted)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torchao's own use of torch
            from torchao.quantization import quantize_

            try:
                quantize_(module, self._config(work.argument), lambda layer, name: name in wanted)
            # What torchao raises, by version and processor, for a layer or a kernel that it does not have.
            except (RuntimeError, ImportError, NotImplementedError, AssertionError, ValueError) as error:
                why = f"torchao cannot quantise this model: {named_error(error)}"
                raise NotCompressible(f"+{self.name}: {why}") from error
        return {
            "layers": len(wanted),
            "layers_left": len(names) - len(wanted),
            "share_of_weights": share,
            "activations": "int8 at each call" if self.bits == 8 and work.argument != WEIGHT_ONLY else "as they were",
        }

    def _config(self, argument: str) -> Any:
        import torch
        from torchao import quantization as torchao
        from torchao.quantization.granularity import PerGroup

        if self.bits == 4:
            four_bits: Any = torch
            return torchao.IntxWeightOnlyConfig(weight_dtype=four_bits.int4, granularity=PerGroup(GROUP))
        if argument == WEIGHT_ONLY:
            return torchao.Int8WeightOnlyConfig()
        return torchao.Int8DynamicActivationInt8WeightConfig(set_inductor_config=False)


INT8 = Quantisation("int8", "linear layers in 8 bits, activations too (int8:weight: weights alone)", 8)
INT4 = Quantisation("int4", "weights of linear layers in 4 bits, by groups of 32", 4)
