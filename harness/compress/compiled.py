"""Parts of a learner compiled by `torch.compile` (Ansel et al. 2024, doi 10.1145/3620665.3640366)."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.compress.export import hushed
from harness.compress.linear_layers import require_module
from harness.compress.regions import LearnerPart, regions_of, tensors_of
from harness.errors import NotCompressible, UsageError
from harness.files import replace_atomically
from harness.protocols import CompressionWork
from harness.text.error_text import named_error

_COLD = "compiled.json"
_COUNTS = (1, 3)
"""Samples that are answered to compile: one alone, for which a graph of its own is made, and any number of them."""


@dataclass(frozen=True)
class Compilation:
    """Every part that takes and gives tensors alone, compiled for any batch size; other sizes once they change.

    What is compiled for one model serves all others that have the same part, such as a frozen tower: `cold_seconds`
    is what all of it took, whoever compiled it first, `reused_seconds` the share of it that was there already.
    """

    name: str = "compile"
    summary: str = "compiled by torch.compile"
    packages: tuple[str, ...] = ()
    extra: str = ""
    exact: bool = True
    same_operations: bool = True

    def check(self, argument: str) -> None:
        """Refuse any argument; raises UsageError."""
        if argument:
            raise UsageError(f"+compile:{argument}: wanted +compile alone.")

    def compress(self, work: CompressionWork) -> Mapping[str, Any]:
        """Compile every region and answer once or twice by it; raises NotCompressible naming what cannot be."""
        require_module(work.learner, "+compile")
        found = regions_of(work, "+compile")
        counted = _Counted()
        _settle_compiler(work.shared or work.folder / "compiled")
        _leave_readers_out(found.regions, work)
        begun = time.perf_counter()
        for region in found.regions:
            _compile_for_any_batch(region.module)
        try:
            with hushed():
                for count in _COUNTS:
                    work.answer(work.learner, count)
        except Exception as error:  # whatever a compiler raises, it is this model that it cannot do
            parts = ", ".join(region.name for region in found.regions)
            told = named_error(error).strip().splitlines()[0]
            raise NotCompressible(f"+compile: {parts} cannot be compiled: {told}") from error
        seconds = time.perf_counter() - begun
        return {
            "parts": [region.name for region in found.regions],
            "left_in_torch": dict(found.left),
            **counted.told(),
            **_timed(seconds, counted.reused_seconds(), work.folder / _COLD),
        }


class _Counted:
    """What the compiler has done since this was made."""

    def __init__(self) -> None:
        from torch._dynamo.utils import clear_compilation_metrics, counters

        counters.clear()
        clear_compilation_metrics()

    def told(self) -> dict[str, int]:
        """Count graphs, those that were compiled before, and where parts were cut into several."""
        from torch._dynamo.utils import counters

        return {
            "graphs": int(counters["stats"]["unique_graphs"]),
            "graphs_reused": int(counters["inductor"]["fxgraph_cache_hit"]),
            "graph_breaks": sum(counters["graph_break"].values()),
        }

    def reused_seconds(self) -> float:
        """What graphs that were found compiled took when they were."""
        from torch._dynamo.utils import get_compilation_metrics

        return sum(each.distributed_ephemeral_timeout_us or 0 for each in get_compilation_metrics()) / 1e6


def _timed(seconds: float, reused: float, kept: Path) -> dict[str, float]:
    """Tell the time of the first compilation of a model, or of loading it again, beside what the first took."""
    if kept.is_file():
        return {**json.loads(kept.read_text(encoding="utf-8")), "warm_seconds": seconds}
    cold = {"cold_seconds": seconds + reused, "reused_seconds": reused}
    with replace_atomically(kept) as temporary:
        temporary.write_text(json.dumps(cold), encoding="utf-8")
    return cold


def _settle_compiler(cache: Path) -> None:
    """Keep what is compiled in `cache`, and compile on as many threads as the model answers with."""
    import torch
    from torch._inductor import config as inductor

    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(cache)
    inductor.compile_threads = torch.get_num_threads()


def _leave_readers_out(regions: Sequence[LearnerPart], work: CompressionWork) -> None:
    """Keep what is called without a tensor inside a part, such as a reader of class names, out of the compilation.

    It is asked once for all samples. Compiled, its tokeniser would be traced, anew for every other wording.
    """
    import torch

    readers: dict[int, Any] = {}
    hooks = []

    def enter(module: Any, args: Any, kwargs: Any) -> None:
        if not tensors_of((args, kwargs)):
            readers[id(module)] = module

    for region in regions:
        inner = [each for each in region.module.modules() if each is not region.module]
        hooks += [each.register_forward_pre_hook(enter, with_kwargs=True) for each in inner]
    try:
        work.answer(work.learner, 1)
    finally:
        for hook in hooks:
            hook.remove()
    for module in readers.values():
        module.forward = torch.compiler.disable(module.forward)


def _compile_for_any_batch(module: Any) -> None:
    """Compile a module's forward with a free first dimension of each tensor.

    All other sizes are compiled as they are, and anew for any once one is met that differs. Left free from the start,
    those of images alone take twice the time to compile, and what comes out is slower.
    """
    import torch

    mark: Any = torch._dynamo.maybe_mark_dynamic
    compiled: Any = torch.compile(module.forward, dynamic=None)

    def forward(*args: Any, **kwargs: Any) -> Any:
        for tensor in tensors_of((args, kwargs)):
            if tensor.dim():
                mark(tensor, 0)
        return compiled(*args, **kwargs)

    module.forward = forward


COMPILE = Compilation()
