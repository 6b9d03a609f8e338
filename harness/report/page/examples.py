"""Example images with each model's answer, clean and perturbed: small real pixels inside the page."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from harness.answers import BOXES, CAPTIONS, CHOICES, LABELS, MAPS, SHORT_ANSWERS
from harness.errors import DataError, StoreError
from harness.report.page.drawings import DrawnAnswer, parse_drawing
from harness.report.tables.table import unique

_KINDS = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}
_TITLES = {
    CAPTIONS: "Reference caption",
    LABELS: "True class",
    BOXES: "True objects",
    MAPS: "True classes",
    CHOICES: "True choice",
    SHORT_ANSWERS: "Accepted answers",
}


Scope = tuple[str, str]
"""Digest of the data, and split."""


@dataclass(frozen=True)
class ExampleIndex:
    """An index.json as it was read, its data (None where nothing says which), and a reader of files beside it."""

    folder: str
    content: Mapping[str, Any]
    scope: Scope | None
    read: Callable[[str], bytes]


@dataclass(frozen=True)
class Picture:
    """A sample under one condition; `uri` holds the image itself. `answers` are (model, what it said).

    `reference` and `drawings`, by model, stand over the image where answers have a place in it.
    """

    condition: str
    uri: str
    answers: tuple[tuple[str, str], ...]
    reference: DrawnAnswer | None = None
    drawings: Mapping[str, DrawnAnswer] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """What its image takes, before base64, and about what is drawn over it takes."""
        packed = self.uri.partition(",")[2]
        drawn = [*self.drawings.values(), *([self.reference] if self.reference else [])]
        return len(packed) * 3 // 4 - packed.count("=") + sum(each.bytes for each in drawn)


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

    @property
    def drawn(self) -> bool:
        """Tell whether references and answers are drawn over the pictures."""
        return any(picture.reference is not None for picture in self.pictures)

    def answers(self, model: str) -> list[tuple[str | None, bool]]:
        """Give a model's answers by picture, and whether each differs from the first; None where it has none."""
        said = [dict(picture.answers).get(model) for picture in self.pictures]
        return [(text, text is not None and text != said[0]) for text in said]


@dataclass(frozen=True)
class Examples:
    """Examples that fit, how many did not, and what their references are called."""

    shown: tuple[Example, ...] = ()
    left_out: int = 0
    title: str = "Reference"

    @property
    def bytes(self) -> int:
        """About what they take of a page."""
        return sum(picture.bytes for example in self.shown for picture in example.pictures)


def build_examples(index: ExampleIndex, budget_bytes: int, order: Sequence[str] = ()) -> Examples:
    """Take whole samples while their images fit; raises StoreError for an index or a file that is not as agreed.

    Answers stand in the order of the models' names in `order`, others after them.
    """
    shown: list[Example] = []
    left = budget_bytes
    samples = index.content["samples"]
    title = _TITLES.get(str(index.content.get("answers")), "Reference")
    for place, sample in enumerate(samples):
        try:
            example = _example(sample, index, order)
        except (KeyError, TypeError, AttributeError, ValueError, IndexError, DataError) as error:
            raise StoreError(
                f"{index.folder}/index.json: samples[{place}] is not as agreed "
                f"({type(error).__name__}: {error}). Delete it and run the sweep again."
            ) from None
        size = sum(picture.bytes for picture in example.pictures)
        if size > left:
            return Examples(tuple(shown), len(samples) - place, title)
        left -= size
        shown.append(example)
    return Examples(tuple(shown), title=title)


def _example(sample: Mapping[str, Any], index: ExampleIndex, order: Sequence[str]) -> Example:
    pictures = tuple(_picture(condition, index, order) for condition in sample["conditions"])
    reference = sample["reference"]
    references = [reference] if isinstance(reference, str) else reference
    return Example(str(sample["sample_id"]), tuple(map(str, references)), pictures)


def _picture(condition: Mapping[str, Any], index: ExampleIndex, order: Sequence[str]) -> Picture:
    content = index.read(f"{index.folder}/{_file_name(condition['file'], index.folder)}")
    severity = condition.get("severity") or 0
    label = f"{condition['perturbation']} {severity}" if severity else str(condition["perturbation"])
    said = {str(model): str(text) for model, text in condition["predictions"].items()}
    answers = tuple((model, said[model]) for model in unique([*(m for m in order if m in said), *said]))
    uri = _data_uri(content, condition["file"])
    drawn = condition.get("drawn")
    if drawn is None:
        return Picture(label, uri, answers)
    size, names = _size(condition["size"]), [str(name) for name in index.content.get("classes", ())]
    drawings = {
        str(model): parse_drawing(each, size, names, answer=True)
        for model, each in drawn["answers"].items()
        if each is not None
    }
    return Picture(label, uri, answers, parse_drawing(drawn["reference"], size, names, answer=False), drawings)


def _size(given: Sequence[Any]) -> tuple[int, int]:
    width, height = (int(side) for side in given)
    if not (0 < width <= 10_000 and 0 < height <= 10_000):
        raise ValueError(f"a picture of {width} x {height} pixels")
    return width, height


def _file_name(name: str, folder: str) -> str:
    """Let nothing but a file of the folder itself be shown."""
    if PurePosixPath(name).name != name or name in ("", ".", "..") or "\\" in name:
        raise StoreError(f"{folder}/index.json names the file '{name}'; wanted one beside it.")
    return name


def _data_uri(content: bytes, name: str) -> str:
    kind = next((kind for start, kind in _KINDS.items() if content.startswith(start)), None)
    if kind is None:
        raise StoreError(f"The example image {name} is neither JPEG nor PNG. Delete it and run the sweep again.")
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
