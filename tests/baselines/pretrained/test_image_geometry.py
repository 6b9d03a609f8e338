"""What a network sees equals what the checkpoint's own processor gives, for images of every shape."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from baselines.pretrained.image_geometry import find_tower, find_tower_or_none, square_canvas_tower
from baselines.pretrained.processor_tower import equal_extents
from baselines.pretrained.transformers_loading import load_image_processor
from harness.errors import UsageError
from harness.sample import Preprocessing

from .taking import fitted, photographs, seen

ANY = ("crop", "squash", "pad")
SHAPES = photographs([(64, 48), (48, 64), (50, 50), (120, 40), (33, 90), (640, 480), (31, 37), (49, 48)])


class Seeing:
    """Stands for a learner with a tower."""

    def __init__(self, tower: Any) -> None:
        self.vision = tower


def saved(processor: Any, folder: Path) -> Any:
    """Save a processor and load it as checkpoints' are."""
    processor.save_pretrained(folder)
    return load_image_processor(folder)


def squares() -> dict[str, Any]:
    import transformers as library

    return {
        "vit": library.ViTImageProcessor(size={"height": 40, "width": 40}),
        "no mean": library.ViTImageProcessor(size={"height": 40, "width": 40}, do_normalize=False),
        "bytes": library.ViTImageProcessor(size={"height": 40, "width": 40}, do_rescale=False),
        "clip": library.CLIPImageProcessor(size={"shortest_edge": 40}, crop_size={"height": 32, "width": 32}),
        "convnext": library.ConvNextImageProcessor(size={"shortest_edge": 28}, crop_pct=0.875),
        "convnext large": library.ConvNextImageProcessor(size={"shortest_edge": 384}),
        "poolformer": library.PoolFormerImageProcessor(
            size={"shortest_edge": 36}, crop_size={"height": 36, "width": 36}
        ),
        "levit": library.LevitImageProcessor(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}),
        "efficientnet": library.EfficientNetImageProcessor(size={"height": 40, "width": 40}, rescale_offset=True),
        "dpt": library.DPTImageProcessor(size={"height": 48, "width": 48}, ensure_multiple_of=16),
        "rt-detr": library.RTDetrImageProcessor(size={"height": 64, "width": 64}),
    }


def keeping_aspect() -> dict[str, Any]:
    import transformers as library

    edges = {"shortest_edge": 48, "longest_edge": 80}
    return {
        "detr": library.DetrImageProcessor(size=edges),
        "deformable": library.DeformableDetrImageProcessor(size=edges, resample=3),
        "yolos": library.YolosImageProcessor(size=edges),
        "grounding dino": library.GroundingDinoImageProcessor(size=edges),
        "maskformer": library.MaskFormerImageProcessor(size=edges, size_divisor=32),
        "maskformer without divisor": library.MaskFormerImageProcessor(size=edges, size_divisor=0),
        "oneformer": library.OneFormerImageProcessor(size=edges),
    }


@pytest.mark.parametrize("name", sorted(squares()))
def test_squares_equal_the_processors_own(name: str, tmp_path: Path) -> None:
    own = saved(squares()[name], tmp_path)
    tower = find_tower(own, "weights", ANY)
    assert tower.preprocessing.fit in ("crop", "squash")
    images = [image for image in SHAPES if tower.preprocessing.fit != "crop" or _centred(tower.preprocessing, image)]
    assert len(images) >= 3
    for image in images:
        expected = own(image, return_tensors="pt")["pixel_values"]
        torch.testing.assert_close(tower(fitted(Seeing(tower), [image])), expected, atol=1e-5, rtol=1e-6)


@pytest.mark.parametrize("name", sorted(keeping_aspect()))
def test_images_that_keep_their_aspect_equal_the_processors_own(name: str, tmp_path: Path) -> None:
    own = saved(keeping_aspect()[name], tmp_path)
    tower = find_tower(own, "weights", ANY)
    assert tower.preprocessing.fit == "pad"
    for image in SHAPES:
        expected = own(image, return_tensors="pt")["pixel_values"]
        torch.testing.assert_close(seen(Seeing(tower), image), expected, atol=1e-5, rtol=1e-6)


