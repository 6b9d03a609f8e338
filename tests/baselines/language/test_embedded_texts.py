"""Tokens of a text read as vectors: the same states as the text itself, and gradients through frozen models too."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from baselines.language.encoder import LanguageEncoder, load_encoder
from baselines.language.source import find_language
from baselines.settings import read_settings
from harness.cell import DecodeOptions, ModelOptions, TrainOptions
from harness.protocols import BuildContext

TEXT = "a two-horned  circle isn't here"


def encoder(folder: Path | None, policy: str) -> LanguageEncoder:
    context = BuildContext(ModelOptions(), TrainOptions(), DecodeOptions(), 0, Path("unused"), None)
    return load_encoder(
        find_language(folder and str(folder)), policy, read_settings({"rank": 2}), context, reinitialised=False
    ).eval()


@pytest.mark.parametrize(("name", "policy"), [("bert", "frozen"), ("gpt2", "full"), ("llama", "lora")])
def test_vectors_of_a_text_are_read_as_the_text(name: str, policy: str, languages: dict[str, Path]) -> None:
    reader = encoder(languages[name], policy)
    text = reader.embed(TEXT)
    assert text is not None
    assert sorted({word for word in text.words if word >= 0}) == [0, 1, 2, 3, 4]
    own = reader([TEXT])
    with torch.enable_grad(), reader.reading(torch.stack([text.vectors, text.reference]).requires_grad_()):
        found = reader([TEXT, TEXT])
    torch.testing.assert_close(found.tokens[0], own.tokens[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.pooled[0], own.pooled[0], atol=1e-5, rtol=1e-5)
    assert found.pooled.requires_grad and not torch.equal(found.pooled[1], own.pooled[0])
    assert torch.equal(reader([TEXT]).pooled, own.pooled), "texts are read again, and what was remembered is the same"
    with pytest.raises(ValueError, match="1 texts, and the tokens of 2"), reader.reading(found.tokens):
        reader([TEXT])


def test_what_begins_and_ends_a_text_is_no_word() -> None:
    text = encoder(None, "frozen").embed(TEXT)
    assert text is not None and (text.words[0], text.words[-1]) == (-1, -1)
    kept = torch.tensor(text.words) < 0
    assert torch.equal(text.reference[kept], text.vectors[kept])
    assert len(text.reference[~kept].unique(dim=0)) == 1, "padding stands for each token of a word"
