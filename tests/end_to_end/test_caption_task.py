"""`coco-caption` itself, Java included: an outside model through it, and predictions made elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.captioning.object_hallucination import OBJECT_METRICS

NAMES = {"BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr", "SPICE", *OBJECT_METRICS}


@pytest.mark.slow
def test_an_outside_model_has_every_metric_and_the_data_are_found(
    bench: Any, captions_in: Any, quick: tuple[str, ...], tmp_path: Path
) -> None:
    captions_in(tmp_path / "data" / "coco", "2014")
    run = bench("run", *quick, "--task", "coco-caption", "--model", "nearest-colour")
    assert run.returncode == 0, run.stderr
    assert "no --data, no $BENCH_DATA: ./data/coco" in run.stderr
    (row,) = json.loads(bench("leaderboard", "--format", "json").stdout)
    assert set(row["metrics"]) == NAMES
    assert {row["metrics"][name] for name in OBJECT_METRICS} == {None}  # no instances say what is in these images
    assert row["metrics"]["BLEU-1"]["value"] == pytest.approx(1.0)
    assert row["metrics"]["CIDEr"]["low"] <= row["metrics"]["CIDEr"]["value"] <= row["metrics"]["CIDEr"]["high"]
    assert (row["data"], row["split"], row["seeds"], row["device"] != "") == ("coco", "val", 1, True)


def test_predictions_made_elsewhere_are_scored_or_refused(bench: Any, captions: Path, tmp_path: Path) -> None:
    references = captions / "annotations/captions_val2017.json"
    texts = {entry["image_id"]: entry["caption"] for entry in json.loads(references.read_text())["annotations"]}
    answers = [{"image_id": key, "caption": text} for key, text in texts.items()]
    score = ("score", "--task", "coco-caption", "--predictions", tmp_path / "results.json")
    (tmp_path / "results.json").write_text(json.dumps(answers))
    run = bench(*score, "--references", references, "--format", "json", "--resamples", "50")
    assert run.returncode == 0, run.stderr
    scores = json.loads(run.stdout)
    assert set(scores) == {"metrics", "signature", "notes"}
    assert set(scores["metrics"]) == NAMES
    assert scores["metrics"]["BLEU-1"] == pytest.approx(
        {"value": 1.0, "low": 0.757506, "high": 1.0, "count": 12}  # Wilson's of 12 in 12: no width would be certainty
    )
    (tmp_path / "results.json").write_text(json.dumps(answers[1:]))
    refused = bench(*score, "--data", captions)
    assert refused.returncode == 2
    assert "1 of 12 samples have no caption" in refused.stderr
