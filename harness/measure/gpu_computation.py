"""What a child process computes to show that torch can use a GPU.

It says on its standard output, a JSON object a line, what it is about to do before it does it: whoever started it knows
how far it came even when it hangs or crashes.
"""

from __future__ import annotations

import json
import os
import sys

from harness.measure.device import resolve_precision
from harness.text.error_text import error_text


def compute(device: str, precision: str) -> None:
    """Allocate, multiply and convolve on `cuda:INDEX`, in bf16 too where `precision` is bf16; say how it went."""
    out = os.dup(1)
    os.dup2(2, 1)  # what a library prints is no answer
    _tell(out, doing="importing torch")
    try:
        import torch

        _tell(out, **_facts(torch, int(device.partition(":")[2] or 0)))
        for dtype in (torch.float32, *([torch.bfloat16] if precision == "bf16" else [])):
            kind = str(dtype).removeprefix("torch.")
            _tell(out, doing=f"allocating memory in {kind}")
            images = torch.ones(2, 3, 16, 16, device=device, dtype=dtype)
            weights = torch.ones(4, 3, 3, 3, device=device, dtype=dtype)
            _tell(out, doing=f"multiplying matrices in {kind}")
            product = float((images[0, 0] @ images[0, 0]).float().sum())
            _tell(out, doing=f"convolving in {kind}")
            convolved = float(torch.nn.functional.conv2d(images, weights).float().sum())
            if (product, convolved) != (16 * 16 * 16, 2 * 4 * 14 * 14 * 27):
                raise ArithmeticError(f"sums of ones came out as {product:g} and {convolved:g}")
        _tell(out, doing="asking for its precision")
        _tell(out, precision=resolve_precision("auto", device))
        _tell(out, done=device)
    except Exception as error:
        _tell(out, error=f"{type(error).__name__}: {' '.join(error_text(error).split())}".rstrip(". "))
        sys.exit(1)


def _facts(torch: object, index: int) -> dict[str, str]:
    """Say what this torch was built for, and what the driver says, as far as they do."""
    from harness.measure.nvml import card, driver_version

    version, cuda = getattr(torch, "version", None), getattr(torch, "cuda", None)
    flags = getattr(getattr(torch, "_C", None), "_cuda_getArchFlags", lambda: None)()  # private: may go away
    numbered = getattr(cuda, "_get_nvml_device_index", None)  # private too; NVML knows no CUDA_VISIBLE_DEVICES
    try:
        named = card(numbered(index)) if numbered else None
    except Exception:  # it raises several kinds for a number that is not visible
        named = None
    found = {
        "torch": getattr(torch, "__version__", None),
        "cuda": getattr(version, "cuda", None) or getattr(version, "hip", None),
        "built_for": flags,
        "driver": driver_version(),
        "card": named,
    }
    return {name: str(value) for name, value in found.items() if value}


def _tell(out: int, **what: str) -> None:
    os.write(out, f"{json.dumps(what)}\n".encode())
