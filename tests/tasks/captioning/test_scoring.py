"""CIDEr-D for choosing checkpoints equals COCO's own on text that needs no tokenizer; ids must fit."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import DataError
from harness.sample import Outcome, Sample
from tasks.captioning.scoring import quick_cider
from tasks.targets.matching import in_sample_order

WORDS = ["a", "the", "red", "blue", "dog", "cat", "man", "woman", "on", "under", "near", "table", "grass", "runs"]
sentence = st.lists(st.sampled_from(WORDS), min_size=1, max_size=9).map(" ".join)
corpus = st.lists(st.tuples(sentence, st.lists(sentence, min_size=1, max_size=4)), min_size=2, max_size=8)


def reference_cider(candidates: list[str], references: list[list[str]]) -> float:
    from pycocoevalcap.cider.cider import Cider

    ids = range(len(candidates))
    score, _ = Cider().compute_score({i: references[i] for i in ids}, {i: [candidates[i]] for i in ids})
    return float(score)


def test_it_equals_pycocoevalcap_on_a_large_corpus() -> None:
    generator = random.Random(0)

    def draw() -> str:
        return " ".join(generator.choices(WORDS, k=generator.randint(1, 14)))

    candidates, references = [draw() for _ in range(60)], [[draw() for _ in range(5)] for _ in range(60)]
    assert quick_cider(candidates, references) == pytest.approx(reference_cider(candidates, references), abs=1e-9)


@settings(deadline=None)
@given(corpus)
def test_it_equals_pycocoevalcap_on_any_corpus(pairs: list[tuple[str, list[str]]]) -> None:
    candidates, references = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    assert quick_cider(candidates, references) == pytest.approx(reference_cider(candidates, references), abs=1e-9)


def test_case_and_punctuation_do_not_matter_and_empty_scores_nothing() -> None:
    references = [["a red dog"], ["the blue cat sits"]]
    plain = quick_cider(["a red dog", "a cat"], references)
    assert quick_cider(["A red  DOG.", "a cat!"], references) == plain > 0
    assert quick_cider(["", "..."], references) == 0.0


def samples(*ids: str) -> list[Sample]:
    return [Sample(sample_id, Path(), None) for sample_id in ids]


def test_captions_are_put_into_the_order_of_the_samples() -> None:
    outcomes = [Outcome("2", "two"), Outcome("1", "one")]
    assert in_sample_order(samples("1", "2"), outcomes, "caption") == ["one", "two"]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (("1",), r"1 are for samples that the split does not have \(first: 2; the split has 1\).*same split"),
        (("1", "2", "3"), r"1 of 3 samples have no caption \(first: 3\). Every sample"),
    ],
)
def test_captions_that_do_not_fit_the_samples_are_an_error(ids: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        in_sample_order(samples(*ids), [Outcome("1", "one"), Outcome("2", "two")], "caption")
