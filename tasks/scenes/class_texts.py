"""What a class is called: the same pixels worded in six ways, from fully telling to telling nothing."""

from __future__ import annotations

from functools import cache
from typing import Final

from tasks.scenes.counter_rng import Stream
from tasks.scenes.factors import KINDS, PARTS, PATTERNS, SHAPES, Kind
from tasks.scenes.lexicons import SYNONYM, TRAINING, article

CLASS_LEXICONS: Final = ("transparent", "definition", "synonym", "opaque", "shuffled", "random")
_STARTS: Final = ("b", "d", "f", "g", "k", "m", "n", "p", "r", "t", "v", "z")
_MIDDLES: Final = ("olv", "imp", "arn", "uld", "esk", "omb", "ift", "ant", "urg", "eln")
_ENDS: Final = ("ax", "er", "in", "or", "ust", "eek")
_UNRELATED: Final = (
    "teapot", "harvest", "violin", "ladder", "pepper", "sailor", "carpet", "thunder", "pencil", "donkey",
    "velvet", "lantern", "muffin", "tunnel", "saddle", "pigeon", "candle", "mirror", "anchor", "basket", "cactus",
    "drummer", "engine", "feather", "glacier", "hammock", "insect", "jacket", "kettle", "lemonade", "magnet", "needle",
    "oyster", "parrot", "quilt", "rocket", "statue", "turnip", "uncle", "walnut",
)  # fmt: skip


def class_texts(lexicon: str) -> dict[str, tuple[str, ...]]:
    """Kind name -> the texts that stand for it, by category id.

    transparent   "holed striped triangle"
    definition    a made-up word with paraphrased definitions
    synonym       the transparent name in words that no training text holds
    opaque        the made-up word only: the negative control, from which nothing can be known
    shuffled      the transparent name of another kind that shares at most one factor with it
    random        unrelated words
    """
    makers = {
        "transparent": lambda kind: (kind.name,),
        "definition": _definitions,
        "synonym": _synonyms,
        "opaque": lambda kind: (made_up_word(kind),),
        "shuffled": lambda kind: (_shuffled()[kind].name,),
        "random": _random,
    }
    if lexicon not in makers:
        raise ValueError(f"there is no class lexicon {lexicon!r}; expected one of {', '.join(CLASS_LEXICONS)}")
    return {kind.name: makers[lexicon](kind) for kind in KINDS}


@cache
def _made_up_words() -> tuple[str, ...]:
    draw = Stream("made-up words")
    words: list[str] = []
    while len(words) < len(KINDS):
        word = draw.choice(_STARTS) + draw.choice(_MIDDLES) + draw.choice(_ENDS)
        if word not in words:
            words.append(word)
    return tuple(words)


def made_up_word(kind: Kind) -> str:
    """The word for a kind that no language has."""
    return _made_up_words()[kind.category_id - 1]


def _definitions(kind: Kind) -> tuple[str, ...]:
    word = made_up_word(kind)
    look = {"solid": "one even colour", **TRAINING.after_with["pattern"]}
    having = TRAINING.after_with["part"].get(kind.part, "nothing added")
    name = f"{article(kind.name)} {kind.name}"
    return (
        f"{article(word)} {word}, which is {name}",
        f"{article(word)} {word}: {article(kind.shape)} {kind.shape} with {look[kind.pattern]} and {having}",
        f"{word} is the name of {name}",
        f"{article(kind.shape)} {kind.shape} that has {having} and {look[kind.pattern]} is called {word}",
    )


def _synonyms(kind: Kind) -> tuple[str, ...]:
    """Two wordings, neither with a word of the training lexicon."""
    rows = []
    for choice in (0, 1):
        words = [SYNONYM.words["pattern"][kind.pattern][choice], SYNONYM.words["shape"][kind.shape][choice]]
        if kind.part != "plain":
            words.insert(0, SYNONYM.words["part"][kind.part][choice])
        rows.append(" ".join(words))
    return tuple(rows)


@cache
def _shuffled() -> dict[Kind, Kind]:
    draw = Stream("shuffled names")
    while True:
        others = draw.shuffled(KINDS)
        if all(_shared_factors(kind, other) <= 1 for kind, other in zip(KINDS, others, strict=True)):
            return dict(zip(KINDS, others, strict=True))


def _shared_factors(one: Kind, other: Kind) -> int:
    return (one.shape == other.shape) + (one.pattern == other.pattern) + (one.part == other.part)


def _random(kind: Kind) -> tuple[str, ...]:
    words = Stream("random words", kind.category_id).shuffled(_UNRELATED)
    return (" ".join(words[:3]),)


def class_attributes() -> tuple[tuple[str, ...], dict[str, tuple[int, ...]]]:
    """(attribute names, kind name -> 0/1 for each): side information without language, for control C4."""
    names = (*SHAPES, *PATTERNS, *PARTS)
    rows = {kind.name: tuple(int(name in (kind.shape, kind.pattern, kind.part)) for name in names) for kind in KINDS}
    return names, rows
