"""The parts of a learner that take tensors and give tensors: what can be exported or compiled as a whole.

A learner's own call takes a batch with texts, which no graph can hold. Its parts are found by watching it answer: the
outermost modules with weights that are called with tensors (and numbers) alone and return tensors alone, in every call
in the same form.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.errors import NotCompressible
from harness.protocols import CompressionWork

_COUNTS = (3, 2)
"""Samples that are answered to watch; the first call of each part is what it is exported with."""
_MOST_REGIONS = 6
"""A decoder that holds a cache falls into dozens of small parts: each costs seconds to convert, and gains nothing."""


@dataclass
class LearnerPart:
    """A part of a learner: its module, the inputs of its first call, and the form of what it returns."""

    name: str
    module: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    output: Any
    calls: int = 1
    form: Any = None


@dataclass
class FoundRegions:
    """What there is to convert, and why of the other modules with weights none is: by name."""

    regions: list[LearnerPart]
    left: Mapping[str, str] = field(default_factory=dict)


def regions_of(work: CompressionWork, what: str) -> FoundRegions:
    """Watch a learner answer and find its regions; raises NotCompressible naming what it has instead of one."""
    os.environ["TORCH_WARM_POOL"] = "0"  # torch starts processes, which import it again, to compile for GPUs alone
    refused: dict[str, str] = {}
    while True:
        found, new = _watched(work, refused)
        if not new:
            break
        refused |= new
    left = {name: why for name, why in refused.items() if not _covered(name, work.learner, found)}
    if not found:
        name, why = next(iter(left.items()), (type(work.learner).__name__, "is never called as a module"))
        raise NotCompressible(f"{what}: no part of this model takes and gives tensors alone: {name} {why}.")
    largest = sorted(found, key=lambda name: _weights(found[name]), reverse=True)[:_MOST_REGIONS]
    left |= {name: "is one of many small parts" for name in found if name not in largest}
    return FoundRegions([region for name, region in found.items() if name in largest], left)


def take_widest_inputs(found: FoundRegions, work: CompressionWork) -> None:
    """Take as each part's example inputs of the same form without sizes of 1, where its losses call it so.

    An exporter holds a size of 1 for one that is always 1: of a decoder that reads word by word, the length of a text.
    """
    if work.lose is None:
        return
    hooks = []
    for region in found.regions:

        def leave(own: Any, args: Any, kwargs: Any, output: Any, region: LearnerPart = region) -> None:
            is_known = _foreign((args, kwargs)) is None and (_form((args, kwargs)), _form(output)) == region.form
            if is_known and _ones((args, kwargs)) < _ones((region.args, region.kwargs)):
                region.args, region.kwargs, region.output = args, kwargs, output

        hooks.append(region.module.register_forward_hook(leave, with_kwargs=True))
    try:
        work.lose(work.learner, _COUNTS[0])
    finally:
        for hook in hooks:
            hook.remove()


def _ones(value: Any) -> int:
    return sum(size == 1 for tensor in tensors_of(value) for size in tensor.shape)


def _weights(region: LearnerPart) -> int:
    return sum(parameter.numel() for parameter in region.module.parameters())


def _watched(work: CompressionWork, refused: Mapping[str, str]) -> tuple[dict[str, LearnerPart], dict[str, str]]:
    """Answer some samples; give the regions met, and modules that turn out to be none."""
    learner: Any = work.learner
    found: dict[str, LearnerPart] = {}
    new: dict[str, str] = {}
    inside: list[str] = []
    hooks = []
    for name, module in learner.named_modules():
        if not name or name in refused or next(module.parameters(), None) is None:
            continue

        def enter(own: Any, args: Any, kwargs: Any, name: str = name) -> None:
            if inside:
                inside.append(name)
                return
            if (why := _foreign((args, kwargs))) is not None:
                new.setdefault(name, f"is called with {why}")
            elif not tensors_of((args, kwargs)):
                new.setdefault(name, "is called without a tensor")
            inside.append(name)

        def leave(own: Any, args: Any, kwargs: Any, output: Any, name: str = name) -> None:
            inside.pop()
            if inside or name in new:
                return
            if (why := _foreign(output)) is not None:
                new.setdefault(name, f"returns {why}")
                return
            form = (_form((args, kwargs)), _form(output))
            known = found.get(name)
            if known is None:
                found[name] = LearnerPart(name, own, args, kwargs, output, form=form)
            elif known.form != form:
                new.setdefault(name, "is called in several forms")
            else:
                known.calls += 1

        hooks += [
            module.register_forward_pre_hook(enter, with_kwargs=True),
            module.register_forward_hook(leave, with_kwargs=True, always_call=False),
        ]
    try:
        for count in _COUNTS:
            work.answer(work.learner, count)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: region for name, region in found.items() if name not in new}, new


def _covered(name: str, learner: Any, found: Mapping[str, LearnerPart]) -> bool:
    """Whether all weights of a module that is no region lie in regions within it."""
    module = learner.get_submodule(name)
    own = {id(parameter) for parameter in module.parameters()}
    for region in found.values():
        own -= {id(parameter) for parameter in region.module.parameters()}
    return not own


def _foreign(value: Any) -> str | None:
    """Name what is in a value beside tensors, numbers and containers of these; None where nothing is."""
    import torch

    if isinstance(value, torch.Tensor | bool | int | float | str | torch.dtype | torch.device | None):
        return None
    if isinstance(value, Mapping):
        return next((why for each in value.values() if (why := _foreign(each)) is not None), None)
    if isinstance(value, list | tuple):
        return next((why for each in value if (why := _foreign(each)) is not None), None)
    return f"{type(value).__module__.partition('.')[0]}'s {type(value).__name__}"


def _form(value: Any) -> Any:
    """What must be equal in all calls: everything but the sizes and numbers of tensors."""
    import torch

    if isinstance(value, torch.Tensor):
        return "tensor", value.dtype, value.dim()
    if isinstance(value, Mapping):
        return type(value).__name__, tuple((key, _form(each)) for key, each in value.items())
    if isinstance(value, list | tuple):
        return type(value).__name__, tuple(_form(each) for each in value)
    return value


def replace_forward(region: LearnerPart, run: Callable[[list[Any]], list[Any]]) -> None:
    """Have a region's module call `run` with the tensors of its inputs; its outputs keep their containers."""
    import torch
    from torch.utils import _pytree as pytree

    flat, form = pytree.tree_flatten(region.output)
    places = [place for place, leaf in enumerate(flat) if isinstance(leaf, torch.Tensor)]

    def forward(*args: Any, **kwargs: Any) -> Any:
        given = tensors_of((args, kwargs))
        outputs = run(given)
        leaves = list(flat)
        for place, output in zip(places, outputs, strict=True):
            leaves[place] = output
        return pytree.tree_unflatten(leaves, form)

    region.module.forward = forward
    region.module.converted_parameters = tuple(region.module.parameters())


