"""Turns a Vega-Lite chart into a small static SVG: colours by CSS class, titles as tooltips, links to provenance.

Vega labels each mark with its `description`; here that is the number of a `Mark`, which says what the mark is. Marks
are then taken out, gathered by series and written anew without what a page does not need.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.report.vega import svg_of
from harness.text.outside_text import visible

if TYPE_CHECKING:
    import altair

    Chart = altair.Chart | altair.LayerChart | altair.FacetChart

_SPACE = "{http://www.w3.org/2000/svg}"
_DROPPED = (
    "role", "aria-roledescription", "aria-hidden", "aria-label", "pointer-events", "font-family", "font-size",
    "opacity", "fill", "stroke", "stroke-width", "stroke-miterlimit", "stroke-opacity", "fill-opacity", "font-weight",
    "style", "version", "clip-path", "display",
)  # fmt: skip
_NUMBER = re.compile(r"-?\d+\.\d+")
_PLACE = re.compile(r"translate\(\s*([-\d.e]+)[ ,]+([-\d.e]+)\s*\)")


@dataclass(frozen=True)
class Mark:
    """What one mark is: the series that it belongs to and, for a point, its tooltip and what a click on it shows.

    Marks of a series with the same `link` stand in one link, or bare where they have no title, as the many points of
    curves have. Rules with neither link nor class become one path.
    """

    series: str
    css: str = ""
    title: str = ""
    link: Mapping[str, str] = field(default_factory=dict)


def chart_svg(chart: Chart, marks: Sequence[Mark], label: str) -> str:
    """Render; `label` is what a screen reader says of the whole. The result is well-formed and escaped."""
    root = ElementTree.fromstring(svg_of(chart.to_dict()))  # made here by vl-convert, from strings that it has escaped
    found = _take_out(root, len(marks))
    _strip(root)
    holder = ElementTree.SubElement(_frame(root), "g", {"class": "marks"})
    for series in dict.fromkeys(mark.series for mark in marks):
        group = ElementTree.SubElement(holder, "g", {"class": "series", "data-s": series})
        _write_series(group, [(marks[number], element) for number, element in found if marks[number].series == series])
    root.attrib |= {"role": "group", "aria-label": visible(label), "class": "chart"}
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    return _serialised(root)


def _take_out(root: ElementTree.Element, count: int) -> list[tuple[int, ElementTree.Element]]:
    """Remove the marks from the tree, in the order in which they were drawn."""
    found = []
    for parent in list(root.iter()):
        for child in list(parent):
            number = _number(child)
            if number is not None and number < count:
                parent.remove(child)
                found.append((number, child))
    return found


def _number(element: ElementTree.Element) -> int | None:
    match = re.fullmatch(r"m(\d+)", element.get("aria-label", ""))
    return int(match.group(1)) if match else None


def _frame(root: ElementTree.Element) -> ElementTree.Element:
    """Find the group whose origin is that of the plot."""
    frames = [element for element in root.iter(f"{_SPACE}g") if "role-frame" in element.get("class", "")]
    return frames[0]


def _strip(root: ElementTree.Element) -> None:
    """Drop attributes that CSS sets, empty groups, backgrounds and clip paths."""
    for parent in list(root.iter()):
        for child in list(parent):
            kind = child.get("class", "")
            if child.tag == f"{_SPACE}defs" or kind in ("background", "foreground") or "role-mark" in kind:
                parent.remove(child)
    for element in root.iter():
        for name in _DROPPED:
            element.attrib.pop(name, None)
        for name, value in element.attrib.items():
            element.set(name, _NUMBER.sub(_rounded, value))
    _drop_empty(root)


def _drop_empty(element: ElementTree.Element) -> None:
    for child in list(element):
        _drop_empty(child)
        frame = "role-frame" in child.get("class", "")
        if child.tag == f"{_SPACE}g" and len(child) == 0 and not frame:
            element.remove(child)


def _write_series(group: ElementTree.Element, drawn: Sequence[tuple[Mark, ElementTree.Element]]) -> None:
    """Write lines first, then the intervals as one path unless they belong to links, then the points."""
    links: dict[tuple[tuple[str, str], ...], ElementTree.Element] = {}
    intervals = []
    for mark, element in drawn:
        if not mark.link and not mark.css and element.tag == f"{_SPACE}line":
            intervals.append(_vertical(element))
        elif not mark.link:
            group.append(_copied(element, mark.css or "ln"))
    if intervals:
        ElementTree.SubElement(group, "path", {"class": "iv", "d": "".join(intervals)})
    for mark, element in drawn:
        if mark.link and not mark.title:
            bare = _copied(element, mark.css)
            bare.attrib |= mark.link
            group.append(bare)
        elif mark.link:
            key = tuple(mark.link.items())
            if key not in links:
                links[key] = ElementTree.SubElement(group, "a", {"href": "#", **mark.link})
                ElementTree.SubElement(links[key], "title").text = visible(mark.title)
            links[key].append(_copied(element, mark.css))


def _copied(element: ElementTree.Element, css: str) -> ElementTree.Element:
    """Write a mark anew: a symbol as a circle, a rule as a path; a class in the place of colours."""
    x, y = _place(element)
    tag = element.tag.removeprefix(_SPACE)
    if tag == "line":
        return ElementTree.Element("path", {"class": css, "d": _vertical(element)})
    if tag == "path" and "transform" in element.attrib:
        radius = float(re.findall(r"[\d.]+", element.get("d", "M3"))[0])
        return ElementTree.Element("circle", {"class": css, "cx": _short(x), "cy": _short(y), "r": _short(radius)})
    if tag == "text":
        attributes = {"class": css, "x": _short(x), "y": _short(y), "text-anchor": element.get("text-anchor", "start")}
        copied = ElementTree.Element("text", attributes)
        copied.text = "".join(element.itertext())
        return copied
    attributes = {"class": css, "d": _NUMBER.sub(_rounded, element.get("d", ""))}
    return ElementTree.Element("path", attributes)


def _vertical(element: ElementTree.Element) -> str:
    x, y = _place(element)
    return f"M{_short(x)},{_short(y)}l{_short(float(element.get('x2', 0)))},{_short(float(element.get('y2', 0)))}"


def _place(element: ElementTree.Element) -> tuple[float, float]:
    match = _PLACE.match(element.get("transform", ""))
    return (float(match.group(1)), float(match.group(2))) if match else (0.0, 0.0)


def _rounded(match: re.Match[str]) -> str:
    return _short(float(match.group()))


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _serialised(root: ElementTree.Element) -> str:
    """Write without name spaces: inside HTML an svg element needs none."""
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SPACE)
        element.attrib = {name: value for name, value in element.attrib.items() if "}" not in name}
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)


def values(rows: Sequence[Mapping[str, Any]]) -> altair.InlineData:
    """Hand data to Altair without a data frame."""
    import altair

    return altair.InlineData(values=[dict(row) for row in rows])
