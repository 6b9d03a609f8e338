"""Parts of a learner compiled by `torch.compile` (Ansel et al. 2024, doi 10.1145/3620665.3640366)."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.compress.export import hushed
from harness.compress.linear_layers import require_module
from harness.compress.regions import regions_of, tensors_of
from harness.errors import NotCompressible, UsageError
from harness.protocols import CompressionWork
from harness.text.error_text import named_error


@dataclass(frozen=True)
class Compilation:
    """Every part that takes and gives tensors alone, compiled for any batch size; other sizes once they change.

    What was compiled before is kept beside the training; the time without that is told as `cold_seconds`.
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
        from torch._dynamo.utils import counters

        require_module(work.learner, "+compile")
        found = regions_of(work, "+compile")
        cache = work.folder / "compiled"
        is_cold = not cache.is_dir()
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(cache)
        counters.clear()
        begun = time.perf_counter()
        for region in found.regions:
            _compile_for_any_batch(region.module)
        try:
            with hushed():
                for count in (1, 3):
                    work.answer(work.learner, count)
        except Exception as error:  # whatever a compiler raises, it is this model that it cannot do
            parts = ", ".join(region.name for region in found.regions)
            told = named_error(error).strip().splitlines()[0]
            raise NotCompressible(f"+compile: {parts} cannot be compiled: {told}") from error
        seconds = time.perf_counter() - begun
        told_seconds = {"cold_seconds": seconds} if is_cold else {"warm_seconds": seconds}
        return {
            "parts": [region.name for region in found.regions],
            "left_in_torch": dict(found.left),
            "graphs": int(counters["stats"]["unique_graphs"]),
            "graph_breaks": sum(counters["graph_break"].values()),
            **told_seconds,
        }


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
