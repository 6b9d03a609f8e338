from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from harness.errors import CheckpointError, WeightsUnavailable
from harness.perturb.text import meaning_check as meaning
from harness.perturb.text.meaning_check import (
    ATTEMPTS,
    FAITHFUL,
    SentenceEncoder,
    faithful,
    load_sentence_encoder,
    rewrite,
)
from harness.perturb.text.rewriting import Rewriting
from harness.perturb.text.words import PUNCTUATION, WORD_DELETE

TEXTS = ["a red star", "A large blue circle is on the grass.", "", "snow", "two dogs 👍🏽", "a red star", "x " * 300]


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return load_sentence_encoder()


def letters(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Counts of a to z, normalised: an encoder that can be worked by hand."""
    counts = np.array([[text.count(c) for c in "abcdefghijklmnopqrstuvwxyz"] for text in texts], dtype=np.float32)
    return counts / np.linalg.norm(counts, axis=1, keepdims=True).clip(min=1e-9)


@dataclass(frozen=True)
class Scripted:
    """Rewrites each text to what its script says next; the last one again and again."""

    script: dict[str, list[str]]
    calls: list[str] = field(default_factory=list)
    name: str = "scripted"
    summary: str = "as told"
    family: str = "word"
    modality: str = "text"
    severities: tuple[int, ...] = (1,)
    version: int = 1
    keeps_meaning: bool = True

    def apply(self, text: str, severity: int, rng: np.random.Generator) -> str:
        self.calls.append(text)
        answers = self.script.get(text, [text])
        return answers[min(self.calls.count(text), len(answers)) - 1]


def rngs(count: int) -> list[np.random.Generator]:
    return [np.random.default_rng([7, number]) for number in range(count)]


def test_unit_vectors_equal_mean_pooling_by_the_library(encoder: SentenceEncoder) -> None:
    """A second way: one text at a time, through transformers' own padding-free call."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = meaning.encoder_folder()
    with meaning._quiet():
        model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    vectors = encoder(TEXTS)
    assert vectors.dtype == np.float32 and vectors.shape == (len(TEXTS), 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    for text, vector in zip(TEXTS, vectors, strict=True):
        with torch.no_grad():
            states = model(**tokenizer(text, return_tensors="pt", truncation=True, max_length=128)).last_hidden_state
        mean = states[0].mean(dim=0).numpy()
        np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-5)


def test_a_vector_does_not_depend_on_the_others(encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [
        f"a {word} on the {place}" for word in ("star", "heart", "dog", "mid-sized drop") for place in ("sand", "snow")
    ]
    together = encoder(texts)
    monkeypatch.setattr(meaning, "_REMEMBERED", 3)
    other = SentenceEncoder(encoder._model, encoder._tokenizer)
    alone = np.concatenate([other([text]) for text in reversed(texts)])[::-1]
    assert np.array_equal(together, alone)
    assert len(other._remembered) == 3
    assert encoder([]).shape[0] == 0


def test_faithful_by_hand() -> None:
    # "ab" and "abc": 2 / (sqrt 2 * sqrt 3) = .816; "ab" and "ac": 1 / 2; equal texts need no vectors.
    assert faithful(["ab", "ab", "z", ""], ["abc", "ac", "z", ""], letters) == [True, False, True, True]
    assert faithful(["ab"], ["abc"], letters, threshold=0.82) == [False]
    assert faithful([], [], letters) == []


def test_rewrites_again_what_is_refused() -> None:
    script = {"ab": ["xy", "xz", "abc"], "cd": ["zz"], "ef": ["ef"], "gh": ["xx", "gh"], "ij": ["ijj"]}
    perturbation = Scripted(script)
    result = rewrite(list(script), perturbation, 1, rngs(5), letters)
    assert result.texts == ("abc", "cd", "ef", "gh", "ijj")
    assert (result.changed, result.dropped) == (2, 1)
    assert [perturbation.calls.count(text) for text in script] == [3, ATTEMPTS, 1, 2, 1]


def test_what_does_not_keep_the_meaning_is_not_checked() -> None:
    perturbation = Scripted({"ab": ["xy"], "cd": ["cd"]}, keeps_meaning=False)
    result = rewrite(["ab", "cd"], perturbation, 1, rngs(2), None)
    assert (result.texts, result.changed, result.dropped) == (("xy", "cd"), 1, 0)
    with pytest.raises(ValueError, match="needs an encoder"):
        rewrite(["ab"], Scripted({}), 1, rngs(1), None)


@pytest.mark.parametrize("perturbation", [WORD_DELETE, PUNCTUATION], ids=lambda p: p.name)
def test_each_text_depends_on_its_own_generator_only(perturbation: Rewriting, encoder: SentenceEncoder) -> None:
    texts = ["A large red star is on the grass.", "Two dogs run in the snow.", "The small one.", ""] * 2
    whole = rewrite(texts, perturbation, 5, rngs(8), encoder)
    parts = [rewrite([text], perturbation, 5, [rng], encoder) for text, rng in zip(texts, rngs(8), strict=True)]
    assert whole.texts == tuple(part.texts[0] for part in parts)
    assert whole.changed == sum(part.changed for part in parts)
    assert whole.dropped == sum(part.dropped for part in parts)
    assert all(faithful(texts, whole.texts, encoder))


def test_the_threshold_on_texts_whose_truth_is_known(encoder: SentenceEncoder) -> None:
    """The table of the module's docstring, on a part of its sentences, written out as the grammar says them."""
    good = [
        ("A large red star is on the snow.", "There is a large red star on the snow."),
        ("The picture shows two circles.", "There are two circles."),
        ("A star is to the left of the heart.", "The heart is to the right of a star."),
        ("There is a small horned drop.", "A small drop with horns is in the picture."),
    ]
    wrong_object = [
        ("There is a red star.", "There is a red circle."),
        ("A picture of a blue heart.", "A picture of a blue arrow."),
        ("A green square is visible.", "A green drop is visible."),
    ]
    exchanged = [("A red star is above the blue heart.", "A blue star is above the red heart.")]
    assert all(faithful(*zip(*good, strict=True), encoder))
    assert not any(faithful(*zip(*wrong_object, strict=True), encoder))
    assert all(faithful(*zip(*exchanged, strict=True), encoder))  # the known blind spot
    assert FAITHFUL == 0.80


def test_missing_and_other_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meaning, "_PACKAGE", "no_such_package")
    with pytest.raises(WeightsUnavailable, match="no-such-package"):
        load_sentence_encoder()
    (tmp_path / "model.safetensors").write_bytes(b"other")
    monkeypatch.setattr(meaning, "encoder_folder", lambda: tmp_path)
    with pytest.raises(CheckpointError, match="published weights"):
        load_sentence_encoder()
