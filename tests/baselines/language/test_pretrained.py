"""Language models: trimming, sources, and what is refused."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from baselines import catalog
from baselines.language import source as language_source
from baselines.language.pretrained import LanguageWish, load_language
from baselines.language.source import check_digest, find_language
from baselines.language.vocabulary import WordVocabulary, frequent_words, plain_caption
from harness.cell import ModelOptions
from harness.errors import CheckpointError, MissingPath, UsageError, WeightsUnavailable
from tests.baselines.conftest import TARGETS

CAPTIONS = ["A two-horned circle isn't here.", *(text for target in TARGETS for text in target.references)]


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama"])
def test_trimmed_logits_are_rows_of_the_whole(name: str, languages: dict[str, Path]) -> None:
    from transformers import AutoModelForCausalLM

    source = find_language(str(languages[name]))
    language = load_language(source, CAPTIONS[:6], LanguageWish())
    kept, model = language.vocabulary.kept, language.model.eval()
    assert model.get_input_embeddings().weight.shape[0] == len(kept) == language.vocabulary.size
    whole = AutoModelForCausalLM.from_pretrained(source.folder).eval()
    if name == "bert":  # a bidirectional encoder without a head cannot be compared
        assert torch.equal(whole.get_input_embeddings().weight[kept], model.get_input_embeddings().weight)
        return
    ids = torch.tensor([language.vocabulary.encode(CAPTIONS[0])])
    with torch.no_grad():
        trimmed = model(ids).logits
        full = whole(torch.tensor(kept)[ids]).logits
    torch.testing.assert_close(trimmed, full[..., kept])


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama"])
def test_captions_survive_encoding(name: str, languages: dict[str, Path]) -> None:
    vocabulary = load_language(find_language(str(languages[name])), CAPTIONS, LanguageWish()).vocabulary
    text = vocabulary.decode([vocabulary.begin, *vocabulary.encode(CAPTIONS[0]), vocabulary.end])
    assert text == plain_caption(CAPTIONS[0])


def test_words_below_the_count_are_unknown() -> None:
    vocabulary = WordVocabulary(frequent_words(["a red star.", "A red cross"], min_count=2))
    assert vocabulary.words[3:] == ["a", "red"]
    assert vocabulary.decode(vocabulary.encode("a red star")) == "a red"


def test_weights_that_are_not_safetensors_are_refused(languages: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(languages["gpt2"], tmp_path / "pickled")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"pytorch_model.bin.*safetensors"):
        find_language(str(folder))


def test_folders_that_are_no_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"config\.json"):
        find_language(str(tmp_path))
    with pytest.raises(MissingPath, match="no such folder"):
        find_language(str(tmp_path / "nowhere"))


def test_hub_names_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsUnavailable, match="--language FOLDER"):
        find_language("nobody/no-such-model")


def test_the_digest_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"other weights")
    with pytest.raises(CheckpointError, match="sha256"):
        check_digest(path, language_source.EMBEDDED_SHA256)


def test_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_source, "EMBEDDED_PACKAGE", "no_such_package")
    with pytest.raises(WeightsUnavailable, match="no-such-package"):
        find_language(None)


def test_embedded_model_loads_with_its_blocks() -> None:
    source = find_language(None)
    language = load_language(source, CAPTIONS, LanguageWish(layers=2))
    assert (language.width, language.heads, len(language.blocks)) == (384, 12, 2)
    new = {id(p) for p in language.model.parameters()} - {id(p) for p in language.pretrained}
    names = {name for name, p in language.model.named_parameters() if id(p) in new}
    assert names == {
        "cls.predictions.bias",
        "cls.predictions.transform.dense.weight",
        "cls.predictions.transform.dense.bias",
        "cls.predictions.transform.LayerNorm.weight",
        "cls.predictions.transform.LayerNorm.bias",
    }
    head = language.model.get_output_embeddings()
    assert head.weight is language.model.get_input_embeddings().weight


def test_wrong_tokenizer_is_noticed(languages: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(languages["bert"], tmp_path / "mixed")
    for path in languages["llama"].glob("tokenizer*"):
        shutil.copy(path, folder)
    with pytest.raises(CheckpointError, match="embeddings"):
        load_language(find_language(str(folder)), CAPTIONS, LanguageWish())


def test_recipes_need_no_torch() -> None:
    code = (
        "import sys\n"
        "from baselines import catalog\n"
        "from harness.cell import ModelOptions\n"
        "models = [m for m in vars(catalog).values() if hasattr(m, 'recipe') and not isinstance(m, type)]\n"
        "for model in models:\n"
        "    for kind in model.answers:\n"
        "        options = ModelOptions(answers=kind)\n"
        "        model.recipe(options), model.prerequisite(options)\n"
        "        [model.with_control(control).recipe(options) for control in model.controls_for(kind)]\n"
        "print(len(models), sorted({'torch', 'transformers', 'timm', 'numpy'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "24 []"


def test_recipe_holds_what_concerns_the_model(languages: dict[str, Path]) -> None:
    options = ModelOptions(language=str(languages["bert"]), settings={"rank": "4", "width": 32})
    recipe: Any = catalog.cross_attention_lora.recipe(options)
    assert recipe["rank"] == 4 and "width" not in recipe
    assert recipe["language"] == find_language(str(languages["bert"])).to_json()
    assert "language" not in catalog.cnn_transformer.recipe(options)
    assert "vision" not in catalog.text_only.recipe(options)


@pytest.mark.parametrize("settings", [{"ranck": 4}, {"rank": "four"}, {"rank": 1.5}, {"vision_tune": "half"}])
def test_wrong_settings_are_explained(settings: Any) -> None:
    with pytest.raises(UsageError, match="model"):
        catalog.cnn_lstm.recipe(ModelOptions(settings=settings))


def test_prerequisite_only_for_the_default_backbone() -> None:
    wanted = catalog.prefix.prerequisite(ModelOptions())
    assert wanted is not None and (wanted.task, wanted.model) == ("scene-attributes", "attribute-classifier")
    assert catalog.prefix.prerequisite(ModelOptions(vision="resnet18")) is None
    assert catalog.text_only.prerequisite(ModelOptions()) is None
    assert catalog.attribute_classifier.prerequisite(ModelOptions()) is None
