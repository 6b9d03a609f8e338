"""Classifiers of timm: names, weights, labels, preprocessing, and answers equal to timm's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file
from timm.data import create_transform, resolve_model_data_config
from timm.models import save_for_hf

from baselines.pretrained.timm_model import TimmModel, parse_timm_name
from harness.cell import DecodeOptions, ModelOptions, TrainOptions
from harness.errors import CheckpointError, MissingPath, UsageError, WeightsUnavailable
from harness.protocols import BuildContext, Model
from harness.sample import TaskSpec

from .taking import answers, classes, fitted, photographs

SHAPES = photographs([(256, 192), (192, 256), (200, 200), (256, 192)])
PETS = ("cat", "dog", "red_fox")


def build(name: str, names: tuple[str, ...], options: ModelOptions | None = None, **more: Any) -> Any:
    context = BuildContext(options or ModelOptions(), TrainOptions(), DecodeOptions(), 0, Path("unused"))
    return parse_timm_name(name).build(TaskSpec("image-classification", (), classes=classes(*names, **more)), context)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a tiny network with labels of its own, as timm does for a hub."""
    torch.manual_seed(5)
    network = timm.create_model("test_resnet", num_classes=3)
    made = tmp_path_factory.mktemp("timm")
    save_for_hf(network, made, {"num_classes": 3, "label_names": list(PETS)}, safe_serialization=True)
    return made


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save weights of an ImageNet classifier alone."""
    torch.manual_seed(6)
    path = tmp_path_factory.mktemp("weights") / "resnet.safetensors"
    save_file(timm.create_model("test_resnet").state_dict(), path)
    return path


def test_a_folder_answers_as_timm_does(folder: Path) -> None:
    own = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    transform = create_transform(**resolve_model_data_config(own), is_training=False)
    learner = build(f"timm:{folder}", ("dog", "Red Fox", "gnu", "cat"))
    together = answers(learner, SHAPES)
    for image, answer in zip(SHAPES, together, strict=True):
        expected_pixels = transform(image)[None]
        torch.testing.assert_close(learner.vision(fitted(learner, [image])), expected_pixels, atol=1e-5, rtol=0)
        with torch.inference_mode():
            expected = own(expected_pixels)[0, [1, 2, 0]].softmax(0).tolist()
        np.testing.assert_allclose(answer, [expected[0], expected[1], 0, expected[2]], atol=1e-5)
    for batch_size in (1, 3):
        np.testing.assert_allclose(answers(learner, SHAPES, batch_size), together, atol=1e-5)


def test_a_file_of_weights_has_imagenets_labels(file: Path) -> None:
    args = {"size": 96, "crop": 1.0, "fit": "squash", "interpolation": "bilinear", "mean": "0.5", "std": "0.5"}
    options = ModelOptions(vision_weights=str(file), vision_args=args)
    learner = build("timm:test_resnet", ("goldfish", "n01440764", "great white shark"), options)
    assert learner._kept == [0, 1, 2]
    assert learner._class_of_kept == [1, 0, 2]
    geometry = learner.vision.preprocessing
    assert (geometry.size, geometry.fit, geometry.interpolation, geometry.mean) == (
        96,
        "squash",
        "bilinear",
        (0.5,) * 3,
    )
    assert np.array(answers(learner, SHAPES)).sum(axis=1) == pytest.approx(1)
    recipe = dict(parse_timm_name("timm:test_resnet").recipe(options))
    assert json.loads(json.dumps(recipe)) == recipe
    other = ModelOptions(vision_weights=str(file), vision_args={**args, "size": 64})
    assert parse_timm_name("timm:test_resnet").recipe(other) != recipe


@pytest.mark.parametrize(
    ("name", "args", "error", "message"),
    [
        (
            "timm:test_resnet",
            {"num_classes": 7},
            CheckpointError,
            "does not fit test_resnet with its head.*num_classes=N",
        ),
        ("timm:test_vit", {}, CheckpointError, "does not fit test_vit"),
        ("timm:test_resnet", {"colour": 7}, UsageError, "--vision-args for test_resnet.*colour"),
        ("timm:test_resnot", {}, UsageError, "Unknown timm model 'test_resnot'. Did you mean 'test_resnet'"),
        ("timm:test_resnet", {"fit": "pad"}, UsageError, "cannot be done here"),
        ("timm:test_resnet", {"fit": "squash"}, UsageError, "squash and crop_pct 1"),
    ],
)
def test_weights_and_keywords_that_do_not_fit_are_refused(
    name: str, args: dict[str, Any], error: type[Exception], message: str, file: Path
) -> None:
    with pytest.raises(error, match=message):
        build(name, ("goldfish",), ModelOptions(vision_weights=str(file), vision_args=args))


def test_a_pickle_and_a_folder_without_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"no model\.safetensors.*a pickle can run code"):
        parse_timm_name(f"timm:{tmp_path}").recipe(ModelOptions())
    with pytest.raises(CheckpointError, match=r"\.bin is not taken"):
        parse_timm_name("timm:test_resnet").recipe(ModelOptions(vision_weights=str(tmp_path / "pytorch_model.bin")))
    with pytest.raises(MissingPath, match="no folder"):
        parse_timm_name("timm:./not-there").recipe(ModelOptions())
    (tmp_path / "config.json").write_text("{}")
    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="not a configuration of timm"):
        build(f"timm:{tmp_path}", PETS)
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(CheckpointError, match="cannot be loaded as test_resnet"):
        build(f"timm:{tmp_path}", PETS)


def test_labels_that_nobody_knows_are_refused(folder: Path, tmp_path: Path) -> None:
    save_for_hf(timm.create_model("test_resnet", num_classes=3), tmp_path, {"num_classes": 3}, safe_serialization=True)
    with pytest.raises(UsageError, match=r"has 3 outputs.*Add label_names"):
        build(f"timm:{tmp_path}", PETS)
    with pytest.raises(UsageError, match=r"None of the 1 classes \('gnu'\).*3 labels of test_resnet"):
        build(f"timm:{folder}", ("gnu",))
    with pytest.raises(UsageError, match="multi-label"):
        build(f"timm:{folder}", PETS, multilabel=True)


@pytest.mark.parametrize(
    ("name", "repository"),
    [
        ("timm:resnet50.a1_in1k", "timm/resnet50.a1_in1k"),
        ("timm:timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k", "timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k"),
        ("timm:hf-hub:somebody/birds", "somebody/birds"),
    ],
)
def test_names_of_the_hub(
    name: str, repository: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    model = parse_timm_name(name)
    assert isinstance(model, Model)
    assert (model.name, model.repository, model.answers) == (name, repository, ("labels",))
    with pytest.raises(WeightsUnavailable, match=f"{repository} is not in the cache"):
        model.recipe(ModelOptions())
    never = TimmModel("timm-x", "a summary", repository, downloads=False)
    with pytest.raises(WeightsUnavailable, match=f"hf download {repository}.*timm:{repository}"):
        never.recipe(ModelOptions())
    home = tmp_path / f"models--{repository.replace('/', '--')}"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text("abc")
    (home / "snapshots").mkdir()
    (home / "snapshots" / "abc").symlink_to(folder)
    assert never.recipe(ModelOptions())["weights"] == "commit:abc"
    assert answers(build(name, PETS), SHAPES[:1]) == answers(build(f"timm:{folder}", PETS), SHAPES[:1])


@pytest.mark.parametrize("name", ["timm:", "timm:a/b/c", "timm:two words", "timm:.."])
def test_malformed_names(name: str) -> None:
    with pytest.raises((UsageError, CheckpointError), match=r"names no model of timm.*Wanted timm:|has no config"):
        parse_timm_name(name).recipe(ModelOptions())


def test_an_architecture_alone_says_what_is_missing(file: Path) -> None:
    model = parse_timm_name("timm:resnet50")
    with pytest.raises(UsageError, match=r"without weights.*--vision-weights FILE"):
        model.recipe(ModelOptions())
    with pytest.raises(UsageError, match="without weights"):  # the weights are another backbone's
        model.recipe(ModelOptions(vision="resnet18", vision_weights=str(file)))
    with pytest.raises(UsageError, match="no control 'C1'"):
        model.with_control("C1")
    assert model.controls_for("labels") == ()
    assert model.prerequisite(ModelOptions()) is None


def test_a_repository_does_not_take_another_backbones_weights(folder: Path, file: Path) -> None:
    plain = parse_timm_name(f"timm:{folder}").recipe(ModelOptions())
    assert parse_timm_name(f"timm:{folder}").recipe(ModelOptions(vision_weights=str(file))) == plain
