"""Which columns of a table are image, caption, label and split: the user says so, nothing is guessed.

`#image=col,caption=col`, `#image=col,label=col` or `#image=col,question=col,answer=col`, perhaps with `options=col`;
and `split=col` where a column names it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from harness.errors import DataError, UsageError, nearest

_ROLES = ("image", "caption", "label", "question", "answer", "options", "split")
_NEEDED = (("caption",), ("label",), ("question", "answer"))
"""What beside the image a table must have, one of these."""
_SPLITS = {
    "train": "train", "training": "train", "restval": "train", "validation": "val", "valid": "val", "val": "val",
    "dev": "val", "test": "test", "testing": "test",
}  # fmt: skip
_SPLIT_IN_NAME = re.compile(rf"(?:^|[/_.-])({'|'.join(_SPLITS)})(?=[/_.-]|\d|$)")


@dataclass(frozen=True)
class ColumnRoles:
    """The columns that are read; one of `caption`, `label` and `question` with `answer` is given."""

    image: str
    caption: str | None = None
    label: str | None = None
    question: str | None = None
    answer: str | None = None
    options: str | None = None
    split: str | None = None

    def names(self) -> list[str]:
        """The columns by name."""
        named = (getattr(self, role) for role in _ROLES)
        return [name for name in named if name is not None]

    @property
    def lists(self) -> tuple[str, ...]:
        """Columns that may hold several texts a row."""
        return tuple(name for name in (self.caption, self.answer, self.options) if name is not None)


@dataclass(frozen=True)
class ImageRow:
    """A sample of a table: an encoded image as it is stored, with captions, a class, or a question and its answers."""

    split: str
    image: bytes
    captions: tuple[str, ...] = ()
    label: str | None = None
    question: str | None = None
    answers: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def split_wish(wish: str) -> tuple[str, str]:
    """Part `PLACE#COLUMNS`.

    >>> split_wish("photos#image=jpg,label=cls")
    ('photos', 'image=jpg,label=cls')
    """
    place, _, columns = wish.partition("#")
    return place, columns


def parse_columns(text: str, known: Iterable[str], wish: str, parents: Collection[str] = ()) -> ColumnRoles:
    """Read which columns are meant; raises UsageError that shows the columns that there are.

    Of `parents` any key may be named (`json.caption`), also one that the first sample lacks.
    """
    known = list(known)
    offer = (
        f"{wish} has {', '.join(known)}. Say which is what: --data '{wish}#image=COLUMN,caption=COLUMN', or label=, or "
        "question= and answer=."
    )
    found: dict[str, str] = {}
    for each in filter(None, text.split(",")):
        role, equals, name = each.partition("=")
        if not equals or role not in _ROLES or role in found:
            raise UsageError(f"'{each}' in --data {wish}#{text}: wanted {', '.join(_ROLES)}, each once. {offer}")
        if name not in known and name.partition(".")[0] not in parents:
            raise UsageError(f"There is no '{name}'. {nearest(name, known)} {offer}")
        found[role] = name
    given = found.keys() - {"image", "split", "options"}
    if "image" not in found or given not in map(set, _NEEDED) or ("options" in found and "question" not in found):
        raise UsageError(f"Wanted a column for image, and one for caption, label, or question and answer. {offer}")
    return ColumnRoles(**found)


def texts_in(value: object) -> tuple[str, ...]:
    """Give the texts of a value: itself, those of a list, of objects their `answer`; none of what is nothing or blank.

    >>> texts_in([{"answer": "two"}, None, " ", 2])
    ('two', '2')
    """
    if isinstance(value, dict):
        return texts_in(value.get("answer"))
    if isinstance(value, list):
        return tuple(text for each in value for text in texts_in(each))
    text = "" if value is None else str(value)
    return (text,) if text.strip() else ()


def options_in(value: object, where: str) -> tuple[str, ...]:
    """Give the options of a question; raises DataError for a gap, behind which letters would mean other options."""
    texts = texts_in(value)
    if isinstance(value, list) and any(not texts_in(each) for each in value[: len(texts)]):
        raise DataError(f"{where}: an option before the last one is empty. Fill it, or move it to the end.")
    return texts


def role_of(name: str, where: str) -> str:
    """Say which split a value of a column is; raises DataError for another word."""
    if name.lower() not in _SPLITS:
        raise DataError(f"{where}: '{name}' is no split. Wanted one of {', '.join(_SPLITS)}.")
    return _SPLITS[name.lower()]


def role_in_path(path: str) -> str | None:
    """Say which split a file is of by its folder or name, the last word that is one; None where there is none.

    >>> role_in_path("data/train-00000-of-00003.parquet"), role_in_path("photos.parquet")
    ('train', None)
    """
    words = _SPLIT_IN_NAME.findall(path.lower())
    return _SPLITS[words[-1]] if words else None


def roles_in_paths(paths: Sequence[str], wish: str) -> list[str]:
    """Say which split each file is of: all by their names, or, where no name says so, all are test.

    Raises DataError where some names say so and others do not.
    """
    roles = [role_in_path(path) for path in paths]
    if not any(roles):
        return ["test"] * len(paths)
    for path, role in zip(paths, roles, strict=True):
        if role is None:
            raise DataError(f"{wish}: {path} does not say of which split it is, and other files do. Rename it, or give "
                            "a column with #split=COLUMN.")  # fmt: skip
    return [str(role) for role in roles]
