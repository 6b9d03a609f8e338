"""The golden scores of segmentation are scikit-learn's and hotcoco's own; a score that drifts stops a run."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score, jaccard_score, recall_score

from harness.metrics.maps import golden as passport
from harness.metrics.metric import MetricDrift


def test_the_golden_scores_of_maps_are_those_of_scikit_learn() -> None:
    true = np.concatenate([passport.digits(rows).ravel() for rows in passport.GOLDEN_TRUE_MAPS])
    predicted = np.concatenate([passport.digits(rows).ravel() for rows in passport.GOLDEN_PREDICTED_MAPS])
    scored = true != passport.GOLDEN_IGNORED
    true, predicted = true[scored], predicted[scored]
    ious = jaccard_score(true, predicted, average=None)
    seen, unseen = ious[:3].mean(), ious[3:].mean()
    expected = {
        "mIoU": ious.mean(),
        "pixel-accuracy": accuracy_score(true, predicted),
        "mean-accuracy": recall_score(true, predicted, average="macro"),
        "mIoU-seen": seen,
        "mIoU-unseen": unseen,
        "hIoU": 2 * seen * unseen / (seen + unseen),
    }
    assert {name: passport.MAP_SCORES[name] for name in expected} == pytest.approx(expected, abs=1e-14)


def test_the_golden_scores_of_segments_are_those_of_hotcoco(tmp_path: Path) -> None:
    from hotcoco.panoptic import PanopticEval

    categories = [{"id": i, "name": name, "isthing": int(i > 1)} for i, name in enumerate(passport.GOLDEN_CLASSES)]
    paths = []
    for true in (True, False):
        maps = tmp_path / ("true" if true else "found")
        maps.mkdir()
        annotations = []
        for image in range(2):
            segments = passport.golden_segments(image, true=true)
            colours = np.stack([segments.ids, 0 * segments.ids, 0 * segments.ids], axis=2).astype(np.uint8)
            Image.fromarray(colours).save(maps / f"{image}.png")
            infos = [{**i, "area": int((segments.ids == i["id"]).sum())} for i in segments.segments_info]
            annotations.append({"image_id": image, "file_name": f"{image}.png", "segments_info": infos})
        images = [{"id": image, "file_name": f"{image}.jpg", "height": 1, "width": 1} for image in range(2)]
        paths.append(maps.with_suffix(".json"))
        paths[-1].write_text(json.dumps({"images": images, "categories": categories, "annotations": annotations}))
    evaluator = PanopticEval(*map(os.fspath, paths))
    evaluator.evaluate()
    results = evaluator.results()
    expected = {name: results["All"][name.lower()] for name in ("PQ", "SQ", "RQ")}
    expected |= {"PQ-Th": results["Things"]["pq"], "PQ-St": results["Stuff"]["pq"]}
    assert {name: passport.MAP_SCORES[name] for name in expected} == pytest.approx(expected, abs=1e-14)


def test_the_signature_says_whether_segments_were_scored() -> None:
    assert passport.check_segmentation_metrics(panoptic=False) == "segmentation:v1|miou:present-classes"
    assert passport.check_segmentation_metrics(panoptic=True).endswith("|pq:panopticapi")


def test_a_score_that_drifts_stops_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passport, "MAP_SCORES", {**passport.MAP_SCORES, "RQ": 0.5})
    with pytest.raises(MetricDrift, match=r"RQ gives 0.81.* instead of 0.5 on the golden case"):
        passport.check_segmentation_metrics(panoptic=False)
