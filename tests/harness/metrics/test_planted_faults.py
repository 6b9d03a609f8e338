"""Faults planted into the code that scores: the golden check that runs before scoring finds each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.inputs import images
from harness.inputs.golden_preprocessing import GOLDEN_PIXELS, PreprocessingDrift, check_resizing, check_tower
from harness.metrics.boxes import truth as detection_truth
from harness.metrics.boxes.golden import check_detection_metrics
from harness.metrics.captions import clip_score, ngrams, ptb
from harness.metrics.captions.clip_golden import check_clip_score
from harness.metrics.captions.scorer import CAPTION_METRICS, CaptionScorer
from harness.metrics.maps import panoptic_segments
from harness.metrics.maps.golden import check_segmentation_metrics
from harness.metrics.metric import MetricDrift
from harness.sample import Preprocessing
from harness.stats.resampling import MeanStatistics

FILTERS = tuple(GOLDEN_PIXELS["crop"])
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Patch = pytest.MonkeyPatch


@pytest.fixture(scope="module")
def opened() -> Iterator[CaptionScorer]:
    """All but METEOR, whose process takes seconds."""
    with CaptionScorer([name for name in CAPTION_METRICS if name != "METEOR"]) as scorer:
        yield scorer


@pytest.fixture
def scorer(opened: CaptionScorer, monkeypatch: Patch) -> CaptionScorer:
    """The scorer without what it remembers of references."""
    monkeypatch.setattr(opened, "_reference_tokens", {})
    return opened


def test_nothing_planted_passes(scorer: CaptionScorer) -> None:
    assert scorer.verify().startswith("caption:v")
    assert check_resizing().startswith("preprocessing:v")
    assert check_clip_score().startswith("clipscore:v")
    check_tower(tower(), "cpu")


# 1. PTB tokenizer skipped


def skipped(self: ptb.PtbTokenizer, captions: Sequence[str]) -> list[str]:
    return [" ".join(caption.split()) for caption in captions]


def lowered(self: ptb.PtbTokenizer, captions: Sequence[str]) -> list[str]:
    """Split at spaces and lower-cased, as scorers without Java do."""
    return [" ".join(caption.lower().split()) for caption in captions]


@pytest.mark.parametrize("planted", [skipped, lowered])
def test_a_skipped_tokenizer(planted: Any, scorer: CaptionScorer, monkeypatch: Patch) -> None:
    monkeypatch.setattr(ptb.PtbTokenizer, "tokenize", planted)
    with pytest.raises(MetricDrift, match=r"CIDEr gives .* instead of 2\.8865.* 'tokens and IDF'"):
        scorer.verify()


@pytest.mark.parametrize("side", ["candidates", "references"])
def test_a_tokenizer_that_is_skipped_on_one_side(side: str, scorer: CaptionScorer, monkeypatch: Patch) -> None:
    real = CaptionScorer._corpus_scores

    def plant(self: CaptionScorer, own: list[str], theirs: list[list[str]], others: list[list[str]]) -> Any:
        if side == "candidates":
            own = [f"{text} ." for text in own]
        else:
            theirs = [[f"{text} ." for text in group] for group in theirs]
        return real(self, own, theirs, others)

    monkeypatch.setattr(CaptionScorer, "_corpus_scores", plant)
    with pytest.raises(MetricDrift, match="CIDEr gives"):
        scorer.verify()


# 2. IDF from one pair


def test_an_idf_from_one_pair(scorer: CaptionScorer, monkeypatch: Patch) -> None:
    """Each image is scored alone, as where a per-sample metric is averaged."""
    real = CaptionScorer._corpus_scores

    def alone(self: CaptionScorer, own: list[str], theirs: list[list[str]], others: list[list[str]]) -> Any:
        values = [real(self, [o], [t], [])["CIDEr"].value for o, t in zip(own, theirs, strict=True)]
        return {**real(self, own, theirs, others), "CIDEr": MeanStatistics(np.array(values))}

    monkeypatch.setattr(CaptionScorer, "_corpus_scores", alone)
    with pytest.raises(MetricDrift, match=r"CIDEr gives 0\.0 instead of 2\.8865"):
        scorer.verify()


def test_an_idf_from_the_scored_part_alone(scorer: CaptionScorer, monkeypatch: Patch) -> None:
    real = ngrams.pack_captions
    monkeypatch.setattr(ngrams, "pack_captions", lambda own, theirs, others=(): real(own, theirs))
    with pytest.raises(MetricDrift, match=r"CIDEr gives .* instead of 3\.3655.* 'a part of tokens and IDF'"):
        scorer.verify()


# 3. AP with crowd ignored


def ordinary(annotations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**annotation, "iscrowd": 0} for annotation in annotations]


def dropped(annotations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [annotation for annotation in annotations if not annotation["iscrowd"]]


@pytest.mark.parametrize("planted", [ordinary, dropped])
@pytest.mark.parametrize("iou", ["bbox", "segm"])
@pytest.mark.parametrize("engine", ["hotcoco", "pycocotools"])
def test_crowds_ignored(planted: Callable[[Any], Any], iou: str, engine: str, monkeypatch: Patch) -> None:
    check_detection_metrics(engine, iou)
    real = detection_truth.DetectionTruth.whole.__func__  # type: ignore[attr-defined]

    def whole(cls: type, instances: Mapping[str, Any], *rest: Any) -> Any:
        return real(cls, {**instances, "annotations": planted(instances["annotations"])}, *rest)

    monkeypatch.setattr(detection_truth.DetectionTruth, "whole", classmethod(whole))
    with pytest.raises(MetricDrift, match=rf"AP.* gives .* '{iou} with {engine}'"):
        check_detection_metrics(engine, iou)


def test_crowd_segments_ignored(monkeypatch: Patch) -> None:
    check_segmentation_metrics(panoptic=True)
    real = panoptic_segments.SegmentMap
    monkeypatch.setattr(
        panoptic_segments, "SegmentMap", lambda ids, infos: real(ids, [{**info, "iscrowd": 0} for info in infos])
    )
    monkeypatch.setattr("harness.metrics.maps.panoptic.SegmentMap", panoptic_segments.SegmentMap)
    with pytest.raises(MetricDrift, match="PQ gives"):
        check_segmentation_metrics(panoptic=True)


# 4. Wrong resize filter


@pytest.mark.parametrize("asked", FILTERS)
@pytest.mark.parametrize("planted", FILTERS)
def test_a_wrong_filter(asked: str, planted: str, monkeypatch: Patch) -> None:
    plant_preprocessing(
        monkeypatch, lambda wish: replace(wish, interpolation=planted) if wish.interpolation == asked else wish
    )
    if asked == planted:
        check_resizing()
        return
    message = rf"fit crop and filter {asked} differs: .*, known is .*; it is what fit crop and filter {planted} give"
    with pytest.raises(PreprocessingDrift, match=message):
        check_resizing()


@pytest.mark.parametrize(
    ("asked", "planted"), [("crop", "squash"), ("squash", "pad"), ("pad", "squash"), ("squash", "crop")]
)
def test_a_wrong_fit(asked: str, planted: str, monkeypatch: Patch) -> None:
    plant_preprocessing(monkeypatch, lambda wish: replace(wish, fit=planted) if wish.fit == asked else wish)
    with pytest.raises(PreprocessingDrift, match=f"fit {asked} and filter nearest differs"):
        check_resizing()


def test_a_filter_that_does_not_smooth(monkeypatch: Patch) -> None:
    """As cv2 and torch without antialiasing resize: each pixel from its next neighbours only."""
    import torch
    from PIL import Image

    def plain(image: Any, wish: Preprocessing) -> Any:
        pixels = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None].float()
        small = torch.nn.functional.interpolate(pixels, (wish.size, wish.size), mode="bilinear")
        return Image.fromarray(small[0].round().byte().permute(1, 2, 0).numpy())

    real = images.fit_image
    monkeypatch.setattr(
        images, "fit_image", lambda image, wish: (plain if wish.interpolation == "bilinear" else real)(image, wish)
    )
    with pytest.raises(PreprocessingDrift, match="filter bilinear differs"):
        check_resizing()


def plant_preprocessing(monkeypatch: Patch, change: Callable[[Preprocessing], Preprocessing]) -> None:
    real = images.fit_image
    monkeypatch.setattr(images, "fit_image", lambda image, wish: real(image, change(wish)))


# 5. Mean and std swapped


def tower(kind: str = "TimmTower") -> Any:
    """A real tower with random weights."""
    import timm
    import torch
    from torch import nn

    from baselines.clip.tower import ClipTower
    from baselines.pretrained.processor_tower import ProcessorTower
    from baselines.vision.timm_tower import TimmTower

    torch.manual_seed(0)
    wanted = Preprocessing(32, mean=MEAN, std=STD)
    if kind == "TimmTower":
        return TimmTower(timm.create_model("test_resnet", num_classes=0), wanted, "key")
    if kind == "ClipTower":
        return ClipTower(nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 4)), wanted, "digest")
    return ProcessorTower(wanted, "digest")


@pytest.mark.parametrize("kind", ["TimmTower", "ClipTower", "ProcessorTower"])
def test_mean_and_std_swapped(kind: str) -> None:
    import torch

    planted = tower(kind)
    check_tower(planted, "cpu")
    pixels = torch.randint(0, 256, (1, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    planted.eval()
    before = planted(pixels)
    planted.mean, planted.std = planted.std, planted.mean
    with pytest.raises(PreprocessingDrift, match=rf"{kind} normalises red 10 to .* instead of -1\.94\d*: .*mean and"):
        check_tower(planted, "cpu")
    assert not torch.allclose(planted(pixels), before), "what is checked is what the network is given"


@pytest.mark.parametrize("planted", ["mean in levels", "no mean", "no std", "channels of std"])
def test_other_faults_of_normalisation(planted: str, monkeypatch: Patch) -> None:
    faulty = tower()
    if planted == "mean in levels":
        monkeypatch.setattr(type(faulty), "normalized", lambda self, pixels: (pixels.float() - self.mean) / self.std)
    elif planted == "no mean":
        faulty.mean = faulty.mean * 0
    elif planted == "no std":
        faulty.std = faulty.std * 0 + 1
    else:
        faulty.std = faulty.std.flip(1) + 0
    with pytest.raises(PreprocessingDrift, match="TimmTower normalises"):
        check_tower(faulty, "cpu")


# 6. CLIPScore without its factor


def test_clip_score_without_its_factor(monkeypatch: Patch) -> None:
    monkeypatch.setattr(clip_score, "FACTOR", 1.0)
    with pytest.raises(MetricDrift, match=r"CLIPScore gives 0\.64 instead of 1\.6"):
        check_clip_score()


def test_clip_score_without_its_prefix(monkeypatch: Patch) -> None:
    monkeypatch.setattr(clip_score, "with_prefix", list)
    with pytest.raises(MetricDrift, match="CLIPScore gives"):
        check_clip_score()


def test_clip_score_that_is_not_clipped(monkeypatch: Patch) -> None:
    monkeypatch.setattr(clip_score.np, "clip", lambda values, low, high: values)
    with pytest.raises(MetricDrift, match=r"CLIPScore gives 0\.97.* instead of 1\.6"):
        check_clip_score()


def test_clip_score_of_embeddings_that_are_not_of_unit_length(monkeypatch: Patch) -> None:
    monkeypatch.setattr(clip_score, "_unit", lambda vectors, what: vectors)
    with pytest.raises(MetricDrift, match="CLIPScore gives"):
        check_clip_score()


# 7. BGR for RGB


@pytest.mark.parametrize("place", ["to_channels_first", "upright_rgb", "read_image"])
def test_bgr_for_rgb(place: str, monkeypatch: Patch) -> None:
    from PIL import Image

    real = getattr(images, place)

    def planted(*arguments: Any) -> Any:
        given = real(*arguments)
        if isinstance(given, np.ndarray):
            return given[::-1].copy()
        return Image.fromarray(np.asarray(given)[..., ::-1].copy())

    monkeypatch.setattr(images, place, planted)
    with pytest.raises(PreprocessingDrift, match=r"red and blue are exchanged \(BGR for RGB\)"):
        check_resizing()


def test_bgr_for_rgb_in_a_tower(monkeypatch: Patch) -> None:
    faulty = tower()
    real = type(faulty).normalized
    monkeypatch.setattr(type(faulty), "normalized", lambda self, pixels: real(self, pixels.flip(1)))
    with pytest.raises(PreprocessingDrift, match="TimmTower normalises red 10"):
        check_tower(faulty, "cpu")
