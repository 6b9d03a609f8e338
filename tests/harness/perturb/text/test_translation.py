from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.errors import CheckpointError, WeightsUnavailable
from harness.perturb.text import translation
from harness.perturb.text.translation import BackTranslation
from tests.tiny_tokenizers import word_tokenizer

RNG = np.random.default_rng(0)
WORDS = ["<pad>", "</s>", "<unk>", "a", "red", "star", "snow", "eins", "zwei", "drei"]


def write_translator(folder: Path, seed: int) -> Path:
    """A Marian of one tiny random layer each way, with a tokenizer of ten words."""
    import torch
    from transformers import MarianConfig, MarianMTModel

    config = MarianConfig(
        vocab_size=len(WORDS), d_model=8, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=8, decoder_ffn_dim=8, max_position_embeddings=64,
        pad_token_id=0, eos_token_id=1, decoder_start_token_id=0, forced_eos_token_id=1,
    )  # fmt: skip
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    MarianMTModel(config).save_pretrained(folder)
    torch.random.set_rng_state(state)
    word_tokenizer(WORDS[:3], WORDS[3:], end="</s>", model_max_length=64).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> BackTranslation:
    root = tmp_path_factory.mktemp("translators")
    return BackTranslation(there=write_translator(root / "there", 1), back=write_translator(root / "back", 2))


def test_translates_there_and_back(pair: BackTranslation) -> None:
    """The same as transformers' own generate, called twice by hand."""
    import torch
    from transformers import AutoTokenizer, MarianMTModel

    assert pair.absent_reason() is None
    text = "a red star"
    for folder in (pair.there, pair.back):
        assert folder is not None
        model, tokenizer = MarianMTModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
        ids = torch.tensor([[*map(WORDS.index, text.split()), 1]])
        out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), num_beams=4, max_new_tokens=128)
        text = tokenizer.decode(out[0], skip_special_tokens=True)
    new = pair.apply("a red star", 1, RNG)
    assert new == (text or "a red star")
    assert new == pair.apply("a red star", 1, np.random.default_rng(5))


def test_texts_without_letters_stay(pair: BackTranslation) -> None:
    assert [pair.apply(text, 1, RNG) for text in ("", " \n", "12 👍")] == ["", " \n", "12 👍"]


def test_absent_without_weights(pair: BackTranslation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    reason = BackTranslation().absent_reason()
    assert reason is not None and "Helsinki-NLP/opus-mt-en-de" in reason and "hf download" in reason
    with pytest.raises(WeightsUnavailable, match="opus-mt-en-de"):
        BackTranslation().apply("a star", 1, RNG)
    reason = replace(pair, back=tmp_path).absent_reason()
    assert reason is not None and "config.json" in reason


def test_finds_a_pair_in_the_hubs_cache(pair: BackTranslation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    for name, folder in zip(translation.HUB_NAMES, (pair.there, pair.back), strict=True):
        assert folder is not None
        home = tmp_path / f"models--{name.replace('/', '--')}"
        (home / "refs").mkdir(parents=True)
        (home / "refs" / "main").write_text("abc\n")
        (home / "snapshots").mkdir()
        (home / "snapshots" / "abc").symlink_to(folder)
    assert BackTranslation().absent_reason() is None
    assert BackTranslation().apply("a red star", 1, RNG) == pair.apply("a red star", 1, RNG)


def test_weights_that_do_not_fit(pair: BackTranslation, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    folder = write_translator(tmp_path / "cut", 3)
    weights = load_file(folder / "model.safetensors")
    first = next(name for name in weights if "fc1.weight" in name)
    save_file({name: value for name, value in weights.items() if name != first}, folder / "model.safetensors",
              metadata={"format": "pt"})  # fmt: skip
    with pytest.raises(CheckpointError, match="would stay random"):
        replace(pair, there=folder).apply("a star", 1, RNG)
    other = write_translator(tmp_path / "other", 3)
    (other / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(CheckpointError, match="cannot be loaded as a translator"):
        replace(pair, there=other).apply("a star", 1, RNG)
    assert torch.is_grad_enabled()
