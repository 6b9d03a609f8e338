"""Files of foils: SugarCrepe's seven JSON files and Winoground's groups, each beside or near its images."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.sample import Sample
from tasks.foils.targets import FoilTarget, foil_sample
from tasks.formats.coco_entries import require_keys
from tasks.formats.file_names import require_files
from tasks.formats.json_files import read_bytes, read_json

_SUGARCREPE = re.compile(r"(add|replace|swap)_(att|obj|rel)\.json")
_LONG = {"att": "attribute", "obj": "object", "rel": "relation"}
_GROUPS = "examples.jsonl"
_PAIR = {"filename": "text", "caption": "text", "negative_caption": "text"}
_GROUP = {"image_0": "text", "image_1": "text", "caption_0": "text", "caption_1": "text"}
WANTED_FILES = (
    "SugarCrepe's {add,replace,swap}_{att,obj,rel}.json (`bench data get sugarcrepe`; images of COCO val2017), or "
    "Winoground's examples.jsonl with images/"
)


@dataclass(frozen=True)
class FoilFiles:
    """The files of a set of foils, and the folder of its images."""

    annotations: tuple[Path, ...]
    images: Path

    @property
    def grouped(self) -> bool:
        """Whether two images and two captions make a group."""
        return self.annotations[0].name == _GROUPS

    def entries(self) -> list[Sample]:
        """Read every sample without looking for its image; raises DataError naming the file and the wrong entry."""
        return [s for path in self.annotations for s in (self._groups if self.grouped else self._pairs)(path)]

    def read(self) -> list[Sample]:
        """Read every sample; raises DataError as `entries`, and for images that are not there."""
        found = self.entries()
        images = iter(require_files([sample.image for sample in found], self.annotations[0], self.images))
        return [Sample(s.sample_id, next(images), s.target, choices=s.choices) for s in found]

    def _pairs(self, path: Path) -> Iterator[Sample]:
        kind = foil_kind_of(path.name)
        content = read_json(path)
        if not isinstance(content, Mapping | list):
            raise DataError(f"{path} is {type(content).__name__}; wanted SugarCrepe's entries by number.")
        entries = content.items() if isinstance(content, Mapping) else enumerate(content)
        for key, entry in entries:
            _require(entry, _PAIR, f"{path}: [{key}]")
            name = entry["filename"]
            target = FoilTarget(0, (kind,), name)
            yield foil_sample(
                f"{kind}:{key}", self.images / name, (entry["caption"], entry["negative_caption"]), target
            )

    def _groups(self, path: Path) -> Iterator[Sample]:
        text = read_bytes(path).decode("utf-8-sig", errors="replace")
        for number, line in enumerate(text.split("\n"), start=1):  # other ends of lines may stand in a text of JSON
            if not line.strip():
                continue
            where = f"{path}: line {number}"
            entry = _parsed(line, where)
            _require(entry, _GROUP, where)
            group = str(entry.get("id", number))
            slices = tuple(str(entry[key]) for key in ("collapsed_tag",) if entry.get(key))
            texts = (entry["caption_0"], entry["caption_1"])
            for place in (0, 1):
                name = entry[f"image_{place}"]
                image = self.images / (name if Path(name).suffix else f"{name}.png")
                target = FoilTarget(place, slices, group, group)
                yield Sample(f"{group}:{place}", image, target, choices=texts)


def foil_kind_of(name: str) -> str:
    """Name the kind of foil that a file of SugarCrepe holds.

    >>> foil_kind_of("swap_att.json")
    'swap-attribute'
    """
    match = _SUGARCREPE.fullmatch(name)
    assert match is not None
    return f"{match[1]}-{_LONG[match[2]]}"


def find_foil_files(root: Path, images: str | None) -> FoilFiles:
    """Find the files in a folder or its `data/`, and their images; `images` names their folder.

    Raises DataError where there are none.
    """
    if not root.is_dir():
        raise DataError(f"No folder {root}. Give --data a folder with {WANTED_FILES}.")
    for folder in (root, root / "data"):
        known = tuple(sorted(p for p in folder.glob("*.json") if _SUGARCREPE.fullmatch(p.name)))
        if known:
            return FoilFiles(known, _image_folder(root, images))
        if (folder / _GROUPS).is_file():
            return FoilFiles((folder / _GROUPS,), _image_folder(root, images))
    seen = ", ".join(sorted(p.name for p in root.iterdir())[:6]) or "nothing"
    raise DataError(f"{root} has no file of foils (seen: {seen}). Wanted {WANTED_FILES}.")


def read_foils_alone(path: Path) -> list[Sample]:
    """Read one file without its images; raises DataError for one of another name or content."""
    if path.name != _GROUPS and not _SUGARCREPE.fullmatch(path.name):
        raise DataError(f"{path.name} is no file of foils: its name says what kind it holds. Wanted {WANTED_FILES}.")
    return FoilFiles((path,), path.parent).entries()


def _image_folder(root: Path, wish: str | None) -> Path:
    beside = root.resolve().parent
    places = [root / "images", root / "val2017", beside / "coco-2017" / "val2017", beside / "coco" / "val2017"]
    for folder in [Path(wish).expanduser()] if wish else places:
        if folder.is_dir():
            return folder
    looked = wish or ", ".join(map(str, places))
    raise DataError(
        f"The images of the foils in {root} are not there (looked for {looked}). SugarCrepe's are COCO's val2017: "
        "'bench data get coco-2017 --parts val', or name their folder with --set task.images=FOLDER."
    )


def _parsed(line: str, where: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise DataError(f"{where} is no JSON: {error}. Mend the file or fetch it again.") from None


def _require(entry: Any, wanted: Mapping[str, str], where: str) -> None:
    if not isinstance(entry, dict):
        raise DataError(f"{where} is {str(entry)[:60]}; wanted an entry with {', '.join(wanted)}.")
    require_keys(entry, wanted, where)
    empty = [key for key in wanted if not str(entry[key]).strip()]
    if empty:
        raise DataError(f"{where} has an empty {empty[0]}. Mend the file or fetch it again.")


def groups_in(samples: Sequence[Sample]) -> dict[str, list[int]]:
    """The places of the two samples of each group."""
    found: dict[str, list[int]] = {}
    for place, sample in enumerate(samples):
        if sample.target.group:
            found.setdefault(sample.target.group, []).append(place)
    return {group: places for group, places in found.items() if len(places) == 2}
