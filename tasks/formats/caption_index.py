"""COCO's caption files through an index in the cache: what is left of them once they have been checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from harness.sample import Note
from harness.storage.content import Contents
from tasks.formats.annotation_index import find_index
from tasks.formats.coco_captions import CaptionedImage, CaptionSplit, captions_of, read_caption_file
from tasks.formats.coco_layout import SplitFile
from tasks.formats.file_names import require_names
from tasks.formats.mapped_columns import ColumnWriter

_images = msgspec.json.Decoder(list[tuple[str, str, tuple[str, ...]]])
"""The id, the file's name and the references of each image."""


def open_captions(file: SplitFile, contents: Contents) -> CaptionSplit:
    """Read one split as `read_caption_file` does; the file is parsed only where the cache has no index of it."""
    index = find_index(file.annotations, "captions", _write, contents)
    if index is None:
        return read_caption_file(file)
    images = _images.decode(index.columns["images"].data)
    paths = require_names([name for _, name, _ in images], file.annotations, file.images)
    return CaptionSplit(
        file.annotations,
        tuple(CaptionedImage(i, path, texts) for (i, _, texts), path in zip(images, paths, strict=True)),
        tuple(Note(**{**note, "split": file.split}) for note in index.notes["notes"]),
    )


def _write(text: bytes, writer: ColumnWriter) -> Mapping[str, Any]:
    content = msgspec.json.decode(text, type=dict[str, Any])
    split = captions_of(content, Path("captions.json"), Path())  # whatever is wrong is worded by the reader
    images = [(image.image_id, image.path.as_posix(), image.references) for image in split.images]
    writer.append("images", np.frombuffer(msgspec.json.encode(images), np.uint8))
    return {"notes": [asdict(note) for note in split.notes]}
