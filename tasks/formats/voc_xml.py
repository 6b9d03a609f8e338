"""One annotation file of Pascal VOC: size and objects, from XML that is not trusted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from harness.errors import DataError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_MEND = "Mend the file or fetch it again."


@dataclass(frozen=True)
class VocObject:
    """An object: class name, corners (left, top, right, bottom) in px, 1-based and inclusive, and `difficult`."""

    name: str
    corners: tuple[float, float, float, float]
    difficult: bool


@dataclass(frozen=True)
class VocAnnotation:
    """An image's size in px and its objects in the file's order."""

    width: int
    height: int
    objects: tuple[VocObject, ...]


def read_annotation(path: Path) -> VocAnnotation:
    """Read an annotation; parts of objects are left out. Raises DataError naming the object and the key."""
    root = _parse(path)
    width, height = (_number(root, f"size/{key}", f"{path}") for key in ("width", "height"))
    if width < 1 or height < 1 or width != int(width) or height != int(height):
        raise DataError(f"{path} has the size {width:g} x {height:g}; wanted whole px, at least 1. {_MEND}")
    objects = tuple(_object(item, f"{path}: object {i}") for i, item in enumerate(root.findall("object"), start=1))
    return VocAnnotation(int(width), int(height), objects)


def _parse(path: Path) -> Element:
    """Parse XML; a DOCTYPE is refused before anything in it is looked at: entities declared there can fill memory."""
    from xml.etree import ElementTree
    from xml.parsers import expat

    def refuse(*_: Any) -> NoReturn:
        raise DataError(f"{path} has a DOCTYPE, which VOC's files do not need and which can be abused. Remove it.")

    try:
        content = path.read_bytes()
        parser = expat.ParserCreate()
        parser.StartDoctypeDeclHandler = refuse
        parser.Parse(content, True)
        return ElementTree.fromstring(content)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Fetch it again.") from None
    except (expat.ExpatError, ElementTree.ParseError, ValueError, LookupError) as error:
        raise DataError(f"{path} is not XML: {error}. Fetch it again.") from None


def _object(item: Element, place: str) -> VocObject:
    name = (item.findtext("name") or "").strip()
    if not name:
        raise DataError(f"{place} has no 'name'. {_MEND}")
    left, top, right, bottom = (_number(item, f"bndbox/{key}", place) for key in _CORNERS)
    difficult = (item.findtext("difficult") or "0").strip()
    if difficult not in ("0", "1"):
        raise DataError(f"{place} has '{difficult:.40}' as its 'difficult'; wanted 0 or 1. {_MEND}")
    return VocObject(name, (left, top, right, bottom), difficult == "1")


def _number(element: Element, key: str, place: str) -> float:
    """A finite number; VOC 2011 and later have fractions here and there."""
    text = element.findtext(key)
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{place} has {text!r:.40} as its '{key}'; wanted a number. {_MEND}")
    return value
