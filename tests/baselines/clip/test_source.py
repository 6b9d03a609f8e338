"""Which checkpoint is meant: names, digests, the hub's table, and what is refused; without torch and network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from baselines.clip import catalog
from baselines.clip.hub_table import find_entry, hub_table
from baselines.clip.model import CLASSIFICATION, ClipModel
from baselines.clip.source import OpenClipSource, parse_source
from baselines.pretrained.catalog import OPEN_CLIP_VIT_B_32, parse_model_name
from baselines.pretrained.open_clip_model import CHOOSING
from harness.answers import CAPTIONS, CHOICES, LABELS
from harness.cell import ModelOptions
from harness.errors import CheckpointError, MissingPath, UsageError, WeightsUnavailable
from harness.protocols import Model

Folders = Callable[[str], Path]
MODELS = [value for value in vars(catalog).values() if hasattr(value, "recipe") and not isinstance(value, type)]
COMMIT = "0123456789abcdef"


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


def test_the_table_of_weights_is_open_clips_own() -> None:
    from open_clip.pretrained import get_pretrained_cfg, list_pretrained

    table = hub_table()
    assert {(architecture, tag) for architecture, tags in table.items() for tag in tags} == set(list_pretrained())
    for architecture, tag in list_pretrained():
        entry, own = table[architecture][tag], get_pretrained_cfg(architecture, tag)
        repository, file = os.path.split(own["hf_hub"])
        assert entry.repository == repository
        assert entry.names[-1] == (file or "open_clip_pytorch_model.bin")
        assert entry.names[0].endswith(".safetensors")
        assert entry.quick_gelu == bool(own.get("quick_gelu"))


def test_tags_are_read_as_open_clip_reads_them() -> None:
    assert find_entry("ViT-B-32", "LAION2B-s34b-b79k") == find_entry("ViT-B-32", "laion2b_s34b_b79k")


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("ViT-B-32/openai", OpenClipSource("ViT-B-32", "openai")),
        ("ViT-B-32/./w.pt", OpenClipSource("ViT-B-32", file=Path("w.pt"))),
        ("ViT-B-32/w.safetensors", OpenClipSource("ViT-B-32", file=Path("w.safetensors"))),
        ("local-dir:/a/b", OpenClipSource(folder=Path("/a/b"))),
        ("hf-hub:apple/DFN2B", OpenClipSource(repository="apple/DFN2B")),
    ],
)
def test_names(text: str, source: OpenClipSource) -> None:
    assert parse_source(text) == source


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("ViT-B-32", "ARCHITECTURE/TAG"),
        ("ViT-B-32/", "ARCHITECTURE/TAG"),
        ("ViT-B-23/openai", "Did you mean 'ViT-B-32'"),
        ("ViT-B-32/openia", "Did you mean 'ViT-B-32/openai'"),
        ("../../etc/openai", "no architecture"),
        ("ViT-B-32/./weights.npz", r"ends in \.safetensors"),
        ("local-dir:", "names no folder"),
        ("hf-hub:apple", "names no repository"),
    ],
)
def test_malformed_names(text: str, remedy: str) -> None:
    with pytest.raises(UsageError, match=remedy):
        parse_source(text)


def test_the_architecture_decides_what_it_answers(folders: Folders) -> None:
    assert parse_model_name("open_clip:coca_ViT-B-32/laion2b_s13b_b90k").answers == (CAPTIONS, *CHOOSING)
    assert parse_model_name("open_clip:ViT-B-32/openai").answers == CHOOSING
    assert parse_model_name("open_clip:ViT-B-32/./w.pt").answers == CHOOSING
    assert parse_model_name(f"open_clip:local-dir:{folders('clip')}").answers == CHOOSING
    assert parse_model_name(f"open_clip:local-dir:{folders('coca')}").answers == (CAPTIONS, *CHOOSING)


def test_a_cached_repository_is_named_by_its_commit(hub_cache: Path) -> None:
    with pytest.raises(
        WeightsUnavailable, match=r"^weights not available: .*hf download .*--model open_clip:ViT-B-32/"
    ):
        OPEN_CLIP_VIT_B_32.recipe(ModelOptions())
    with pytest.raises(WeightsUnavailable, match="HF_HUB_OFFLINE is set"):
        parse_source("hf-hub:a/b").find()
    put_in_cache(hub_cache, "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", {"open_clip_model.safetensors": ""})
    put_in_cache(hub_cache, "a/b", {"open_clip_pytorch_model.bin": "", "open_clip_config.json": '{"model_cfg": {}}'})
    assert OPEN_CLIP_VIT_B_32.recipe(ModelOptions())["weights"] == f"commit:{COMMIT}"
    assert parse_source("hf-hub:a/b").to_json() == {"architecture": "a/b", "tag": None, "weights": f"commit:{COMMIT}"}
    assert parse_source("ViT-B-32/laion2b_s34b_b79k").local().file == (
        hub_cache / "models--laion--CLIP-ViT-B-32-laion2B-s34B-b79K/snapshots" / COMMIT / "open_clip_model.safetensors"
    )
    assert parse_source("hf-hub:a/b").local().folder == hub_cache / "models--a--b/snapshots" / COMMIT
    assert not parse_source("hf-hub:a/b").captions()


def test_a_folder_is_named_by_its_content(folders: Folders, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(folders("hf"), folder)
    before = parse_source(f"local-dir:{folder}").find().digest
    assert before == parse_source(f"local-dir:{folders('hf')}").find().digest
    (folder / "tokenizer_config.json").write_text("{}")
    assert parse_source(f"local-dir:{folder}").find().digest != before


def test_what_is_missing_or_broken_is_said(tmp_path: Path) -> None:
    with pytest.raises(MissingPath, match="There is no folder"):
        parse_source("local-dir:./nowhere").find()
    with pytest.raises(MissingPath, match="There is no file"):
        parse_source("ViT-B-32/./nowhere.pt").find()
    with pytest.raises(CheckpointError, match="not an open_clip configuration"):
        parse_source(f"local-dir:{tmp_path}").find()
    (tmp_path / "open_clip_config.json").write_text('{"model_cfg": 3}')
    with pytest.raises(CheckpointError, match="model_cfg is 3"):
        parse_source(f"local-dir:{tmp_path}").find()
    (tmp_path / "open_clip_config.json").write_text('{"model_cfg": {}}')
    with pytest.raises(CheckpointError, match="has none of"):
        parse_source(f"local-dir:{tmp_path}").find()


def test_the_catalogue() -> None:
    assert {model.name for model in MODELS} == {
        "clip-zero-shot", "clip-linear-probe", "clip-coop", "clip-adapter", "clip-tip-adapter", "clip-tip-adapter-f",
        "clip-wise-ft", "dual-encoder",
    }  # fmt: skip
    for model in MODELS:
        assert isinstance(model, Model)
        chooses = model.name in ("clip-zero-shot", "dual-encoder")
        assert model.answers == (*CLASSIFICATION, *([CHOICES] if chooses else []))
        assert model.name.replace("-", "_") in vars(catalog)
        assert model.controls_for(LABELS) in ((), ("C2", "C3"))
        with pytest.raises(UsageError, match="C9"):
            model.with_control("C9")


@pytest.mark.parametrize("model", [m for m in MODELS if isinstance(m, ClipModel)], ids=lambda model: str(model.name))
def test_recipes(model: ClipModel, folders: Folders, hub_cache: Path) -> None:
    with pytest.raises(WeightsUnavailable, match="hf download laion/CLIP-ViT-B-32"):
        model.recipe(ModelOptions())
    recipe = dict(model.recipe(ModelOptions(settings={"clip": f"local-dir:{folders('clip')}"})))
    assert json.loads(json.dumps(recipe)) == recipe
    assert set(model.own) <= set(recipe)
    assert str(recipe["weights"]).startswith("sha256:")
    assert model.prerequisite(ModelOptions()) is None


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        (catalog.clip_coop, {"context_vectors": 0}),
        (catalog.clip_adapter, {"adapter_ratio": 1.5}),
        (catalog.clip_adapter, {"adapter_ratio": "much"}),
        (catalog.clip_adapter, {"adapter_ratio": float("nan")}),
        (catalog.clip_tip_adapter, {"shots": -1}),
        (catalog.clip_wise_ft, {"wise_alpha": 0.0}),
    ],
)
def test_settings_out_of_range(model: ClipModel, settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"model\.{next(iter(settings))}=.*wanted"):
        model.recipe(ModelOptions(settings=settings))


def test_the_catalog_and_its_recipes_need_neither_torch_nor_time(folders: Folders) -> None:
    program = f"""
import sys, time
started = time.process_time()
from baselines.clip import catalog
from harness.cell import ModelOptions
from harness.errors import WeightsUnavailable
clip = {{"clip": "local-dir:{folders("clip")}"}}
for model in vars(catalog).values():
    if hasattr(model, "recipe") and not isinstance(model, type):
        model.recipe(ModelOptions(settings=clip if "clip" in model.settings else {{}}))
try:
    catalog.clip_coop.recipe(ModelOptions())
except WeightsUnavailable:
    pass
heavy = {{"torch", "transformers", "numpy", "open_clip"}} & set(sys.modules)
print(time.process_time() - started, *sorted(heavy))
"""
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": "/nowhere", "PATH": ""}
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    ).stdout.split()
    assert len(answer) == 1
    assert float(answer[0]) < 1.5  # 0.3 on an idle machine, the digest of MiniLM included
