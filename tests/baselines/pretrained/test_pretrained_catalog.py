"""Names, recipes and absent weights, all without torch and without a network."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import constants

from baselines.load_options import LOAD_SETTINGS
from baselines.pretrained import catalog
from baselines.pretrained.catalog import parse_model_name
from baselines.weights.hub import download, find_cached
from harness.cell import ModelOptions
from harness.errors import CheckpointError, MissingPath, UsageError, WeightsUnavailable
from harness.protocols import Model

NAMED = (catalog.HF_BLIP, catalog.HF_GIT, catalog.HF_BLIP2, catalog.OPEN_CLIP_COCA)
COMMIT = "0123456789abcdef"
BLIP = '{"architectures": ["BlipForConditionalGeneration"]}'


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty Hugging Face cache, offline."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def put_in_cache(hub_cache: Path, repository: str, files: dict[str, str]) -> Path:
    home = hub_cache / f"models--{repository.replace('/', '--')}"
    folder = home / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(COMMIT)
    for name, content in files.items():
        (folder / name).write_text(content)
    return folder


def recipe(name: str, **settings: object) -> dict[str, object]:
    return dict(parse_model_name(name).recipe(ModelOptions(settings=settings)))


@pytest.mark.parametrize(
    "name",
    [
        "hf:Salesforce/blip-image-captioning-base",
        "hf:gpt2",
        "hf:./folder",
        "open_clip:coca_ViT-B-32/laion2b_s13b_b90k",
        "open_clip:coca_ViT-B-32/./weights.safetensors",
        "open_clip:coca_ViT-B-32/weights.pt",
        "open_clip:local-dir:/some/where",
    ],
)
def test_a_model_is_called_as_it_was_named(name: str) -> None:
    model = parse_model_name(name)
    assert isinstance(model, Model)
    assert model.name == name
    assert "captions" in model.answers
    assert model.prerequisite(ModelOptions()) is None
    with pytest.raises(UsageError, match="no control 'C1'"):
        model.with_control("C1")


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("hf:", "hf:Salesforce"),
        ("blip", "hf:Salesforce"),
        ("timm:resnet", "open_clip:coca"),
        ("hf:a/b/c", "a folder begins with"),
        ("hf:two words", "neither a repository nor a folder"),
        ("open_clip:coca_ViT-B-32", "ARCHITECTURE/TAG"),
        ("open_clip:coca_ViT-B-32/", "ARCHITECTURE/TAG"),
        ("open_clip:coca_ViT-B-32/laion2b", "Did you mean 'coca_ViT-B-32/laion2b_s13b_b90k'"),
        ("open_clip:ViT-B-23/openai", "Did you mean 'ViT-B-32'"),
        ("open_clip:local-dir:", "names no folder"),
    ],
)
def test_a_malformed_name_is_a_usage_error_with_a_remedy(name: str, remedy: str) -> None:
    with pytest.raises(UsageError, match=remedy):
        parse_model_name(name)


@pytest.mark.parametrize("model", NAMED, ids=lambda model: model.name)
def test_named_models_are_unavailable_without_weights_and_say_what_to_do(model: Model, hub_cache: Path) -> None:
    with pytest.raises(WeightsUnavailable, match=r"^weights not available: .*hf download .*--model (hf|open_clip):"):
        model.recipe(ModelOptions())


def test_named_models_do_not_ask_the_hub_even_online(hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a network was used"))
    for model in NAMED:
        with pytest.raises(WeightsUnavailable):
            model.recipe(ModelOptions())


def test_an_explicit_name_asks_the_hub_and_survives_its_silence(
    hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(WeightsUnavailable, match="HF_HUB_OFFLINE is set"):
        recipe("hf:Salesforce/blip-image-captioning-base")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    asked: list[str] = []

    def silent(self: object, repository: str, revision: str, timeout: float) -> None:
        asked.append(repository)
        raise TimeoutError

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", silent)
    with pytest.raises(WeightsUnavailable, match="the hub did not answer"):
        recipe("hf:Salesforce/blip-image-captioning-base")
    assert asked == ["Salesforce/blip-image-captioning-base"]


def test_a_cached_repository_is_named_by_its_commit(hub_cache: Path) -> None:
    folder = put_in_cache(hub_cache, "Salesforce/blip-image-captioning-base", {"config.json": BLIP})
    with pytest.raises(WeightsUnavailable):
        catalog.HF_BLIP.recipe(ModelOptions())
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}))
    (folder / "1.safetensors").touch()
    with pytest.raises(WeightsUnavailable):  # a download that was cut off
        catalog.HF_BLIP.recipe(ModelOptions())
    (folder / "2.safetensors").touch()
    assert catalog.HF_BLIP.recipe(ModelOptions())["weights"] == f"commit:{COMMIT}"
    assert recipe("hf:Salesforce/blip-image-captioning-base")["weights"] == f"commit:{COMMIT}"


def test_a_cached_open_clip_repository_is_named_by_its_commit(hub_cache: Path) -> None:
    repository = "laion/mscoco_finetuned_CoCa-ViT-B-32-laion2B-s13B-b90k"
    put_in_cache(hub_cache, repository, {"open_clip_pytorch_model.bin": ""})
    assert catalog.OPEN_CLIP_COCA.recipe(ModelOptions())["weights"] == f"commit:{COMMIT}"


def test_a_local_folder_is_named_by_its_content(checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(checkpoint("blip"), folder)
    before = recipe(f"hf:{folder}")
    assert str(before["weights"]).startswith("sha256:")
    assert before["weights"] == recipe(f"hf:{checkpoint('blip')}")["weights"]
    assert json.loads(json.dumps(before)) == before
    (folder / "preprocessor_config.json").write_text("{}")
    assert recipe(f"hf:{folder}")["weights"] != before["weights"]


def test_missing_and_unsafe_folders_are_told_apart(tmp_path: Path, coca_folder: Path) -> None:
    for name in ("hf:./not-there", "open_clip:local-dir:./not-there", "open_clip:coca_ViT-B-32/./no.pt"):
        with pytest.raises(MissingPath, match="There is no"):
            recipe(name)
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        recipe(f"hf:{tmp_path}")
    with pytest.raises(CheckpointError, match="not an open_clip configuration"):
        recipe(f"open_clip:local-dir:{tmp_path}")
    (tmp_path / "config.json").write_text(BLIP)
    with pytest.raises(CheckpointError, match=r"no .*safetensors"):
        recipe(f"hf:{tmp_path}")
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(CheckpointError, match=r"pickle only.*save_pretrained"):
        recipe(f"hf:{tmp_path}")
    assert str(recipe(f"open_clip:local-dir:{coca_folder}")["weights"]).startswith("sha256:")


def test_a_folder_of_another_open_clip_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": {"text_cfg": {}}}))
    model = parse_model_name(f"open_clip:local-dir:{tmp_path}")
    assert "captions" not in model.answers
    with pytest.raises(UsageError, match="not a CoCa"):
        model.recipe(ModelOptions(answers="captions"))


def test_settings_are_checked(checkpoint: Callable[[str], Path]) -> None:
    name = f"hf:{checkpoint('blip')}"
    assert recipe(name, prompt="a photo of", rank=4)["prompt"] == "a photo of"
    assert set(parse_model_name(name).settings) == {"prompt", "image_size", "option_score", *LOAD_SETTINGS}
    with pytest.raises(UsageError, match="number of pixels"):
        recipe(name, image_size="big")
    with pytest.raises(UsageError, match="wanted text"):
        recipe(name, prompt=3)


def test_the_catalog_and_its_recipes_need_neither_torch_nor_time() -> None:
    program = """
