"""Whole hidden channels taken out, by torch-pruning (Fang et al. 2023, arXiv 2301.12900): layers get smaller for real.

What a part takes and gives keeps its width, and so does all that attention, concatenation or a reshape reads: there
which channel is which depends on code that no graph shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.compress.linear_layers import require_module
from harness.compress.prune import recover_or_load, share_and_steps
from harness.compress.regions import LearnerPart, regions_of, tensors_of
from harness.errors import NotCompressible
from harness.protocols import CompressionWork
from harness.text.error_text import named_error

_MIXING = ("Bmm", "Attention")
"""Operations that torch-pruning takes for ones that act on each channel by itself, and that do not."""


@dataclass(frozen=True)
class StructuredPruning:
    """Of each hidden width a share of its channels, the smallest by the norm of all their weights; then recovery."""

    name: str = "prune-structured"
    summary: str = "hidden channels taken out: prune-structured:SHARE; …:recover=STEPS trains on"
    packages: tuple[str, ...] = ("torch-pruning",)
    extra: str = "prune"
    exact: bool = False
    same_operations: bool = False

    def check(self, argument: str) -> None:
        """Take a share between 0 and 1 and a number of steps; raises UsageError for others."""
        share_and_steps(argument, self.name)

    def compress(self, work: CompressionWork) -> Mapping[str, Any]:
        """Narrow what can be, and train on where that is asked for; raises NotCompressible where nothing can be."""
        what = f"+{self.name}"
        share, steps = share_and_steps(work.argument, self.name)
        module = require_module(work.learner, what)
        found = regions_of(work, what)
        before = _count(module)
        left = dict(found.left)
        narrowed = {}
        for region in found.regions:
            try:
                widths = _narrow(region, share)
            except Exception as error:  # whatever a tracer raises, it is this part that it cannot do
                raise NotCompressible(f"{what}: {region.name} cannot be narrowed: {named_error(error)}") from error
            if widths:
                narrowed[region.name] = widths
            else:
                left[region.name] = "has no hidden width of its own"
        if not narrowed:
            name, why = next(iter(left.items()))
            raise NotCompressible(f"{what}: no part of this model can be narrowed: {name} {why}. Take +prune.")
        if steps:
            recover_or_load(work, steps, lambda: None)
        return {
            "widths": narrowed,
            "left_as_it_was": left,
            "share_of_weights_left": _count(module) / before,
            "recovery_steps": steps,
        }


def _narrow(region: LearnerPart, share: float) -> dict[str, list[int]]:
    """Take channels out of a part in place; returns the width of each layer that lost some, before and after."""
    import torch
    import torch_pruning
    from torch.utils import _pytree as pytree

    module = region.module
    given = pytree.tree_map_only(torch.Tensor, lambda tensor: tensor.clone(), (region.args, dict(region.kwargs)))
    names = {layer: name for name, layer in module.named_modules()}
    trained = {name: parameter.requires_grad for name, parameter in module.named_parameters()}
    module.requires_grad_(True)  # the graph is read from what autograd notes
    widths: dict[str, list[int]] = {}
    try:
        with torch.enable_grad():
            graph = torch_pruning.DependencyGraph().build_dependency(
                module,
                None,
                forward_fn=lambda own, _: own(*given[0], **given[1]),
                output_transform=lambda output: [each for each in tensors_of(output) if each.requires_grad],
                verbose=False,
            )
        importance = torch_pruning.importance.GroupMagnitudeImportance(p=2)
        mixed = [layer for layer in graph.module2node if _is_layer(layer) and not _may_be_hidden(graph, layer)]
        for group in graph.get_all_groups(ignored_layers=mixed, root_module_types=[torch.nn.Linear, torch.nn.Conv2d]):
            root, act = group[0].dep.target.module, group[0].dep.handler
            width = graph.get_out_channels(root)
            if not _is_hidden(graph, group) or (fewer := int(width * share)) < 1:
                continue
            smallest = importance(group).argsort()[: min(fewer, width - 1)].tolist()
            graph.get_pruning_group(root, act, smallest).prune()
            widths[names.get(root, "")] = [width, graph.get_out_channels(root)]
    finally:
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(trained[name])
    _require_same_shapes(region, given)
    return widths


def _is_layer(module: Any) -> bool:
    from torch import nn

    return isinstance(module, nn.Linear | nn.Conv2d)


def _may_be_hidden(graph: Any, layer: Any) -> bool:
    """Whether all that a layer's channels can reach is what a group may hold, whichever channels these are.

    A group lists each of its channels: of one that spreads over all positions of an image, which is refused anyway,
    that takes minutes.
    """
    from torch_pruning.dependency import Dependency

    node, prune = graph.module2node[layer], graph.get_pruner_of_module(layer).prune_out_channels
    waiting = [Dependency(prune, prune, source=node, target=node)]
    seen = set()
    while waiting:
        dependency = waiting.pop()
        place = id(dependency.target), dependency.handler
        if place in seen:
            continue
        seen.add(place)
        if not _is_plain(graph, dependency):
            return False
        waiting += [each for each in dependency.target.dependencies if each.is_triggered_by(dependency.handler)]
    return True


def _is_hidden(graph: Any, group: Any) -> bool:
    """Whether a group of layers that share their channels ends within its part, and nothing mixes these channels."""
    return all(_is_plain(graph, dependency) for dependency, _ in group)


def _is_plain(graph: Any, dependency: Any) -> bool:
    from torch import nn
    from torch_pruning import ops

    module = dependency.target.module
    reads = _is_layer(module) and graph.is_in_channel_pruning_fn(dependency.handler)
    if not reads and not dependency.target.outputs:
        return False  # it is what the part gives
    if isinstance(module, ops._ElementWiseOp):
        return not any(word in repr(module) for word in _MIXING)
    plain = nn.Linear | nn.Conv2d | nn.BatchNorm1d | nn.BatchNorm2d | nn.LayerNorm
    return isinstance(module, plain) and getattr(module, "groups", 1) <= 1


def _require_same_shapes(region: LearnerPart, given: Any) -> None:
    import torch

    with torch.no_grad():
        after = [tensor.shape for tensor in tensors_of(region.module(*given[0], **given[1]))]
    if after != [tensor.shape for tensor in tensors_of(region.output)]:
        raise ValueError("it would give tensors of other sizes")


def _count(module: Any) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


PRUNE_STRUCTURED = StructuredPruning()
