"""CIFAR's Python files are pickles, which can run code: only files with a published md5 are opened, and only arrays.

Two locks: the md5 that torchvision publishes for each file, and an unpickler that knows nothing but NumPy arrays.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import DataError

_ARRAYS = ("numpy.core.multiarray", "numpy._core.multiarray")
_REMEDY = "Take the binary version (cifar-10-binary.tar.gz, cifar-100-binary.tar.gz), which holds no code."
_ROW = 3072


def torchvision_checksums() -> Mapping[str, str]:
    """Read the md5 of each file from the installed torchvision (slow to import)."""
    from torchvision.datasets import CIFAR10, CIFAR100

    found: dict[str, str] = {}
    for dataset in (CIFAR10, CIFAR100):
        found |= dict((*dataset.train_list, *dataset.test_list))
        found[dataset.meta["filename"]] = dataset.meta["md5"]
    return found


def read_images(path: Path, content: bytes, md5: str, label_key: str) -> tuple[npt.NDArray[np.uint8], list[int]]:
    """Open a batch: pixels uint8 `[N, 3072]` (red, green, blue planes) and labels; raises DataError."""
    batch = _open(path, content, md5)
    pixels, labels = batch.get("data"), batch.get(label_key)
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim != 2 or pixels.shape[1] != _ROW:
        seen = getattr(pixels, "shape", type(pixels).__name__)
        raise DataError(f"{path} has {seen} as its 'data'; wanted uint8 [N, {_ROW}]. {_REMEDY}")
    if not isinstance(labels, list) or len(labels) != len(pixels) or not all(type(label) is int for label in labels):
        raise DataError(f"{path} has no list of {len(pixels)} whole numbers '{label_key}'. {_REMEDY}")
    return pixels, labels


def read_names(path: Path, content: bytes, md5: str, key: str) -> tuple[str, ...]:
    """Open the file of class names; raises DataError."""
    names = _open(path, content, md5).get(key)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{path} has no list of names '{key}'. {_REMEDY}")
    return tuple(names)


def _open(path: Path, content: bytes, md5: str) -> dict[str, Any]:
    seen = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if seen != md5:
        raise DataError(
            f"{path} is a pickle with the md5 {seen}; wanted {md5}, torchvision's. It is not opened, since a "
            f"pickle can run code. {_REMEDY}"
        )
    try:
        batch = _Arrays(io.BytesIO(content), encoding="latin1").load()
    except DataError as error:
        raise DataError(f"{path} {error}") from None
    except Exception as error:  # a pickle may raise anything
        raise DataError(f"{path} cannot be unpickled: {error}. {_REMEDY}") from None
    if not isinstance(batch, dict):
        raise DataError(f"{path} holds a {type(batch).__name__}; wanted a dictionary. {_REMEDY}")
    return batch


class _Arrays(pickle.Unpickler):
    """Knows NumPy arrays and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if module in _ARRAYS and name == "_reconstruct":
            return np.empty(0).__reduce__()[0]  # the same function, wherever this NumPy keeps it
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        if (module, name) == ("_codecs", "encode"):  # how Python 3 writes bytes into pickles that Python 2 can read
            return _latin1_bytes
        raise DataError(f"asks for {module}.{name}, which no image needs. {_REMEDY}")


def _latin1_bytes(text: str, encoding: str) -> bytes:
    return text.encode("latin1")