import sys, time
started = time.process_time()
from baselines.pretrained import catalog
from harness.cell import ModelOptions
from harness.errors import WeightsUnavailable
for model in (catalog.HF_BLIP, catalog.HF_GIT, catalog.HF_BLIP2, catalog.OPEN_CLIP_COCA):
    try:
        model.recipe(ModelOptions())
    except WeightsUnavailable:
        pass
heavy = {"torch", "transformers", "numpy", "open_clip"} & set(sys.modules)
print(time.process_time() - started, *sorted(heavy))
"""
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": "/nowhere", "PATH": ""}
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    ).stdout.split()
    assert len(answer) == 1
    assert float(answer[0]) < 1.0  # 0.15 on an idle machine


def test_a_revision_can_be_asked_for_and_the_digest_names_its_commit(hub_cache: Path) -> None:
    config = '{"architectures": ["YolosForObjectDetection"]}'
    old, older = "1" * 40, "2" * 40
    folder = put_in_cache(hub_cache, "somebody/thing", {"config.json": config})
    for commit in (old, older):
        (folder.parent / commit).mkdir()
        (folder.parent / commit / "config.json").write_text(config)
    (folder.parents[1] / "refs" / "v1").write_text(old)
    found = {
        wish: find_cached(f"somebody/thing{wish}") for wish in ("", "@main", "@v1", f"@{older}", "@v2", "@" + "3" * 40)
    }
    digests = [None if each is None else each.digest for each in found.values()]
    assert digests == [f"commit:{COMMIT}", f"commit:{COMMIT}", f"commit:{old}", f"commit:{older}", None, None]
    assert parse_model_name("hf:somebody/thing@v1").repository == "somebody/thing@v1"
    with pytest.raises(WeightsUnavailable, match=r"hf download somebody/thing --revision v2"):
        parse_model_name("hf:somebody/thing@v2").recipe(ModelOptions())


def test_a_download_is_that_of_the_commit_in_the_fingerprint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[tuple[str, str]] = []

    def snapshot(repository: str, revision: str, allow_patterns: list[str]) -> str:
        asked.append((repository, revision))
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    download("somebody/thing@v1", ("*.json",), f"commit:{COMMIT}")
    assert asked == [("somebody/thing", COMMIT)]
