"""CLIPScore and RefCLIPScore: the published formulas, by hand and written once more."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DataError
from harness.metrics.captions import clip_golden as clip_passport
from harness.metrics.captions import clip_score
from harness.metrics.captions.clip_score import clip_statistics
from harness.metrics.metric import MetricDrift


def encode_words(texts: list[str]) -> np.ndarray:
    """Some direction for each text."""
    return np.array([[len(text), text.count("a") + 0.5, text.count("e") - 1.5] for text in texts])


def authors(images: np.ndarray, captions: list[str], references: list[list[str]]) -> tuple[list[float], list[float]]:
    """As in the authors' clipscore.py, but for the clipped similarity of texts, in which the paper differs."""

    def unit(vectors: np.ndarray) -> np.ndarray:
        return vectors / np.sqrt(np.sum(vectors**2, axis=1, keepdims=True))

    texts = unit(encode_words(["A photo depicts " + caption for caption in captions]))
    per_image = 2.5 * np.clip(np.sum(unit(images) * texts, axis=1), 0, None)
    per_text = []
    for text, group in zip(texts, references, strict=True):
        all_sims = text @ unit(encode_words(["A photo depicts " + reference for reference in group])).transpose()
        per_text.append(max(np.max(all_sims), 0))
    both = per_image + np.array(per_text)
    with np.errstate(invalid="ignore"):
        harmonic = np.where(both > 0, 2 * per_image * np.array(per_text) / both, 0)
    return per_image.tolist(), harmonic.tolist()


word = st.text("abe ", min_size=0, max_size=6)
item = st.tuples(
    word,
    st.lists(word, min_size=1, max_size=4),
    st.lists(st.integers(-9, 9), min_size=3, max_size=3).filter(lambda vector: any(vector)),
)


@given(st.lists(item, min_size=1, max_size=6))
def test_it_equals_the_authors_code(items: list[tuple[str, list[str], list[int]]]) -> None:
    captions, references, images = (list(part) for part in zip(*items, strict=True))
    array = np.array(images, dtype=np.float32)
    scores = clip_statistics(array, captions, references, encode_words)
    per_image, harmonic = authors(array.astype(float), captions, references)
    np.testing.assert_allclose(scores["CLIPScore"].per_sample, per_image, atol=1e-9)
    np.testing.assert_allclose(scores["RefCLIPScore"].per_sample, harmonic, atol=1e-9)
    assert scores["CLIPScore"].value == pytest.approx(np.mean(per_image))
    counts = np.zeros((1, len(items)), dtype=np.int64)
    counts[0, -1] = 3
    assert scores["CLIPScore"].resample(counts)[0] == pytest.approx(per_image[-1])


def test_the_golden_scores_by_hand() -> None:
    scores = clip_statistics(
        np.array(clip_passport.GOLDEN_IMAGES), clip_passport.GOLDEN_CANDIDATES, clip_passport.GOLDEN_REFERENCES,
        clip_passport.golden_encode,
    )  # fmt: skip
    assert scores["CLIPScore"].per_sample.tolist() == pytest.approx([2.5 * 0.96, 0, 2.5 * 0.6, 2.5])
    first, third = 2 * 2.4 * 0.64 / (2.4 + 0.64), 2 * 1.5 * 0.96 / (1.5 + 0.96)
    assert scores["RefCLIPScore"].per_sample.tolist() == pytest.approx([first, 0, third, 0])
    assert scores["RefCLIPScore"].value == pytest.approx(clip_passport.CLIP_SCORES["RefCLIPScore"], abs=1e-12)


def test_the_prefix_is_before_candidates_and_references() -> None:
    asked: list[str] = []

    def encode(texts: list[str]) -> np.ndarray:
        asked.extend(texts)
        return encode_words(texts)

    clip_statistics(np.ones((1, 3)), ["a dog"], [["two dogs", "a cat"]], encode)
    assert asked == ["A photo depicts a dog", "A photo depicts two dogs", "A photo depicts a cat"]


def test_the_best_reference_counts_and_not_the_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    assert clip_passport.check_clip_score() == "clipscore:v1,2.5,prefix"

    def mean_of_references(score: object, captions: np.ndarray, references: np.ndarray, owner: np.ndarray) -> object:
        mean = np.array([references[owner == row].mean(axis=0) for row in range(len(captions))])
        return real(score, captions, mean, np.arange(len(captions)))

    real = clip_score.ref_clip_score
    monkeypatch.setattr(clip_score, "ref_clip_score", mean_of_references)
    with pytest.raises(MetricDrift, match="RefCLIPScore gives"):
        clip_passport.check_clip_score()


@pytest.mark.parametrize(
    ("images", "captions", "references"),
    [
        (np.zeros((0, 3)), [], []),
        (np.ones((2, 3)), ["a"], [["a"]]),
        (np.ones((1, 3)), ["a"], [[]]),
        (np.ones((1, 3)), ["a"], []),
    ],
)
def test_counts_that_do_not_fit_are_an_error(
    images: np.ndarray, captions: list[str], references: list[list[str]]
) -> None:
    with pytest.raises(DataError, match=r"CLIPScore has \d images, \d captions and references of \d images. Give one"):
        clip_statistics(images, captions, references, encode_words)


@pytest.mark.parametrize("bad", [0.0, float("nan"), float("inf")])
def test_embeddings_without_a_direction_are_named(bad: float) -> None:
    images = np.ones((3, 3))
    images[1] = bad
    with pytest.raises(DataError, match=r"embedding of image 1 has the length (0\.0|nan|inf), so it has no direction"):
        clip_statistics(images, ["a"] * 3, [["a"]] * 3, encode_words)


def test_embeddings_of_another_shape_are_an_error() -> None:
    with pytest.raises(DataError, match=r"image embeddings have shape \[1, 1, 3\]; wanted \[rows, width\]"):
        clip_statistics(np.ones((1, 1, 3)), ["a"], [["a"]], encode_words)
