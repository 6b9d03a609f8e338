"""Parts of a learner run by another runtime: ONNX Runtime, or OpenVINO; both are given what `torch.export` makes."""

from __future__ import annotations

import io
import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from harness.compress.linear_layers import require_module
from harness.compress.regions import (
    LearnerPart,
    of_tensors,
    regions_of,
    replace_forward,
    take_widest_inputs,
    tensors_of,
)
from harness.errors import NotCompressible, UsageError
from harness.files import replace_atomically
from harness.protocols import CompressionWork
from harness.text.error_text import named_error

Run = Callable[[list[Any]], list[Any]]


@dataclass(frozen=True)
class Export:
    """Every part that takes and gives tensors alone, in another runtime on the CPU; the rest stays in torch."""

    name: str
    summary: str
    packages: tuple[str, ...]
    extra: str
    suffix: str
    exact: bool = True
    same_operations: bool = True

    def check(self, argument: str) -> None:
        """Refuse any argument; raises UsageError."""
        if argument:
            raise UsageError(f"+{self.name}:{argument}: wanted +{self.name} alone.")

    def compress(self, work: CompressionWork) -> Mapping[str, Any]:
        """Convert every region, or load what was converted before; raises NotCompressible naming what cannot be."""
        what = f"+{self.name}"
        module = require_module(work.learner, what)
        if next(module.parameters()).device.type != "cpu":
            raise NotCompressible(f"{what} runs on the CPU alone. Run with --device cpu, or take +compile.")
        found = regions_of(work, what)
        total = sum(parameter.numel() for parameter in module.parameters())
        converted = {id(p): p.numel() for region in found.regions for p in region.module.parameters()}
        paths = {region.name: work.folder / f"{region.name}{self.suffix}" for region in found.regions}
        if not all(path.is_file() for path in paths.values()):
            take_widest_inputs(found, work)
        for region in found.regions:
            path = paths[region.name]
            if not path.is_file():
                with hushed():
                    self._convert(region, path, f"{what}: {region.name} ({type(region.module).__name__})")
            replace_forward(region, _RUNTIMES[self.name](path))
        return {
            "parts": [region.name for region in found.regions],
            "left_in_torch": dict(found.left),
            "share_of_weights": sum(converted.values()) / total,
        }

    def _convert(self, region: LearnerPart, path: Path, what: str) -> None:
        """Export a region whose sizes may all change from call to call, as far as its code lets them."""
        import torch

        given = tensors_of((region.args, region.kwargs))
        shapes = tuple(dict.fromkeys(range(tensor.dim()), torch.export.Dim.AUTO) for tensor in given)
        try:
            with torch.no_grad():
                program = torch.export.export(of_tensors(region), tuple(given), dynamic_shapes={"tensors": shapes})
                with replace_atomically(path) as temporary:
                    _WRITERS[self.name](program, temporary, len(given))
        except Exception as error:  # whatever an exporter raises, it is this part that it cannot do
            raise NotCompressible(f"{what} cannot be exported: {_first_line(error)}") from error


def _write_onnx(program: Any, path: Path, count: int) -> None:
    import torch

    names = [f"input_{place}" for place in range(count)]
    made = torch.onnx.export(program, dynamo=True, input_names=names, verbose=False)
    assert made is not None
    made.save(path, external_data=False)


def _write_openvino(program: Any, path: Path, count: int) -> None:
    _save_openvino(_openvino().convert_model(program), path)


def _write_openvino_int8(program: Any, path: Path, count: int) -> None:
    """Weights in 8 bits per output channel, without data (NNCF, Kozlov et al. 2020, arXiv 2002.08679)."""
    openvino = _openvino()
    import nncf

    mode = nncf.CompressWeightsMode.INT8_SYM
    with redirect_stdout(io.StringIO()):  # it draws a progress bar there, where a table or JSON may go
        made = nncf.compress_weights(openvino.convert_model(program), mode=mode)
    _save_openvino(made, path)


def _openvino() -> Any:
    """Import OpenVINO without the package that tells its maker of each conversion, by dozens of processes beside."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # then it takes a stub of its own
    return import_module("openvino")


def _save_openvino(model: Any, path: Path) -> None:
    openvino = _openvino()
    renamed = path.with_suffix(".xml")
    openvino.save_model(model, renamed, compress_to_fp16=False)
    weights = renamed.with_suffix(".bin").read_bytes()
    path.write_bytes(len(weights).to_bytes(8, "little") + weights + renamed.read_bytes())
    renamed.unlink()
    renamed.with_suffix(".bin").unlink()


def _onnx_runtime(path: Path) -> Run:
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    wish = {"intra_op_num_threads": torch.get_num_threads(), "inter_op_num_threads": 1, "log_severity_level": 3}
    for name, value in wish.items():
        setattr(options, name, value)
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    taken = [each.name for each in session.get_inputs()]

    def run(given: list[Any]) -> list[Any]:
        named = {f"input_{place}": tensor.detach().contiguous().numpy() for place, tensor in enumerate(given)}
        outputs = session.run(None, {name: named[name] for name in taken})
        return [torch.from_numpy(output) for output in outputs]

    return run


def _openvino_runtime(path: Path) -> Run:
    import numpy as np
    import torch

    openvino = _openvino()
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    core = openvino.Core()
    model = core.read_model(content[8 + size :], openvino.Tensor(np.frombuffer(content[8 : 8 + size], np.uint8)))
    # Where the CPU has bfloat16 it would be taken otherwise.
    wish = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": str(torch.get_num_threads())}
    request = core.compile_model(model, "CPU", wish).create_infer_request()

    def run(given: list[Any]) -> list[Any]:
        found = request.infer([tensor.detach().contiguous().numpy() for tensor in given], share_inputs=True)
        return [torch.from_numpy(np.array(found[place])) for place in range(len(found))]

    return run


@contextmanager
def hushed() -> Iterator[None]:
    """Keep what exporters say of themselves away: what they cannot do is raised."""
    former = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(former)


def _first_line(error: Exception) -> str:
    """The line of an exporter's message that names what it cannot do: its root cause's first."""
    while error.__cause__ is not None and isinstance(error.__cause__, Exception):
        error = error.__cause__
    return named_error(error).strip().splitlines()[0]


_WRITERS: Mapping[str, Callable[[Any, Path, int], None]] = {
    "onnx": _write_onnx, "openvino": _write_openvino, "openvino-int8": _write_openvino_int8
}  # fmt: skip
_RUNTIMES: Mapping[str, Callable[[Path], Run]] = {
    "onnx": _onnx_runtime, "openvino": _openvino_runtime, "openvino-int8": _openvino_runtime
}  # fmt: skip
ONNX = Export("onnx", "exported to ONNX, run by ONNX Runtime", ("onnx", "onnxruntime", "onnxscript"), "onnx", ".onnx")
OPENVINO = Export("openvino", "exported to and run by OpenVINO", ("openvino",), "openvino", ".openvino")
OPENVINO_INT8 = Export(
    "openvino-int8",
    "the same with weights in 8 bits, by NNCF",
    ("openvino", "nncf"),
    "openvino",
    ".openvino",
    exact=False,
)