def release_converted(learner: Any) -> None:
    """Give back the memory of weights that another runtime holds now; they keep their shape and lose their values.

    Weights that a part left in torch shares stay.
    """
    converted: dict[int, Any] = {}
    inside: set[int] = set()
    for part in learner.modules():
        if (own := getattr(part, "converted_parameters", None)) is not None:
            converted |= {id(parameter): parameter for parameter in own}
            inside |= {id(module) for module in part.modules()}
    for module in learner.modules():
        if id(module) not in inside:
            for parameter in module.parameters(recurse=False):
                converted.pop(id(parameter), None)
    for parameter in converted.values():
        parameter.data = parameter.data.new_zeros(()).expand(parameter.shape)  # also of a scalar


def of_tensors(region: LearnerPart) -> Any:
    """A module that takes the tensors of a region's inputs alone, and returns the tensors of what it returns."""
    import torch
    from torch.utils import _pytree as pytree

    leaves, form = pytree.tree_flatten((region.args, dict(region.kwargs)))
    places = [place for place, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)]
    constants = [None if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]

    class OfTensors(torch.nn.Module):
        """The region, called by position."""

        def __init__(self) -> None:
            super().__init__()
            self.region = copy.deepcopy(region.module).eval()

        def forward(self, *tensors: Any) -> list[Any]:
            given = list(constants)
            for place, tensor in zip(places, tensors, strict=True):
                given[place] = tensor
            args, kwargs = pytree.tree_unflatten(given, form)
            return tensors_of(self.region(*args, **kwargs))

    return OfTensors().eval()


def tensors_of(value: Any) -> list[Any]:
    """The tensors of a nested value, in the order in which an exported graph takes them."""
    import torch
    from torch.utils import _pytree as pytree

    return [leaf for leaf in pytree.tree_leaves(value) if isinstance(leaf, torch.Tensor)]
