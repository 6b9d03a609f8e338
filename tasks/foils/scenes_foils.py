"""Foils of Scenes: false by construction, one respect each; training images beside captions of other images."""

from __future__ import annotations

from collections.abc import Sequence

from harness.sample import Dataset, Sample
from tasks.foils.targets import FoilTarget, foil_sample
from tasks.formats.json_files import read_json
from tasks.scenes.layout import annotation_file, image_dir
from tasks.scenes.meaning import is_true
from tasks.scenes_data.open import read_scene_captions

SPLIT = "foils"
_TRIED = 20


def read_scene_foils(data: Dataset, split: str) -> Sequence[Sample]:
    """Read a split: the pairs of `foils`; of any other, one true caption an image beside one that is false of it."""
    if split != SPLIT:
        return _mismatched(read_scene_captions(data, split))
    captions = read_scene_captions(data, split)
    images = {sample.sample_id: sample.image for sample in captions}
    content = read_json(annotation_file(data.root, "scenes", split))
    return [
        foil_sample(
            f"{image['id']}:{pair['type']}",
            images.get(str(image["id"]), image_dir(data.root, split)),
            (pair["caption"], pair["foil"]),
            FoilTarget(0, (pair["type"],), str(image["id"])),
        )
        for image in content["images"]
        for pair in image["foils"]
    ]


def _mismatched(samples: Sequence[Sample]) -> list[Sample]:
    """Put a caption of the next image that is false of this one beside each image's own; ids and images stay."""
    found = []
    for place, sample in enumerate(samples):
        own = sample.target
        for step in range(1, _TRIED):
            other = samples[(place + step) % len(samples)].target
            if not is_true(other.facts["forms"][0], own.facts["facts"]):
                texts = (own.references[place % len(own.references)], other.references[0])
                target = FoilTarget(0, ("another image's",), sample.sample_id, "", own.references)
                found.append(foil_sample(sample.sample_id, sample.image, texts, target))
                break
    return found
