"""What decides the label of a Scenes image: the mask of the object that is asked about, and the words that tell it.

Of track *plain* and of zero-shot samples it is the biggest object. Track *context* adds the place in the remark that
gives the pattern away, where it is honest or misleading; track *reference* the words that pick the object.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.sample import AnswerEvidence, Dataset, Sample
from tasks.formats.json_files import read_json
from tasks.formats.segmentations import decode_runs
from tasks.scenes import layout
from tasks.scenes.remarks import CUES
from tasks.scenes_data.labels import read_scene_rows
from tasks.scenes_data.open import OPEN_PARTS


def scene_label_evidence(data: Dataset, split: str, samples: Sequence[Sample]) -> list[AnswerEvidence | None]:
    """Say of samples of a labelled track what decides them; None of one whose object is not annotated."""
    track = data.options.get("track")
    images = {sample.target.image_id for sample in samples}
    rows: dict[str, Mapping[str, Any]] = {}
    masks: dict[int, Mapping[str, Any]] = {}
    for part in OPEN_PARTS.get(split, (split,)):
        rows |= {str(row["id"]): row for row in read_scene_rows(data, part) if str(row["id"]) in images}
        found = read_json(layout.annotation_file(data.root, "instances", part))["annotations"]
        masks |= {row["id"]: row["segmentation"] for row in found if str(row["image_id"]) in images}
    return [_evidence(sample, rows[sample.target.image_id], masks, track) for sample in samples]


def objects_of_images(root: Path, parts: Sequence[str], images: Collection[str]) -> dict[str, list[Mapping[str, Any]]]:
    """The annotated objects of images by image id, of some generated splits; crowds are left out."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for part in parts:
        for row in read_json(layout.annotation_file(root, "instances", part))["annotations"]:
            if str(row["image_id"]) in images and not row["iscrowd"]:
                found.setdefault(str(row["image_id"]), []).append(row)
    return found


def mask_of_rows(rows: Sequence[Mapping[str, Any]]) -> npt.NDArray[np.bool_]:
    """Union of the masks of annotated objects, bool `[H, W]`."""
    return np.asarray(np.any([decode_runs(dict(row["segmentation"])) for row in rows], axis=0))


def _evidence(
    sample: Sample, row: Mapping[str, Any], masks: Mapping[int, Mapping[str, Any]], track: Any
) -> AnswerEvidence | None:
    decisive = row["expression"] if track == "reference" else row["target"]
    segmentation = None if decisive is None else masks.get(decisive["annotation_id"])
    if segmentation is None:
        return None
    words: tuple[str, ...] = ()
    if track == "reference":
        words = tuple(decisive["form"].values())
    elif track == "context":
        words = _CUE_WORDS
    mask = decode_runs(dict(segmentation)).astype(np.bool_)
    return AnswerEvidence(mask, words, cluster=sample.target.image_id)


_CUE_WORDS = tuple(place for places in CUES.values() for place in places)
