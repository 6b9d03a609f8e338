"""Cutting the padding changes nothing, where it is cut; class embeddings are open_clip's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import open_clip
import pytest
import torch

from baselines.clip.class_embeddings import cached_class_embeddings, embed_classes, ensemble
from baselines.clip.loading import load_open_clip
from baselines.clip.source import parse_source
from baselines.clip.text_tower import TextTower

from .conftest import KINDS, NAMES, TEMPLATES, classes_of

Folders = Callable[[str], Path]
CUT = {"clip", "resnet", "custom", "eos", "coca", "hf"}
TEXTS = ["a", "a dog", "one two three four five six seven eight nine", " ".join(["word"] * 60), ""]


@pytest.mark.parametrize("kind", KINDS)
def test_texts_are_cut_to_the_longest_only_where_it_changes_nothing(kind: str, folders: Folders) -> None:
    loaded = load_open_clip(parse_source(f"local-dir:{folders(kind)}"))
    tower = TextTower(loaded.model, loaded.tokenizer)
    blocks = [TEXTS[:2], TEXTS[:3], TEXTS[:4]]
    if kind != "hf":  # the tiny tokenizer there marks no end, so that nothing is left of an empty text
        blocks += [TEXTS, TEXTS[4:]]
    for texts in blocks:
        ids = tower.tokenize(texts)
        with torch.no_grad():
            expected = loaded.model.encode_text(ids, normalize=True)
            torch.testing.assert_close(tower(ids), expected, atol=1e-6, rtol=0)
    longest = tower._longest(tower.tokenize(["a dog"]))
    assert (longest is not None) == (kind in CUT)
    assert longest is None or 2 <= longest <= 5


@pytest.mark.parametrize("kind", KINDS)
def test_class_embeddings_equal_open_clips_classifier(kind: str, folders: Folders) -> None:
    name = f"local-dir:{folders(kind)}"
    loaded = load_open_clip(parse_source(name))
    own = embed_classes(TextTower(loaded.model, loaded.tokenizer), classes_of().texts)
    model = open_clip.create_model(name).eval()
    expected = open_clip.build_zero_shot_classifier(model, open_clip.get_tokenizer(name), NAMES, TEMPLATES)
    torch.testing.assert_close(own.T, expected, atol=1e-6, rtol=0)
    assert len(torch.unique(own.mul(100).round(), dim=0)) >= len(NAMES) - 1  # the tiny BERT knows few words


def test_an_ensemble_by_hand() -> None:
    embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    torch.testing.assert_close(ensemble(embeddings, [2, 1]), torch.tensor([[0.5**0.5, 0.5**0.5], [0.6, 0.8]]))


def test_classes_may_have_different_numbers_of_prompts(folders: Folders) -> None:
    loaded = load_open_clip(parse_source(f"local-dir:{folders('clip')}"))
    tower = TextTower(loaded.model, loaded.tokenizer)
    together = embed_classes(tower, [["a dog", "the dog"], ["a cat"]])
    torch.testing.assert_close(together[1:], tower.embed(["a cat"]), atol=1e-6, rtol=0)


def test_class_embeddings_are_kept_by_weights_and_texts(folders: Folders, tmp_path: Path) -> None:
    loaded = load_open_clip(parse_source(f"local-dir:{folders('clip')}"))
    tower, texts = TextTower(loaded.model, loaded.tokenizer), classes_of().texts
    first = cached_class_embeddings(tower, texts, loaded.digest, tmp_path)
    assert torch.equal(first, embed_classes(tower, texts))
    with torch.no_grad():
        tower.embedding.weight.zero_()  # type: ignore[operator, union-attr]
    assert torch.equal(cached_class_embeddings(tower, texts, loaded.digest, tmp_path), first)
    assert not torch.equal(cached_class_embeddings(tower, texts, "other weights", tmp_path), first)
    assert not torch.equal(cached_class_embeddings(tower, texts[::-1], loaded.digest, tmp_path), first.flip(0))
    assert len(list((tmp_path / "class-embeddings").glob("*.npy"))) == 3
