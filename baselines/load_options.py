"""How pretrained weights are loaded: `--set model.dtype=`, `model.device_map=`, `model.quantise=`, `model.attention=`.

All models that load a checkpoint take them from here: what they mean to transformers, and who cannot do what. They are
settled when a run is planned, so that a fingerprint holds what is done and not what was wished. Imports no torch.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, get_args

from harness.cell import ModelOptions, TrainOptions
from harness.errors import UsageError, nearest
from harness.measure.device import autocast, resolve_precision
from harness.option_fields import Precision
from harness.protocols import BuildContext

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import torch

NONE, AUTO, FP32 = "none", "auto", "fp32"
_CHOICES = {
    "dtype": get_args(Precision),
    "device_map": (NONE, "auto", "balanced", "balanced_low_0", "sequential"),
    "quantise": (NONE, "8bit", "4bit"),
    "attention": (AUTO, "eager", "sdpa", "flash_attention_2"),
}


@dataclass(frozen=True)
class LoadOptions:
    """How a checkpoint is loaded; the defaults are how all were before there was a choice."""

    dtype: Precision = "fp32"
    """Number format of frozen weights, and of what computes with them; weights that are trained stay in fp32."""
    device_map: str = NONE
    """none, auto, balanced, balanced_low_0, sequential: how accelerate spreads a network that no device holds alone."""
    quantise: str = NONE
    """none, 8bit or 4bit: how bitsandbytes keeps the weights of linear layers on a GPU."""
    attention: str = AUTO
    """auto, eager, sdpa or flash_attention_2: how a network of transformers computes attention."""

    def to_json(self) -> dict[str, str]:
        """What is not as it always was, for a recipe."""
        return {
            item.name: getattr(self, item.name) for item in fields(self) if getattr(self, item.name) != item.default
        }

    @property
    def dtype_name(self) -> str:
        """The name that torch has for the number format."""
        return {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}[self.dtype]

    @property
    def torch_dtype(self) -> torch.dtype:
        """The number format as torch's."""
        import torch

        found: torch.dtype = getattr(torch, self.dtype_name)
        return found

    def arguments(self, device: str) -> dict[str, Any]:
        """What `from_pretrained` is called with, for a network that `device` computes."""
        arguments: dict[str, Any] = {"dtype": self.torch_dtype}
        if self.attention != AUTO:
            arguments["attn_implementation"] = self.attention
        if self.quantise != NONE:
            arguments["quantization_config"] = self._quantisation()
            arguments["device_map"] = {"": device}  # bitsandbytes quantises on the device
        if self.device_map != NONE:
            arguments["device_map"] = self.device_map
        return arguments

    def _quantisation(self) -> Any:
        """LLM.int8 (Dettmers et al. 2022, arXiv 2208.07339), or NF4 (Dettmers et al. 2023, arXiv 2305.14314)."""
        from transformers import BitsAndBytesConfig

        if self.quantise == "8bit":
            return BitsAndBytesConfig(load_in_8bit=True)
        return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=self.torch_dtype)


LOAD_SETTINGS = tuple(item.name for item in fields(LoadOptions))
"""Names of `--set model.NAME=VALUE` that models of transformers take."""
FOR_WEIGHTS = ("dtype", "device_map", "quantise")
"""Those that models of other libraries are handed too, to refuse what would otherwise not be done unseen."""


FOR_PARTS = ("dtype", "quantise", "attention")
"""Those that compositions can do: the dtype for backbone and language model, the others for the language model."""


