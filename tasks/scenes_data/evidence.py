"""What decides the label of a Scenes image: the mask of the object that is asked about, and the words that tell it.

Of track *plain* and of zero-shot samples it is the biggest object. Track *context* adds the place in the remark that
gives the pattern away, where it is honest or misleading; track *reference* the words that pick the object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

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
