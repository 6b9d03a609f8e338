"""Which objects are in the images of a caption file, by the file of instances that lies beside it or is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import MissingPath
from harness.storage.content import Contents, file_digest

if TYPE_CHECKING:
    from harness.sample import Dataset
    from tasks.captioning.object_hallucination import ObjectTruth

SETTING, BESIDE, DIGEST = "instances", "instances_beside", "instances_sha256"
"""Of `Dataset.scoring`: the file that is given, or the one that was found beside the captions, and its digest."""
REFERENCES = "references"
"""The layout of a file of references alone (`bench score --references`)."""


def find_instances(wish: Any, captions: Path | None) -> Mapping[str, str]:
    """Say which file of instances counts: the one that is given, else `instances_…` beside `captions_…`.

    Raises MissingPath for one that is given and not there.
    """
    if wish is not None:
        given = Path(str(wish)).expanduser()
        if not given.is_file():
            raise MissingPath(f"task.instances: there is no file {given}. Check the path, or leave the setting out.")
        return {SETTING: str(given), DIGEST: file_digest(given)}
    beside = None if captions is None else captions.with_name(captions.name.replace("captions", "instances", 1))
    if beside is None or beside == captions or not beside.is_file():
        return {}
    return {BESIDE: str(beside), DIGEST: file_digest(beside)}


@dataclass(frozen=True)
class AnnotatedObjects:
    """A file of instances, and where its index may be kept."""

    path: Path
    digest: str
    contents: Contents

    def read(self) -> ObjectTruth | None:
        """Read the categories in each image; None where the file has none of the categories that have words."""
        from tasks.captioning.object_hallucination import ObjectTruth
        from tasks.captioning.object_words import coco_words, only
        from tasks.formats.instance_index import open_instances

        found = open_instances(self.path, None, self.contents)
        names = [category.name for category in found.categories]
        words = only(coco_words(), names)
        if not words.categories:
            return None
        of_images = {
            image.sample_id: frozenset(names[index] for index in set(objects.category_index.tolist()))
            for image, objects in zip(found.images, found.objects, strict=True)
        }
        return ObjectTruth(words, of_images)


def annotated_objects(data: Dataset, cache: Path) -> AnnotatedObjects | None:
    """Take the file that `data.scoring` names, of references alone the one beside them; None where there is none."""
    known = data.scoring
    if data.layout == REFERENCES and SETTING not in known:
        known = find_instances(None, data.root / f"{data.name}.json")
    path = known.get(SETTING) or known.get(BESIDE)
    return None if path is None else AnnotatedObjects(Path(path), known[DIGEST], Contents(cache))
