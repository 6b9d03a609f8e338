"""What COCO's JSON files have in common: their lists, images and categories, each entry checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from harness.errors import DataError
from harness.sample import Note
from tasks.formats.file_names import require_files

MEND = "Mend the file or fetch it again."


@dataclass(frozen=True)
class ImageEntry:
    """An image as a COCO file lists it; sizes in px. `name` is what VOC calls it, whose ids are places in a list."""

    image_id: int
    path: Path
    width: int
    height: int
    name: str = ""

    @property
    def sample_id(self) -> str:
        """By what predictions and samples call the image."""
        return self.name or str(self.image_id)


@dataclass(frozen=True)
class Category:
    """A category; `extra` holds the file's own further keys, such as `isthing` or Scenes' `tier`."""

    category_id: int
    name: str
    extra: Mapping[str, Any]


def read_entries(content: Any, key: str, wanted: Mapping[str, str], path: Path) -> list[dict[str, Any]]:
    """Take the list `key` of a COCO file; every entry has the wanted keys.

    `wanted` says what each value is: "integer", "id" (a whole number or a string), "text", "flag" (0 or 1), "list" or
    "anything". Raises DataError.
    """
    if not isinstance(content, dict) or not isinstance(content.get(key), list):
        raise DataError(f"{path} has no list '{key}'; wanted COCO's format. {MEND}")
    entries: list[dict[str, Any]] = content[key]
    if not _have_all(entries, wanted):
        for position, entry in enumerate(entries):
            require_keys(entry, wanted, f"{path}: {key}[{position}]")
    return entries


def _have_all(entries: Sequence[Any], wanted: Mapping[str, str]) -> bool:
    """Tell by whole columns that every entry has its keys; False where only a look at each entry can tell."""
    types: dict[str, set[type]] = {"integer": {int}, "text": {str}, "list": {list}}
    if not set(map(type, entries)) <= {dict}:
        return False
    for name, kind in wanted.items():
        try:
            values = [entry[name] for entry in entries]
        except KeyError:
            return False
        found = set(map(type, values))
        if kind == "id":
            kind = "integer" if found <= {int} else "name"
        if kind == "name" and not (found <= {str} and all(value and value.isascii() for value in values)):
            return False
        if (kind in types and not found <= types[kind]) or kind == "flag":
            return False
        if kind == "integer" and not all(map(is_integer, (min(values, default=0), max(values, default=0)))):
            return False
    return True


def require_keys(entry: Any, wanted: Mapping[str, str], place: str) -> None:
    """Check the keys of one entry; `wanted` as for `read_entries`."""
    if not isinstance(entry, dict):
        raise DataError(f"{place} is {entry!r:.80}; wanted an object with {', '.join(wanted)}. {MEND}")
    for name, kind in wanted.items():
        if name not in entry:
            raise DataError(f"{place} lacks '{name}'. {MEND}")
        value = entry[name]
        if not _is(kind, value):
            raise DataError(f"{place} has {value!r:.80} as its '{name}'; wanted {_wanted(kind, value)}. {MEND}")


def with_crowd_flags(
    rows: Sequence[dict[str, Any]], place: Callable[[int], str]
) -> tuple[list[dict[str, Any]], tuple[Note, ...]]:
    """Take annotations that do not say `iscrowd` for no crowds, and say how many do not; those that do are checked."""
    values = [row.get("iscrowd", None) for row in rows]
    if set(map(type, values)) <= {int} and set(values) <= {0, 1}:
        return list(rows), ()
    for position, row in enumerate(rows):
        if "iscrowd" in row:
            require_keys(row, {"iscrowd": "flag"}, place(position))
    lacking = sum("iscrowd" not in row for row in rows)
    return [row if "iscrowd" in row else row | {"iscrowd": 0} for row in rows], crowd_notes_of(lacking, len(rows))


def crowd_notes_of(lacking: int, total: int) -> tuple[Note, ...]:
    """Say how many annotations do not say whether they are crowds."""
    text = f"{lacking} of {total} annotations do not say 'iscrowd' and are taken for no crowds"
    return (Note(text, None, lacking, total),) if lacking else ()


def read_image_entries(content: Any, path: Path, folder: Path | None) -> tuple[ImageEntry, ...]:
    """Read `images` in the file's order; where a folder is given, every listed image must be in it."""
    wanted = {"id": "integer", "file_name": "text", "width": "integer", "height": "integer"}
    rows = read_entries(content, "images", wanted, path)
    if not rows:
        raise DataError(f"{path} lists no image: there is nothing to evaluate. Give a file with images.")
    require_unique((row["id"] for row in rows), f"{path}: images[{{}}] repeats the id {{}}. {MEND}")
    for position, row in enumerate(rows):
        if row["width"] < 1 or row["height"] < 1:
            raise DataError(
                f"{path}: images[{position}] (id {row['id']}) has the size {row['width']} x {row['height']}; "
                f"wanted at least 1 x 1 px. {MEND}"
            )
        require_inside(row["file_name"], f"{path}: images[{position}] (id {row['id']})")
    images = tuple(
        ImageEntry(
            row["id"],
            Path(row["file_name"]) if folder is None else folder / row["file_name"],
            row["width"],
            row["height"],
        )
        for row in rows
    )
    if folder is None:
        return images
    found = require_files([image.path for image in images], path, folder)
    return tuple(replace(image, path=there) for image, there in zip(images, found, strict=True))