def test_a_photograph_for_detr_is_as_large_as_its_processor_makes_it(tmp_path: Path) -> None:
    from transformers import DetrImageProcessor

    own = saved(DetrImageProcessor(), tmp_path)
    tower = find_tower(own, "weights", ANY)
    assert tower.preprocessing.extent(640, 480) == (1066, 800)  # 1066.67, of which the harness's own rule makes 1067
    image = photographs([(640, 480)])[0]
    expected = own(image, return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(seen(Seeing(tower), image), expected, atol=1e-5, rtol=1e-6)


def test_no_image_is_larger_than_the_square(tmp_path: Path) -> None:
    for name, made in keeping_aspect().items():
        geometry = find_tower(saved(made, tmp_path / name), "weights", ANY).preprocessing
        for shorter in range(16, 60):
            for longer in range(shorter, 120):
                across, down = geometry.extent(longer, shorter)
                assert 1 <= down <= across <= geometry.size
                assert geometry.extent(shorter, longer) == (down, across)


def test_pixel_caches_of_different_rules_are_told_apart(tmp_path: Path) -> None:
    from harness.inputs.images import _key

    towers = [find_tower(saved(made, tmp_path / name), "w", ANY) for name, made in keeping_aspect().items()]
    rules = {(repr(tower.preprocessing.extent(97, 61)), tower.preprocessing.interpolation) for tower in towers}
    assert len({_key((), tower.preprocessing) for tower in towers}) >= len(rules) > 2
    plain = Preprocessing(80, fit="pad", shortest=48)
    assert _key((), plain) not in {_key((), tower.preprocessing) for tower in towers}


def test_owlv2_is_resized_before_it_is_padded(tmp_path: Path) -> None:
    from transformers import Owlv2ImageProcessor

    own = saved(Owlv2ImageProcessor(size={"height": 192, "width": 192}), tmp_path)
    tower = square_canvas_tower(own, "weights")
    grey_level = 1 / 255 / min(tower.preprocessing.std)
    for image in photographs([(96, 72), (72, 96), (96, 96)]):  # these grow: no smoothing
        expected = own(image, return_tensors="pt")["pixel_values"]
        found = tower(fitted(Seeing(tower), [image]))
        assert found.shape == expected.shape
        width, height = tower.preprocessing.extent(*image.size)
        inside = (slice(None), slice(None), slice(2, height - 2), slice(2, width - 2))
        assert float((found - expected)[inside].abs().max()) < 1.01 * grey_level
        torch.testing.assert_close(found[:, :, height + 2 :], expected[:, :, height + 2 :], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("ViTImageProcessor", {"size": {"height": 40, "width": 60}}),
        ("CLIPImageProcessor", {"size": {"shortest_edge": 40}, "do_center_crop": False}),
        ("BeitImageProcessor", {"size": {"height": 40, "width": 40}, "crop_size": 32, "do_center_crop": True}),
        ("DPTImageProcessor", {"size": {"height": 48, "width": 48}, "keep_aspect_ratio": True}),
        ("ViTImageProcessor", {"do_resize": False}),
        ("Idefics3ImageProcessor", {"size": {"longest_edge": 64}}),
    ],
)
def test_other_geometries_are_refused_and_nobody_is_squashed(
    kind: str, options: dict[str, Any], tmp_path: Path
) -> None:
    import transformers

    own = saved(getattr(transformers, kind)(**options), tmp_path)
    assert find_tower_or_none(own, "weights", ANY) is None
    with pytest.raises(UsageError, match=rf"{kind}.*size .*cannot be done here.*Change `size`"):
        find_tower(own, "weights", ANY)


def test_a_crop_is_refused_where_the_whole_image_is_wanted(tmp_path: Path) -> None:
    own = saved(squares()["clip"], tmp_path)
    with pytest.raises(UsageError, match="squash or pad"):
        find_tower(own, "weights", ("squash", "pad"))


def test_a_processor_of_older_versions_is_read(tmp_path: Path) -> None:
    content = {
        "do_normalize": True, "do_resize": True, "feature_extractor_type": "DetrFeatureExtractor",
        "format": "coco_detection", "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
        "max_size": 80, "size": 48,
    }  # fmt: skip
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(content))
    tower = find_tower(load_image_processor(tmp_path), "weights", ANY)
    assert (tower.preprocessing.shortest, tower.preprocessing.size) == (48, 80)


def test_the_fixed_images_hash_follows_the_geometry(tmp_path: Path) -> None:
    from harness.jobs.jobs import preprocessing_hash

    made = {**squares(), **keeping_aspect()}
    towers = [find_tower(saved(made[name], tmp_path / name), "w", ANY) for name in sorted(made)]
    hashes = [preprocessing_hash(Seeing(tower)) for tower in towers]  # type: ignore[arg-type]
    same = {(repr(tower.preprocessing.extent(160, 120)), repr(tower.preprocessing)) for tower in towers}
    assert None not in hashes
    assert len(set(hashes)) >= len(same) - 2  # two are the same to the pixel for this image
    assert hashes == [preprocessing_hash(Seeing(tower)) for tower in towers]  # type: ignore[arg-type]


def test_the_hash_knows_how_bytes_are_scaled(tmp_path: Path) -> None:
    from harness.jobs.jobs import preprocessing_hash

    hashes = set()
    for name in ("vit", "no mean", "bytes"):
        tower = find_tower(saved(squares()[name], tmp_path / name), "w", ANY)
        hashes.add(preprocessing_hash(Seeing(tower)))  # type: ignore[arg-type]
    assert len(hashes) == 3


def test_images_of_one_size_go_together_and_lose_their_padding() -> None:
    plain = Preprocessing(8, fit="pad")
    sizes = [(16, 8), (8, 16), (16, 8), (8, 8)]
    pixels = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 8, 8)
    groups = list(equal_extents(pixels, plain, sizes))
    assert [(rows, tuple(part.shape)) for rows, part in groups] == [
        ([0, 2], (2, 3, 4, 8)),
        ([1], (1, 3, 8, 4)),
        ([3], (1, 3, 8, 8)),
    ]
    assert [part[:, 0, 0, 0].tolist() for _, part in groups] == [[0, 2], [1], [3]]


def _centred(geometry: Preprocessing, image: Image.Image) -> bool:
    """Tell whether the crop lies in the middle exactly; elsewhere the two may lie one pixel apart."""
    shorter = int(geometry.size / geometry.crop_fraction)
    longer = int(shorter * max(image.size) / min(image.size))
    return (longer - geometry.size) % 2 == 0 and (shorter - geometry.size) % 2 == 0
