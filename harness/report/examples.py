"""Example images with each model's answer, clean and perturbed: small real pixels inside the page."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from harness.errors import StoreError
from harness.report.table import unique

_KINDS = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}


@dataclass(frozen=True)
class Picture:
    """A sample under one condition; `uri` holds the image itself. `answers` are (model, what it said)."""

    condition: str
    uri: str
    answers: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Example:
    """One sample: what is right, and what it looks like under each condition."""

    sample_id: str
    references: tuple[str, ...]
    pictures: tuple[Picture, ...]

    @property
    def models(self) -> list[str]:
        """Name the models that answered."""
        return unique([model for picture in self.pictures for model, _ in picture.answers])

    def answers(self, model: str) -> list[tuple[str | None, bool]]:
        """Give a model's answers by picture, and whether each differs from the first; None where it has none."""
        said = [dict(picture.answers).get(model) for picture in self.pictures]
        return [(text, text is not None and text != said[0]) for text in said]


@dataclass(frozen=True)
class Examples:
    """Examples that fit, and how many did not."""

    shown: tuple[Example, ...] = ()
    left_out: int = 0


def build_examples(index: Mapping[str, Any], task: str, read: Callable[[str], bytes], budget_bytes: int) -> Examples:
    """Take whole samples while their images fit; raises StoreError for an index or a file that is not as agreed."""
    shown: list[Example] = []
    left = budget_bytes
    samples = index["samples"]
    for place, sample in enumerate(samples):
        try:
            example, size = _example(sample, task, read)
        except (KeyError, TypeError, AttributeError) as error:
            raise StoreError(
                f"{task}/robustness/examples/index.json: samples[{place}] is not as agreed "
                f"({type(error).__name__}: {error}). Delete it and run the sweep again."
            ) from None
        if size > left:
            return Examples(tuple(shown), len(samples) - place)
        left -= size
        shown.append(example)
    return Examples(tuple(shown))


def _example(sample: Mapping[str, Any], task: str, read: Callable[[str], bytes]) -> tuple[Example, int]:
    pictures, size = [], 0
    for condition in sample["conditions"]:
        content = read(f"{task}/robustness/examples/{_file_name(condition['file'], task)}")
        size += len(content)
        severity = condition.get("severity") or 0
        label = f"{condition['perturbation']} {severity}" if severity else str(condition["perturbation"])
        answers = tuple((str(model), str(text)) for model, text in condition["predictions"].items())
        pictures.append(Picture(label, _data_uri(content, condition["file"]), answers))
    reference = sample["reference"]
    references = [reference] if isinstance(reference, str) else reference
    return Example(str(sample["sample_id"]), tuple(map(str, references)), tuple(pictures)), size


def _file_name(name: str, task: str) -> str:
    """Let nothing but a file of the folder itself be shown."""
    if PurePosixPath(name).name != name or name in ("", ".", "..") or "\\" in name:
        raise StoreError(f"{task}/robustness/examples/index.json names the file '{name}'; wanted one beside it.")
    return name


def _data_uri(content: bytes, name: str) -> str:
    kind = next((kind for start, kind in _KINDS.items() if content.startswith(start)), None)
    if kind is None:
        raise StoreError(f"The example image {name} is neither JPEG nor PNG. Delete it and run the sweep again.")
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
