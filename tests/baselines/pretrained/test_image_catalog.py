"""Which networks of transformers serve which task, what their names mean, and what is said of all others."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants

from baselines.load_options import FOR_WEIGHTS, LOAD_SETTINGS
from baselines.pretrained import image_catalog
from baselines.pretrained.architectures import (
    ANSWERS,
    ARCHITECTURE_KINDS,
    CAPTIONER,
    CLASSIFIER,
    DETECTOR,
    GROUNDING_DETECTOR,
    OWL_DETECTOR,
    SEGMENTER,
    TASK_SEGMENTER,
    TEXT_SEGMENTER,
    UNIVERSAL_SEGMENTER,
    ArchitectureKind,
    architecture_kind_of,
)
from baselines.pretrained.catalog import parse_model_name
from harness.cell import ModelOptions
from harness.errors import CheckpointError, UsageError, WeightsUnavailable
from harness.protocols import Model

from .taking import OBJECTS, Folders, build, classes

NAMED = [value for name, value in vars(image_catalog).items() if name.startswith(("HF_", "TIMM_"))]


def test_every_named_model_is_one_and_says_how_to_get_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a network was used"))
    assert {model.name for model in NAMED} == {
        "hf-vit", "hf-detr", "hf-rtdetr", "hf-owlvit", "hf-owlv2", "hf-grounding-dino", "hf-segformer", "hf-oneformer",
        "hf-clipseg", "timm-resnet50",
    }  # fmt: skip
    for model in NAMED:
        assert isinstance(model, Model)
        assert len(model.answers) == 1
        assert model.settings == (FOR_WEIGHTS if model.name.startswith("timm-") else LOAD_SETTINGS)
        assert model.controls_for(model.answers[0]) == ()
        message = rf"^weights not available: .*hf download {model.repository}.*--model (hf|timm):{model.repository}`"
        with pytest.raises(WeightsUnavailable, match=message):
            model.recipe(ModelOptions(answers=model.answers[0]))


@pytest.mark.parametrize(
    ("group", "kind"),
    [
        ("OBJECT_DETECTION", DETECTOR),
        ("SEMANTIC_SEGMENTATION", SEGMENTER),
        ("IMAGE_CLASSIFICATION", CLASSIFIER),
        ("IMAGE_TEXT_TO_TEXT", CAPTIONER),
    ],
)
def test_the_librarys_own_classes_are_of_the_right_kind(group: str, kind: ArchitectureKind) -> None:
    from transformers.models.auto import modeling_auto

    names = [name for value in getattr(modeling_auto, f"MODEL_FOR_{group}_MAPPING_NAMES").values() for name in (
        (value,) if isinstance(value, str) else value)]  # fmt: skip
    documents = re.compile("PPOCR|PPDocLayout|ProteinText2Text|BlockDiffusion|NemotronH")
    chosen = [name for name in names if not documents.search(name)]
    assert len(chosen) >= 10
    assert {architecture_kind_of([name]) for name in chosen} == {kind}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("OwlViTForObjectDetection", OWL_DETECTOR),
        ("Owlv2ForObjectDetection", OWL_DETECTOR),
        ("GroundingDinoForObjectDetection", GROUNDING_DETECTOR),
        ("MMGroundingDinoForObjectDetection", GROUNDING_DETECTOR),
        ("MaskFormerForInstanceSegmentation", UNIVERSAL_SEGMENTER),
        ("Mask2FormerForUniversalSegmentation", UNIVERSAL_SEGMENTER),
        ("OneFormerForUniversalSegmentation", TASK_SEGMENTER),
        ("CLIPSegForImageSegmentation", TEXT_SEGMENTER),
        ("VisionEncoderDecoderModel", CAPTIONER),
        ("OmDetTurboForObjectDetection", None),
        ("CLIPModel", None),
        ("ViTModel", None),
    ],
)
def test_kinds_by_class(name: str, kind: ArchitectureKind | None) -> None:
    assert architecture_kind_of([name]) is kind


def test_every_kind_has_a_loader_and_an_example() -> None:
    assert all(callable(kind.load) for kind in ARCHITECTURE_KINDS)
    assert all(kind.example.count("/") == 1 for kind in ARCHITECTURE_KINDS)
    assert set(ANSWERS) == {"captions", "choices", "labels", "boxes", "maps"}


@pytest.mark.parametrize(
    ("name", "kind", "fused"),
    [
        ("vit", "labels", False),
        ("detr", "boxes", False),
        ("owlv2", "boxes", True),
        ("grounding_dino", "boxes", True),
        ("segformer", "maps", False),
        ("oneformer", "maps", True),
        ("clipseg", "maps", True),
        ("blip", "captions", True),
    ],
)
def test_a_folder_answers_as_its_architecture_does(name: str, kind: str, fused: bool, checkpoint: Folders) -> None:
    model = parse_model_name(f"hf:{checkpoint(name)}")
    assert isinstance(model, Model)
    assert (model.answers, model.fused) == ((kind, "choices") if kind == "captions" else (kind,), fused)
    recipe = dict(model.recipe(ModelOptions(answers=kind)))
    assert json.loads(json.dumps(recipe)) == recipe
    assert str(recipe["weights"]).startswith("sha256:")


def test_another_answer_is_refused_with_models_that_give_it(checkpoint: Folders) -> None:
    model = parse_model_name(f"hf:{checkpoint('vit')}")
    message = r"is a classifier and answers with labels, not with boxes.*hf:facebook/detr-resnet-50"
    with pytest.raises(UsageError, match=message):
        model.recipe(ModelOptions(answers="boxes"))
    with pytest.raises(UsageError, match=message):
        build(checkpoint("vit"), classes(*OBJECTS), "boxes")
    with pytest.raises(UsageError, match="No model of transformers answers with labels:unseen"):
        model.recipe(ModelOptions(answers="labels:unseen"))


def test_a_repository_that_is_not_here_may_be_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    model = parse_model_name("hf:facebook/detr-resnet-101")
    assert model.answers == ANSWERS
    with pytest.raises(WeightsUnavailable, match="HF_HUB_OFFLINE is set"):
        model.recipe(ModelOptions(answers="boxes"))


def test_a_repository_on_the_hub_is_asked_what_it_is_before_it_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: Folders
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)

    class Information:
        sha = "abc"

    asked: list[list[str]] = []

    def snapshot(repository: str, allow_patterns: list[str], revision: str) -> str:
        assert revision == "abc", "the commit that the fingerprint names, not the branch as it is by now"
        asked.append(allow_patterns)
        return str(checkpoint("detr"))

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *_, **__: Information())
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    model = parse_model_name("hf:somebody/detector")
    recipe = model.recipe(ModelOptions(answers="boxes"))
    assert (recipe["kind"], recipe["weights"], asked) == ("detector", "commit:abc", [["config.json"]])
    with pytest.raises(UsageError, match="is a detector and answers with boxes, not with captions"):
        model.recipe(ModelOptions(answers="captions"))


def test_a_cached_repository_is_known_by_its_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    home = tmp_path / "models--somebody--thing"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text("abc")
    (home / "snapshots" / "abc").mkdir(parents=True)
    (home / "snapshots" / "abc" / "config.json").write_text('{"architectures": ["YolosForObjectDetection"]}')
    assert parse_model_name("hf:somebody/thing").answers == ("boxes",)


@pytest.mark.parametrize(
    ("config", "error", "message"),
    [
        ('{"architectures": ["BertModel"]}', UsageError, "is BertModel .*Served are captioners.*open_clip"),
        ("{}", UsageError, "of no named architecture"),
        ('{"architecture": "resnet50", "num_classes": 3}', UsageError, "a checkpoint of timm.*Name it as timm:/"),
        ("[]", CheckpointError, "not a transformers configuration"),
        ("no JSON", CheckpointError, "not a transformers configuration"),
        ('{"architectures": 3}', CheckpointError, "not a transformers configuration"),
    ],
)
def test_other_configurations_say_what_was_seen(
    config: str, error: type[Exception], message: str, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(error, match=message):
        parse_model_name(f"hf:{tmp_path}")


def test_weights_as_a_pickle_are_refused(checkpoint: Folders, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(checkpoint("detr"), folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"pickle only.*save_pretrained"):
        parse_model_name(f"hf:{folder}").recipe(ModelOptions(answers="boxes"))
    with pytest.raises(CheckpointError, match=r"pickle only"):
        build(folder, classes(*OBJECTS))


def test_the_catalogue_needs_neither_torch_nor_time() -> None:
    program = """
import sys, time
started = time.process_time()
from baselines.pretrained import catalog, image_catalog
from baselines.pretrained.timm_model import parse_timm_name
from harness.cell import ModelOptions
from harness.errors import WeightsUnavailable
for name, model in list(vars(image_catalog).items()):
    if name.startswith(("HF_", "TIMM_")):
        try:
            model.recipe(ModelOptions(answers=model.answers[0]))
        except WeightsUnavailable:
            pass
heavy = {"torch", "transformers", "numpy", "timm", "open_clip"} & set(sys.modules)
print(time.process_time() - started, *sorted(heavy))
"""
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": "/nowhere", "PATH": ""}
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    ).stdout.split()
    assert len(answer) == 1
    assert float(answer[0]) < 1.0
