"""webdataset shards: tar files whose members `KEY.EXTENSION` make a sample (`--data wds:FOLDER#image=jpg,caption=txt`).

A column is an extension, several with `;` between them (`jpg;png`), or a key of a JSON member (`json.caption`). Each
line of a text member is a caption or an answer of its own; of JSON it is each text of a list. The layout of
CLIP_benchmark (`test/0.tar` beside `classnames.txt`) is read as it is: `.cls` numbers its class names.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from harness.errors import DataError
from harness.storage.content import Contents
from tasks.table_data.columns import (
    ColumnRoles,
    ImageRow,
    parse_columns,
    role_of,
    roles_in_paths,
    split_wish,
    texts_in,
)
from tasks.table_data.write_folder import find_or_write

Progress = Callable[[str, int, int], None]
_VERSION = 2
_CLASS_NAMES = "classnames.txt"
_BENCHMARK_COLUMNS = "image=jpg;jpeg;png;webp,label=cls"
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
Members = Mapping[str, bytes]
"""The members of a sample by extension, and its key as `__key__`."""


def open_shards(wish: str, cache: Path, progress: Progress) -> Path:
    """Give the folder of `FOLDER-OR-SHARDS#COLUMNS`; raises DataError or UsageError."""
    place, text = split_wish(wish)
    root, files = _shards(place)
    names = [file.relative_to(root).as_posix() for file in files]
    classes = _class_names(root)
    first = next(_samples(files[0]), None)
    if first is None:
        raise DataError(f"{files[0]} holds no sample.")
    columns = _columns(text or (_BENCHMARK_COLUMNS if classes else ""), first, f"wds:{place}")
    roles = [""] * len(files) if columns.split else roles_in_paths(names, f"wds:{place}")
    digests = Contents(cache, progress).of(files)
    identity = repr((_VERSION, list(zip(names, digests, strict=True)), columns, classes))
    folder = cache / "table-data" / f"{root.name}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"

    def rows() -> Iterator[ImageRow]:
        for file, role in zip(files, roles, strict=True):
            for sample in _samples(file):
                yield _row(sample, role, columns, classes, f"{file}: {sample['__key__'].decode()}")

    return find_or_write(folder, rows, progress)


def expand_range(text: str) -> list[str]:
    """Write out one range of shards.

    >>> expand_range("a-{08..10}.tar")
    ['a-08.tar', 'a-09.tar', 'a-10.tar']
    """
    match = _RANGE.search(text)
    if match is None:
        return [text]
    numbers = range(int(match[1]), int(match[2]) + 1)
    return [f"{text[: match.start()]}{number:0{len(match[1])}}{text[match.end() :]}" for number in numbers]


def _shards(place: str) -> tuple[Path, list[Path]]:
    """Find the shards and the folder that they are named from."""
    root = Path(place).expanduser()
    if place.strip() and root.is_dir():
        files = sorted(root.rglob("*.tar"), key=lambda path: (path.parent, len(path.name), path.name))
        if not files:
            raise DataError(f"No .tar file in {root}. Give wds:FOLDER with shards, or wds:FOLDER/{{0000..0099}}.tar.")
        return root, files
    files = [Path(each).expanduser() for each in expand_range(place)]
    for file in files:
        if not file.is_file():
            raise DataError(f"No shard {file} (of --data wds:{place}).")
    if not files:
        raise DataError(f"--data wds:{place} names no shard: its range has no number in it. Wanted {{0000..0099}}.")
    return Path(os.path.commonpath([file.parent for file in files])), files


def _class_names(root: Path) -> tuple[str, ...]:
    path = root / _CLASS_NAMES
    if not path.is_file():
        return ()
    try:
        text = path.read_text(encoding="utf-8").rstrip("\n")
    except ValueError as error:
        raise DataError(f"{path} is no text in UTF-8: {error}. Write it anew.") from None
    names = tuple(text.split("\n")) if text else ()
    if twice := next((name for name, count in Counter(names).items() if count > 1), None):
        raise DataError(
            f"{path} calls {names.count(twice)} classes '{twice}', which would become one. Give each a name of its own."
        )
    return names


def _columns(text: str, first: Members, wish: str) -> ColumnRoles:
    """Check the columns against the first sample; of several extensions one is enough."""
    known = [name for name in first if name != "__key__"]
    with suppress(ValueError):
        content = json.loads(first.get("json", b"{}"))
        known += [f"json.{key}" for key in content] if isinstance(content, dict) else []
    offered = known + [name for each in text.split(",") if (name := _alternatives_of(each, known))]
    return parse_columns(text, offered, wish, ["json"] if "json" in first else ())


def _alternatives_of(each: str, known: Sequence[str]) -> str | None:
    name = each.partition("=")[2]
    return name if ";" in name and any(part in known for part in name.split(";")) else None


def _samples(path: Path) -> Iterator[Members]:
    """Read the samples of a shard in their order: neighbours with one key."""
    sample: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r|*") as opened:
            for member in opened:
                if not member.isreg():
                    continue
                pure = PurePosixPath(member.name)
                stem, _, extension = pure.name.partition(".")
                key = str(pure.parent / stem).encode()
                if sample and sample["__key__"] != key:
                    yield sample
                    sample = {}
                content = opened.extractfile(member)
                assert content is not None  # of a regular file there is always one
                sample |= {"__key__": key, extension.lower(): content.read()}
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(f"{path} cannot be read as a tar file: {error}") from None
    if sample:
        yield sample


def _row(sample: Members, role: str, columns: ColumnRoles, classes: Sequence[str], where: str) -> ImageRow:
    image = _member(sample, columns.image, where)
    split = role_of(_one(sample, columns.split, where), where) if columns.split else role
    if columns.label is not None:
        return ImageRow(split, image, label=_class_of(_one(sample, columns.label, where), classes, where))
    if columns.question is not None:
        question, answers = _one(sample, columns.question, where), _texts(sample, str(columns.answer), where)
        if not answers:
            raise DataError(f"{where}: there is no answer.")
        options = () if columns.options is None else _texts(sample, columns.options, where)
        return ImageRow(split, image, question=question, answers=answers, options=options)
    captions = _texts(sample, str(columns.caption), where)
    if not captions:
        raise DataError(f"{where}: there is no caption.")
    return ImageRow(split, image, captions)


def _member(sample: Members, name: str, where: str) -> bytes:
    for extension in name.split(";"):
        if extension in sample:
            return sample[extension]
    there = ", ".join(each for each in sample if each != "__key__")
    raise DataError(f"{where}: there is no member .{name} (there are {there}).")


def _one(sample: Members, name: str, where: str) -> str:
    """Read the one text of a member, all its lines, or of a key."""
    texts = _read(sample, name, where)
    if len(texts) != 1:
        raise DataError(f"{where}: {name} holds {len(texts) or 'no'} texts. Wanted one.")
    return texts[0].strip()


def _texts(sample: Members, name: str, where: str) -> tuple[str, ...]:
    """Read the texts of a member, a line each, or of a key."""
    texts = _read(sample, name, where)
    return texts_in([line.strip() for line in texts[0].split("\n")]) if texts and _is_member(sample, name) else texts


def _read(sample: Members, name: str, where: str) -> tuple[str, ...]:
    """Read a member as a text, or the texts of a key of a JSON member; raises DataError."""
    try:
        if _is_member(sample, name):
            return texts_in(_member(sample, name, where).decode().strip())
        extension, _, key = name.partition(".")
        return texts_in(json.loads(_member(sample, extension, where))[key])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{where}: {name} cannot be read ({type(error).__name__}: {error}).") from None


def _is_member(sample: Members, name: str) -> bool:
    return "." not in name or any(extension in sample for extension in name.split(";"))


def _class_of(text: str, classes: Sequence[str], where: str) -> str:
    if not classes or not text.isdecimal():
        return text
    if int(text) >= len(classes):
        raise DataError(f"{where}: class {text} of {len(classes)} names in {_CLASS_NAMES}.")
    return classes[int(text)]