def read_categories(content: Any, path: Path) -> tuple[Category, ...]:
    """Read `categories`, ordered by id so that two files with the same ones agree; ids and names are unique."""
    rows = read_entries(content, "categories", {"id": "integer", "name": "text"}, path)
    if not rows:
        raise DataError(f"{path} lists no category. {MEND}")
    require_unique((row["id"] for row in rows), f"{path}: categories[{{}}] repeats the id {{}}. {MEND}")
    require_unique(
        (row["name"] for row in rows),
        f"{path}: categories[{{}}] repeats the name '{{}}'. Give every category a name of its own.",
    )
    categories = [
        Category(row["id"], row["name"], {key: value for key, value in row.items() if key not in ("id", "name")})
        for row in rows
    ]
    return tuple(sorted(categories, key=lambda category: category.category_id))


def require_same_categories(first: Sequence[Category], second: Sequence[Category], second_path: Path) -> None:
    """Check that two splits have the same ids and names; raises DataError naming the first difference."""
    mine, theirs = ({(c.category_id, c.name) for c in categories} for categories in (first, second))
    if mine != theirs:
        category_id, name = min(mine ^ theirs)
        where = "lacks" if (category_id, name) in mine else "alone has"
        raise DataError(
            f"{second_path} {where} the category {category_id} '{name}', and splits of a data set share their "
            "categories. Use files of one version."
        )


def require_unique(values: Iterable[Any], message: str) -> None:
    """Raise DataError with `message`, filled with position and value, for the first value seen before."""
    seen = set()
    for position, value in enumerate(values):
        if value in seen:
            raise DataError(message.format(position, value))
        seen.add(value)


def require_inside(file_name: str, place: str) -> None:
    """Refuse a file name that leads out of its folder, or that no file can have."""
    if file_name.isascii() and file_name not in ("", "..") and not {"/", "\0"} & set(file_name):
        return
    parts = PurePosixPath(file_name)
    if not file_name or "\0" in file_name or parts.is_absolute() or ".." in parts.parts or not _is_encodable(file_name):
        raise DataError(f"{place} has the file name {file_name!r:.200}, which is not inside the image folder. {MEND}")


def require_image_sizes(images: Iterable[ImageEntry], path: Path) -> None:
    """Check stated sizes against the upright images themselves (each is opened); raises DataError."""
    from harness.inputs.images import image_size

    for image in images:
        width, height = image_size(image.path)
        if (width, height) != (image.width, image.height):
            raise DataError(
                f"{image.path} is {width} x {height} px once turned as its EXIF says, and {path} states "
                f"{image.width} x {image.height}. Annotations refer to the upright image: if they were drawn on the "
                "stored pixels, remove the orientation from the EXIF."
            )


def is_integer(value: Any) -> bool:
    """Tell a whole number from booleans, floats and strings; must fit 64 bits."""
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


_WORDS = {
    "integer": "a whole number", "id": "a whole number or a string", "text": "a string", "flag": "0 or 1",
    "list": "a list", "anything": "a value",
}  # fmt: skip


def _wanted(kind: str, value: Any) -> str:
    """Word what was wanted; a whole number that is too large for it is told so."""
    too_large = isinstance(value, int) and not isinstance(value, bool) and not is_integer(value)
    return f"{_WORDS[kind]} below 2^63, since ids are kept in 64 bits" if too_large else _WORDS[kind]


def _is(kind: str, value: Any) -> bool:
    if kind == "integer":
        return is_integer(value)
    if kind == "id":
        return is_integer(value) or (isinstance(value, str) and bool(value) and _is_encodable(value))
    if kind == "flag":
        return is_integer(value) and value in (0, 1)
    if kind == "text":
        return isinstance(value, str)
    return kind == "anything" or isinstance(value, list)


def _is_encodable(text: str) -> bool:
    """Tell text that a file can hold from lone surrogates, which JSON can write."""
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)
