from __future__ import annotations

import pytest

from harness.perturb.text import synonyms
from harness.perturb.text.synonyms import synonyms_of


@pytest.fixture(autouse=True)
def small_thesaurus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synonyms, "load_thesaurus", lambda: {"errors": ("mistakes",), "chair": ("president",)})


def test_the_list_goes_first_and_the_thesaurus_after_it() -> None:
    assert synonyms_of("Red") == ("crimson", "scarlet")
    assert synonyms_of("chair") == ("seat",)
    assert synonyms_of("errors") == ("mistakes",)
    assert synonyms_of("near") == ()  # listed alone: none is safe
    assert synonyms_of("dombust") == synonyms_of("") == ()


def test_the_list_is_mutual() -> None:
    listed = synonyms._listed()
    for word, others in listed.items():
        assert word not in others and len(set(others)) == len(others)
        assert word == word.lower()
        for other in others:
            assert word in listed[other]