class SettlesLoading:
    """A model that loads a checkpoint; it says what of the options its library can do, the dtype at least."""

    name: str

    @property
    def loads_with(self) -> Sequence[str]:
        """Names of the options that it can do."""
        return ("dtype",)

    def settled(self, options: ModelOptions, device: str, precision: Callable[[Precision], Precision]) -> ModelOptions:
        """Settle how weights are loaded for a device, and leave out what is as it always was; raises UsageError."""
        load = _settled(read_load_options(options.settings), device, precision)
        for name in load.to_json().keys() - set(self.loads_with):
            raise UsageError(
                f"Model '{self.name}' cannot be loaded with model.{name}={getattr(load, name)}: "
                f"of these it takes {', '.join(self.loads_with)} only. Leave it out, or run this model by itself."
            )
        others = {key: value for key, value in options.settings.items() if key not in LOAD_SETTINGS}
        return replace(options, settings={**others, **load.to_json()})

    def spreads_over_gpus(self, options: ModelOptions) -> bool:
        """Whether accelerate puts the network on all devices that a job sees."""
        return read_load_options(options.settings).device_map != NONE


def read_load_options(given: Mapping[str, Any]) -> LoadOptions:
    """Pick out and check what concerns loading; raises UsageError for values that nothing knows."""
    found = {name: given[name] for name in LOAD_SETTINGS if name in given}
    for name, value in found.items():
        if value not in _CHOICES[name]:
            raise UsageError(f"model.{name}={value}: {nearest(str(value), _CHOICES[name])}")
    return LoadOptions(**found)


def load_options_of(context: BuildContext) -> LoadOptions:
    """The loading options of a model that is being built, settled."""
    device = context.device
    return _settled(read_load_options(context.options.settings), device, lambda wish: resolve_precision(wish, device))


def require_loss_scale(load: LoadOptions, train: TrainOptions) -> None:
    """Refuse gradients through fp16 weights of losses that are not scaled; raises UsageError."""
    if load.dtype == "fp16" and train.steps and train.precision not in ("fp16", AUTO):
        raise UsageError(
            f"model.dtype=fp16 with train.precision={train.precision}: gradients that pass fp16 weights vanish where "
            "the loss is not scaled. Take train.precision=fp16 too, or model.dtype=bf16."
        )


def computing_in(module: torch.nn.Module, dtype: str) -> AbstractContextManager[Any]:
    """A block in which a module whose frozen weights are kept in `dtype` computes in it."""
    return autocast(next(module.parameters()).device.type, dtype)


def keep_frozen_in(module: torch.nn.Module, dtype: torch.dtype) -> None:
    """Keep frozen matrices in `dtype`, in place: norms, biases and all that is trained stay as they are."""
    for parameter in module.parameters():
        if not parameter.requires_grad and parameter.ndim > 1 and parameter.is_floating_point():
            parameter.data = parameter.data.to(dtype)


def _settled(load: LoadOptions, device: str, precision: Callable[[Precision], Precision]) -> LoadOptions:
    """Resolve `auto` by the kind of device; raises UsageError for what the device, or what is installed, cannot do."""
    load = replace(load, dtype=precision(load.dtype))
    on_gpu = device.partition(":")[0] == "cuda"
    if load.quantise != NONE:
        wish = f"model.quantise={load.quantise}"
        _require(on_gpu, wish, f"bitsandbytes needs a GPU, not {device}", "Leave it out, or take --device cuda")
        _require_package("bitsandbytes", wish, "uv sync --extra quantise, or pip install bitsandbytes")
    if load.attention == "flash_attention_2":
        wish = "model.attention=flash_attention_2"
        _require(on_gpu, wish, f"it needs a GPU, not {device}", "Take sdpa, or --device cuda")
        _require(load.dtype != FP32, wish, "it computes in bf16 and fp16 only", "Add --set model.dtype=auto")
        _require_package("flash_attn", wish, "pip install flash-attn, or take model.attention=sdpa")
    if load.device_map != NONE:
        _require_package("accelerate", f"model.device_map={load.device_map}", "pip install accelerate")
    return load


def _require_package(package: str, wish: str, remedy: str) -> None:
    found = importlib.util.find_spec(package) is not None
    _require(found, wish, f"the package {package} is not installed", f"Install it: {remedy}")


def _require(fits: bool, wish: str, reason: str, remedy: str) -> None:
    if not fits:
        raise UsageError(f"{wish}: {reason}. {remedy}.")
