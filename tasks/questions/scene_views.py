"""What of a scene can be asked about: its facts as they can be seen, and which words pick one object of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tasks.formats.json_files import read_json
from tasks.scenes import layout
from tasks.scenes.factors import NIGHT_SKY

HIDDEN_AT_NIGHT = ("colour", "pattern")
Description = tuple[tuple[str, str], ...]
"""(factor, value) pairs in the order of their names, such as (("colour", "red"), ("shape", "star"))."""


@dataclass(frozen=True)
class SceneView:
    """An image of Scenes whose objects can all be seen; of others nothing is asked, since absence is not certain."""

    image_id: str
    path: Path
    facts: Mapping[str, Any]

    @property
    def night(self) -> bool:
        """Whether colours, patterns and the ground cannot be seen."""
        return bool(self.facts["sky"] == NIGHT_SKY)

    @property
    def objects(self) -> Sequence[Mapping[str, str]]:
        """The objects, each with its factors."""
        objects: Sequence[Mapping[str, str]] = self.facts["objects"]
        return objects

    @cached_property
    def by_shape(self) -> Mapping[str, Mapping[str, str]]:
        """The objects that their shape alone picks, by it."""
        return self._alone("shape")

    @cached_property
    def by_colour(self) -> Mapping[str, Mapping[str, str]]:
        """The objects that their colour alone picks, by it; none at night."""
        return {} if self.night else self._alone("colour")

    @cached_property
    def descriptions(self) -> tuple[Description, ...]:
        """Whatever is true of some object in one or two words, shape included, each once."""
        return tuple(dict.fromkeys(said for item in self.objects for said in self._described(item)))

    @cached_property
    def relations(self) -> tuple[tuple[str, str, str], ...]:
        """(relation, shape, shape) of objects that their shapes pick."""
        objects, alone = self.objects, self.by_shape
        return tuple(
            (name, objects[one]["shape"], objects[other]["shape"])
            for name, one, other in self.facts["relations"]
            if objects[one]["shape"] in alone and objects[other]["shape"] in alone
        )

    @cached_property
    def counts(self) -> Mapping[Description, int]:
        """How many objects there are, and how many of each shape and colour that is there."""
        found: dict[Description, int] = {(): len(self.objects)}
        for factor in ("shape",) if self.night else ("shape", "colour"):
            for item in self.objects:
                said = ((factor, item[factor]),)
                found[said] = found.get(said, 0) + 1
        return found

    def _alone(self, factor: str) -> dict[str, Mapping[str, str]]:
        values = [item[factor] for item in self.objects]
        return {item[factor]: item for item in self.objects if values.count(item[factor]) == 1}

    def _described(self, item: Mapping[str, str]) -> list[Description]:
        shape = ("shape", item["shape"])
        seen = [factor for factor in ("colour", "pattern", "size") if not (self.night and factor in HIDDEN_AT_NIGHT)]
        said = [((factor, item[factor]), shape) for factor in seen]
        part = [(("part", item["part"]), shape)] if item["part"] != "plain" else []
        return [(shape,), *said, *part]


def read_views(root: Path, split: str) -> list[SceneView]:
    """Read a generated split without the images in which an object is mostly hidden."""
    hidden = {
        row["image_id"]
        for row in read_json(layout.annotation_file(root, "instances", split))["annotations"]
        if row["iscrowd"]
    }
    folder = layout.image_dir(root, split)
    return [
        SceneView(str(row["id"]), folder / row["file_name"], row["facts"])
        for row in read_json(layout.annotation_file(root, "captions", split))["images"]
        if row["id"] not in hidden
    ]
