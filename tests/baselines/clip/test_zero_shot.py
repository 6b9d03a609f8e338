"""Zero-shot with open_clip models: open_clip's own answers, for every kind of architecture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from baselines.clip import catalog
from baselines.pretrained.catalog import parse_model_name
from harness.errors import CheckpointError, UsageError
from harness.inputs.images import fit_image
from harness.jobs.train import trained_state
from harness.protocols import Learner
from harness.sample import Batch, Classes, TaskSpec

from .conftest import KINDS, NAMES, SEVERAL, SPEC, TARGETS, TEMPLATES, image_batch, rows_of

Folders = Callable[[str], Path]


def pictures() -> list[Image.Image]:
    generator = torch.Generator().manual_seed(11)
    images = []
    for width, height in ((64, 48), (48, 72), (40, 40), (100, 50)):
        coarse = torch.randint(0, 256, (6, 6, 3), generator=generator, dtype=torch.uint8)
        images.append(Image.fromarray(coarse.numpy()).resize((width, height), Image.Resampling.BICUBIC))
    return images


@pytest.mark.parametrize("kind", KINDS)
def test_answers_equal_a_plain_loop_of_open_clip(kind: str, folders: Folders, context: Any) -> None:
    name = f"local-dir:{folders(kind)}"
    learner: Any = parse_model_name(f"open_clip:{name}").build(SPEC, context()).eval()  # type: ignore[attr-defined]
    assert isinstance(learner, Learner) and learner.vision_frozen
    model, _, preprocess = open_clip.create_model_and_transforms(name)
    model.eval()
    classifier = open_clip.build_zero_shot_classifier(model, open_clip.get_tokenizer(name), NAMES, TEMPLATES)
    for image in pictures():
        pixels = torch.from_numpy(np.array(fit_image(image, learner.vision.preprocessing))).permute(2, 0, 1)[None]
        with torch.inference_mode():
            features = model.encode_image(preprocess(image)[None], normalize=True)
            expected = (model.logit_scale.exp() * features @ classifier).softmax(dim=1)
            answer = learner.predict(Batch(("0",), learner.vision(pixels), (None,)))
        np.testing.assert_allclose(answer, expected.numpy(), atol=2e-5)
    assert max(answer[0]) > 1.05 / 6


@pytest.mark.parametrize("kind", KINDS)
def test_answers_do_not_depend_on_the_batch(kind: str, build: Any) -> None:
    learner = build(catalog.clip_zero_shot, kind)
    batch = image_batch(learner, 7)
    assert batch.visual is not None and batch.visual.shape == (7, learner.vision.tokens, learner.vision.width)
    whole = np.array(learner.predict(rows_of(batch, slice(0, 7))))
    np.testing.assert_allclose(whole.sum(axis=1), 1, atol=1e-9)
    for size in (1, 3):
        parts = [learner.predict(rows_of(batch, slice(start, start + size))) for start in range(0, 7, size)]
        np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-5)


def test_nothing_is_trained_and_no_text_tower_is_left(build: Any, folders: Folders) -> None:
    learner = build(catalog.clip_zero_shot)
    assert not any(vars(learner.parameter_groups()).values())
    model = open_clip.create_model(f"local-dir:{folders('clip')}")
    own = sum(parameter.numel() for parameter in learner.parameters())
    assert own == sum(parameter.numel() for parameter in model.visual.parameters())
    assert trained_state(learner) == {}
    learner.train()
    assert not learner.vision.visual.training


def test_the_tower_key_names_the_weights(build: Any) -> None:
    keys = [build(catalog.clip_zero_shot, kind).vision.key for kind in ("clip", "custom", "resnet")]
    assert len(set(keys)) == 3
    assert build(catalog.clip_adapter, "clip").vision.key == keys[0]
    again = build(catalog.clip_zero_shot, "clip")
    assert again.vision.key == keys[0]


def test_several_classes_an_image(build: Any) -> None:
    with pytest.raises(UsageError, match=r"Zero-shot CLIP cannot answer.*several classes"):
        build(catalog.clip_zero_shot, "clip", spec=SEVERAL)
    learner = build(catalog.clip_zero_shot, "siglip", spec=SEVERAL)
    batch = image_batch(learner, 3)
    answers = torch.tensor(learner.predict(batch), dtype=torch.float64)
    features = torch.nn.functional.normalize(batch.visual[:, 0], dim=1)  # type: ignore[index]
    expected = (
        (torch.e * features @ learner.head.classes().T - 2.0).double().sigmoid()
    )  # its scale is exp(1), its bias -2
    torch.testing.assert_close(answers, expected, atol=1e-6, rtol=0)


def test_a_task_must_word_its_classes(build: Any) -> None:
    for classes in (Classes(("a", "b")), Classes(("a", "b"), (("a",), ()))):
        with pytest.raises(UsageError, match="no texts for its classes"):
            build(catalog.clip_zero_shot, spec=TaskSpec("image-classification", TARGETS, "labels", classes))


def test_a_clip_cannot_write(folders: Folders, context: Any) -> None:
    with pytest.raises(UsageError, match="only CoCa writes text"):
        parse_model_name(f"open_clip:local-dir:{folders('clip')}").build(TaskSpec("coco-caption", ()), context())


def test_the_tag_says_how_images_and_activations_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from baselines.clip import loading, source

    asked: dict[str, Any] = {}

    def create(name: str, weights: str | None, **options: Any) -> None:
        asked.update(options, name=name, weights=weights)
        raise RuntimeError("stop")

    monkeypatch.setattr(open_clip, "create_model_and_transforms", create)
    (tmp_path / "open_clip_model.safetensors").touch()
    monkeypatch.setattr(source, "find_cached", lambda *_: source.Checkpoint(tmp_path, "commit:1"))
    for name, gelu, mean in (("ViT-B-32/openai", True, 0.48145466), ("ViT-B-16-SigLIP/webli", False, 0.5)):
        with pytest.raises(CheckpointError, match="stop"):
            loading.load_open_clip(source.parse_source(name))
        assert asked["force_quick_gelu"] is gelu and asked["image_mean"][0] == mean
        assert asked["weights"] == str(tmp_path / "open_clip_model.safetensors")
        assert asked["weights_only"]
    assert asked["image_resize_mode"] == "squash"
