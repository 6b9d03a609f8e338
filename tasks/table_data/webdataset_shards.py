"""webdataset shards: tar files whose members `KEY.EXTENSION` make a sample (`--data wds:FOLDER#image=jpg,caption=txt`).

A column is an extension, several with `;` between them (`jpg;png`), or a key of a JSON member (`json.caption`). The
layout of CLIP_benchmark (`test/0.tar` beside `classnames.txt`) is read as it is: `.cls` numbers its class names.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from harness.errors import DataError
from harness.storage.content import Contents
from tasks.table_data.columns import ColumnRoles, ImageRow, parse_columns, role_of, roles_in_paths, split_wish
from tasks.table_data.write_folder import find_or_write

Progress = Callable[[str, int, int], None]
_VERSION = 1
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
    if root.is_dir():
        files = sorted(root.rglob("*.tar"), key=lambda path: (path.parent, len(path.name), path.name))
        if not files:
            raise DataError(f"No .tar file in {root}. Give wds:FOLDER with shards, or wds:FOLDER/{{0000..0099}}.tar.")
        return root, files
    files = [Path(each).expanduser() for each in expand_range(place)]
    for file in files:
        if not file.is_file():
            raise DataError(f"No shard {file} (of --data wds:{place}).")
    return files[0].parent, files


def _class_names(root: Path) -> tuple[str, ...]:
    path = root / _CLASS_NAMES
    return tuple(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else ()


def _columns(text: str, first: Members, wish: str) -> ColumnRoles:
    """Check the columns against the first sample; of several extensions one is enough."""
    known = [name for name in first if name != "__key__"]
    with suppress(ValueError):
        known += [f"json.{key}" for key in json.loads(first.get("json", b"{}"))]
    offered = known + [name for each in text.split(",") if (name := _alternatives_of(each, known))]
    return parse_columns(text, offered, wish)


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
    split = role_of(_decoded(sample, columns.split, where), where) if columns.split else role
    if columns.label is not None:
        return ImageRow(split, image, label=_class_of(_decoded(sample, columns.label, where), classes, where))
    if columns.question is not None:
        question = _decoded(sample, columns.question, where).strip()
        answers = _lines(_decoded(sample, str(columns.answer), where))
        if not question or not answers:
            raise DataError(f"{where}: there is no {'answer' if question else 'question'}.")
        options = () if columns.options is None else _lines(_decoded(sample, columns.options, where))
        return ImageRow(split, image, question=question, answers=answers, options=options)
    captions = _lines(_decoded(sample, str(columns.caption), where))
    if not captions:
        raise DataError(f"{where}: there is no caption.")
    return ImageRow(split, image, captions)


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line for line in text.splitlines() if line.strip())


def _member(sample: Members, name: str, where: str) -> bytes:
    for extension in name.split(";"):
        if extension in sample:
            return sample[extension]
    there = ", ".join(each for each in sample if each != "__key__")
    raise DataError(f"{where}: there is no member .{name} (there are {there}).")


def _decoded(sample: Members, name: str, where: str) -> str:
    """Read a text: a member of its own, or a key of a JSON member."""
    extension, dot, key = name.partition(".")
    try:
        text = _member(sample, extension if dot else name, where).decode()
        if not dot:
            return text.strip()
        value = json.loads(text)[key]
        return "\n".join(map(str, value)) if isinstance(value, list) else str(value)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{where}: {name} cannot be read ({type(error).__name__}: {error}).") from None


def _class_of(text: str, classes: Sequence[str], where: str) -> str:
    if not classes or not text.isdigit():
        return text
    if int(text) >= len(classes):
        raise DataError(f"{where}: class {text} of {len(classes)} names in {_CLASS_NAMES}.")
    return classes[int(text)]
