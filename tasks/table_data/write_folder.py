"""Writes rows of a table as a folder that the tasks' readers open: captions in COCO's layout, labels as class folders,
questions as simple JSON.

Images keep their bytes. A folder is written once for its source and columns, and is found again afterwards.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from PIL import Image

from harness.errors import DataError
from harness.files import one_at_a_time
from tasks.table_data.columns import ImageRow

Progress = Callable[[str, int, int], None]
_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "GIF": ".gif", "BMP": ".bmp", "TIFF": ".tif"}
_UNREADABLE = ".jpg"
"""A broken image is met where images are decoded, as in any folder."""


def find_or_write(folder: Path, rows: Callable[[], Iterable[ImageRow]], progress: Progress) -> Path:
    """Give a folder of rows, written unless it is there; returns it.

    Raises DataError for a class whose name cannot be a folder's, and for a table without rows.
    """
    if folder.is_dir():
        return folder
    with one_at_a_time(folder):
        if not folder.is_dir():
            staging = folder.with_name(f".{folder.name}.unpacking")
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir(parents=True)
            _write(staging, rows(), progress, folder.name)
            staging.rename(folder)
    return folder


def _write(folder: Path, rows: Iterable[ImageRow], progress: Progress, name: str) -> None:
    captions: dict[str, tuple[list[object], list[object]]] = {}
    questions: dict[str, list[object]] = {}
    counts: dict[str, int] = {}
    for number, row in enumerate(rows, 1):
        index = counts[row.split] = counts.get(row.split, 0) + 1
        file = f"{index:08}{_suffix(row.image)}"
        if row.question is not None:
            asked = {"question_id": number, "image": f"{row.split}/{file}", "question": row.question}
            questions.setdefault(row.split, []).append({**asked, "answers": row.answers, "options": row.options})
            place = folder / "images" / row.split / file
        elif row.label is None:
            images, sentences = captions.setdefault(row.split, ([], []))
            images.append({"id": number, "file_name": f"{row.split}/{file}"})
            for caption in row.captions:
                sentences.append({"id": len(sentences), "image_id": number, "caption": caption})
            place = folder / "images" / row.split / file
        else:
            place = folder / row.split / _folder_name(row.label) / file
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(row.image)
        progress(f"unpacking {name}", number, 0)
    if not counts:
        raise DataError(f"{name}: the table has no rows.")
    for split, rows_of_split in questions.items():
        text = json.dumps(rows_of_split, ensure_ascii=False)
        (folder / f"questions_{split}.json").write_text(text, encoding="utf-8")
    for split, (images, sentences) in captions.items():
        (folder / "annotations").mkdir(exist_ok=True)
        text = json.dumps({"images": images, "annotations": sentences}, ensure_ascii=False)
        (folder / "annotations" / f"captions_{split}.json").write_text(text, encoding="utf-8")


def _suffix(image: bytes) -> str:
    try:
        with Image.open(io.BytesIO(image)) as opened:
            return _SUFFIXES.get(str(opened.format), f".{str(opened.format).lower()}")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return _UNREADABLE


def _folder_name(label: str) -> str:
    if (
        not label.strip()
        or label.startswith(".")
        or any(letter in label for letter in "/\\\0")
        or len(label.encode()) > 200
    ):
        raise DataError(f"The class {label!r} cannot be a folder's name. Give another column as label, or rename it.")
    return label
