from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.perturb.text.rewriting import Rewriting
from harness.perturb.text.voices import ACTIVE, PASSIVE

NOTHING_RANDOM = np.random.default_rng(0)

TURNED = [
    ("A man is riding a horse on the beach.", "A horse is being ridden on the beach by a man."),
    ("A woman holding an umbrella", "An umbrella being held by a woman"),
    ("Two men are riding horses along the beach.", "Horses are being ridden along the beach by two men."),
    ("A silver bowl holds four eggs.", "Four eggs are held by a silver bowl."),
    ("A tennis player hit a ball.", "A ball was hit by a tennis player."),
    ("Someone has left a star on the sand.", "A star has been left on the sand by someone."),
    ("You can see two small circles here.", "Two small circles can be seen here."),
    ("The picture shows a star with stripes and a hole.", "A star with stripes and a hole is shown in the picture."),
    ("We find a horned heart resting on the water.", "A horned heart is found resting on the water."),
    ("a group of people playing tennis", "tennis being played by a group of people"),
    ("They say the market sent the biggest one.", "They say the biggest one was sent by the market."),
    ("Someone at the harbour made the biggest one.", "The biggest one was made by someone at the harbour."),
]
TURNED_BACK = [
    ("Two horses are being ridden by a man in a hat.", "A man in a hat is riding two horses."),
    ("A sandwich was eaten by two men.", "Two men ate a sandwich."),
    ("A black bear is surrounded by trees.", "Trees surround a black bear."),
    ("A table topped with an open laptop", "An open laptop topping a table"),
    ("A giraffe in a cage is watched by some people.", "Some people watch a giraffe in a cage."),
    ("Four things are shown in the picture.", "The picture shows four things."),
    ("Two circles can be seen here.", "You can see two circles here."),
    ("They say the biggest one was sent by the market.", "They say the market sent the biggest one."),
]
LEFT = [
    "", ".", "star", "a photo of a holed striped triangle.", "The small red one.", "A dog and a cat.",
    "A man riding a horse and holding a dog.",  # two verbs
    "A kitchen with a man holding a cup.",  # who holds it is not the first noun
    "A man eating pizza with a fork.",  # the fork is not part of the pizza
    "A man holding his dog.",  # "his dog is held by a man": whose?
    "A boy holding a bat standing at a plate.", "A man riding down a hill.", "The star is red. It is large.",
    "They say the museum opens tomorrow.", "A bike left by a tree.", "A man is hit.",
]  # fmt: skip


@pytest.mark.parametrize(("active", "passive"), TURNED)
def test_passive(active: str, passive: str) -> None:
    assert PASSIVE.apply(active, 1, NOTHING_RANDOM) == passive


@pytest.mark.parametrize(("passive", "active"), TURNED_BACK)
def test_active(passive: str, active: str) -> None:
    assert ACTIVE.apply(passive, 1, NOTHING_RANDOM) == active


@pytest.mark.parametrize("text", LEFT)
def test_doubtful_sentences_stay(text: str) -> None:
    assert PASSIVE.apply(text, 1, NOTHING_RANDOM) == text
    assert ACTIVE.apply(text, 1, NOTHING_RANDOM) == text


def test_there_and_back() -> None:
    for text in ("A man is riding a horse.", "Two dogs pull a sled.", "A cat watched the birds."):
        assert ACTIVE.apply(PASSIVE.apply(text, 1, NOTHING_RANDOM), 1, NOTHING_RANDOM) == text


WORDS = (
    "a", "the", "two", "man", "men", "dog", "holds", "holding", "held", "is", "are", "being", "by", "with", "in", "ate",
    "eaten", "of", "and", "can", "see",
)  # fmt: skip
SENTENCE = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(), SENTENCE, SENTENCE.map(lambda text: f"{text}.\n")), st.sampled_from([PASSIVE, ACTIVE]))
def test_wild_texts(text: str, perturbation: Rewriting) -> None:
    new = perturbation.apply(text, 1, NOTHING_RANDOM)
    assert isinstance(new, str)
    assert new.endswith("\n") == text.endswith("\n")
    assert bool(new.strip()) == bool(text.strip())
