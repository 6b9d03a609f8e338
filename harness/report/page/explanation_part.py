"""What a page shows of explanations: their table, and the maps of some samples over the images."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.explain.map_kinds import shuffled_of
from harness.judge.explained import rows_of_explanations
from harness.record import ExplanationRecord
from harness.records.explanations import read_examples, read_explained
from harness.records.store import Store
from harness.report.explanation_tables import explanation_reasons, explanation_table, explanation_title, shown_map
from harness.report.page.entries import Board
from harness.report.page.sources import Sources
from harness.report.tables.table import Table
from harness.stats.sample_scores import SampleScores

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL.Image import Image as Drawn

_SAMPLES, _MODELS = 3, 3
"""So many samples of so many models are shown."""
_SIDE_PX = 128
_STEPS = 5
"""Shades of a word."""
_HOT = (214, 40, 57)
_OUTLINE = (0, 160, 60)
_EDGES = "edges"


@dataclass(frozen=True)
class ShadedWord:
    """A word and how strongly it is shaded, 0 to 5; `decisive`: the data says that it decides."""

    text: str
    step: int
    decisive: bool


@dataclass(frozen=True)
class MapTile:
    """One map over the image, as a data URI, and over the words."""

    name: str
    uri: str
    words: tuple[ShadedWord, ...]


@dataclass(frozen=True)
class MappedSample:
    """The maps of one sample."""

    sample_id: str
    tiles: tuple[MapTile, ...]


@dataclass(frozen=True)
class MapFigure:
    """Maps of one model: names of the columns, a row a sample."""

    title: str
    names: tuple[str, ...]
    samples: tuple[MappedSample, ...]


@dataclass(frozen=True)
class ExplanationPart:
    """The table of a board's explanations, some maps, and why methods have nothing to say."""

    scope: str
    table: Table
    figures: tuple[MapFigure, ...]
    reasons: tuple[str, ...]


def explanation_part(board: Board, sources: Sources) -> ExplanationPart | None:
    """Gather the explanations of a board's rows; None where there are none. Of several scopes the newest counts."""
    shown = {name for entry in board.entries for name in entry.row.fingerprints}
    stores = {record.fingerprint: (record, store) for record, store in sources.explained}
    records = [record for record, _ in sources.explained if record.fingerprint in shown]
    if not records:
        return None

    def read(record: ExplanationRecord, table: str) -> SampleScores | None:
        return read_explained(stores[record.fingerprint][1], record, table)

    rows = rows_of_explanations(records, sources.records, read)
    scope = rows[-1].scope
    rows = [row for row in rows if row.scope == scope]
    figures = list(_figures(records, {name: store for name, (_, store) in stores.items()}))
    return ExplanationPart(
        explanation_title(scope), explanation_table(rows), tuple(figures), tuple(explanation_reasons(rows))
    )


def _figures(records: Sequence[ExplanationRecord], stores: Mapping[str, Store]) -> Iterator[MapFigure]:
    """Maps of the first seed of the first models, controls last."""
    first: dict[tuple[str, str], ExplanationRecord] = {}
    for record in sorted(records, key=lambda r: (r.control or "", r.model, r.seed)):
        first.setdefault((record.model, record.control or ""), record)
    for (model, control), record in list(first.items())[:_MODELS]:
        examples = read_examples(stores[record.fingerprint], record)[:_SAMPLES]
        names = _names(record.methods)
        samples = tuple(MappedSample(str(each["sample_id"]), tuple(_tiles(each, names))) for each in examples)
        if samples:
            name = f"{model} [{control}]" if control else model
            told = "outlined and underlined: what decides; red: what speaks for the answer"
            yield MapFigure(f"Maps of {name}, seed {record.seed} ({told})", ("image", *map(shown_map, names)), samples)


def _names(methods: Sequence[str]) -> list[str]:
    return [*(name for method in methods for name in (method, shuffled_of(method))), _EDGES]


def _tiles(example: Mapping[str, Any], names: Sequence[str]) -> Iterator[MapTile]:
    image = _image(example.get("image"))
    yield MapTile("image", _outlined(image, example), tuple(_words(example, None)))
    for name in names:
        values = example["maps"].get(name)
        uri = "" if values is None or image is None else _overlaid(image, values, int(example["grid"]))
        weights = example["word_maps"].get(name)
        yield MapTile(shown_map(name), uri, tuple(_words(example, weights)) if weights is not None else ())


def _words(example: Mapping[str, Any], weights: Sequence[float] | None) -> Iterator[ShadedWord]:
    decisive = example.get("decisive") or [0.0] * len(example["words"])
    most = max((weight for weight in weights or ()), default=0.0)
    for place, word in enumerate(example["words"]):
        share = 0.0 if weights is None or most <= 0 else max(0.0, weights[place]) / most
        yield ShadedWord(str(word), round(share * _STEPS), bool(decisive[place]))


def _image(encoded: Any) -> Drawn | None:
    from PIL import Image

    if not isinstance(encoded, str):
        return None
    try:
        with Image.open(io.BytesIO(base64.b64decode(encoded, validate=True)), formats=("PNG",)) as image:
            return image.convert("RGB").resize((_SIDE_PX, _SIDE_PX))
    except (OSError, ValueError, binascii.Error):
        return None


def _outlined(image: Drawn | None, example: Mapping[str, Any]) -> str:
    """The image with the cells outlined that touch what decides."""
    import numpy as np

    if image is None:
        return ""
    pixels = np.array(image)
    if example.get("within") is not None:
        grid = int(example["grid"])
        inside = _large(np.array(example["within"]).reshape(grid, grid) > 0)
        core = inside.copy()
        for axis, step in ((0, 2), (0, -2), (1, 2), (1, -2)):
            core &= np.roll(inside, step, axis=axis)
        pixels[inside & ~core] = _OUTLINE
    return _uri(pixels)


def _overlaid(image: Drawn, values: Sequence[float], grid: int) -> str:
    """A map over the image made pale: red where it is high, nothing where it speaks against the answer."""
    import numpy as np

    positive = np.maximum(np.array(values, dtype=np.float64), 0.0).reshape(grid, grid)
    share = _large(positive / positive.max() if positive.max() > 0 else positive)[:, :, None]
    pale = 255 - (255 - np.array(image, dtype=np.float64)) * 0.6
    pixels = pale * (1 - 0.75 * share) + np.array(_HOT) * 0.75 * share
    return _uri(pixels.round().astype(np.uint8))


def _large(cells: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Cells `[grid, grid]` as pixels `[128, 128]`."""
    import numpy as np

    place = np.arange(_SIDE_PX) * len(cells) // _SIDE_PX
    return np.asarray(cells[place][:, place])


def _uri(pixels: npt.NDArray[np.uint8]) -> str:
    from PIL import Image

    with io.BytesIO() as file:
        Image.fromarray(pixels, "RGB").save(file, "JPEG", quality=80)
        return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
