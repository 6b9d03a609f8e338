"""Facts about classes: read, given to classes or to others, and of use only where they are the classes' own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from baselines.heads.class_scorers import TextScorer
from baselines.language.class_texts import ClassTexts
from baselines.language.knowledge import (
    SHUFFLED,
    TEXTS,
    VECTORS,
    FactTable,
    Knowledge,
    knowledge_of,
    read_facts,
)
from baselines.language.stand_ins import BagOfWords
from baselines.language.text_tokens import TextTokens
from harness.errors import DataError, MissingPath, UsageError

CSV = "class,relation,value\nSea_lion,lives in,water\nsea lion,eats,fish\nox,eats,grass\n"
TOML = '["sea lion"]\n"lives in" = "water"\neats = ["fish"]\n[ox]\neats = "grass"\n'
NAMES = ("ox", "sea_lion")


def written(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


@pytest.mark.parametrize(("name", "text"), [("k.csv", CSV), ("k.toml", TOML)])
def test_both_formats_say_the_same(name: str, text: str, tmp_path: Path) -> None:
    table = read_facts(written(tmp_path, name, text))
    assert table.of(NAMES) == ((("eats", "grass"),), (("lives in", "water"), ("eats", "fish")))
    assert table.digest == read_facts(written(tmp_path, "other.csv", CSV)).digest
    words = knowledge_of(table, NAMES, TEXTS, "own")
    assert words.told([("an ox", "oxen"), ("a sea lion",)]) == [
        ("an ox, eats grass", "oxen, eats grass"), ("a sea lion, lives in water, eats fish",),
    ]  # fmt: skip
    assert knowledge_of(table, NAMES, VECTORS, "own").vectors == ((1, 0, 0), (0, 1, 1))
    assert knowledge_of(table, NAMES, VECTORS, SHUFFLED).vectors == ((0, 1, 1), (1, 0, 0)), "the other's, as columns"


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("k.csv", "class,value\nox,grass\n", "has the columns class, value; wanted class, relation, value"),
        ("k.csv", "class,relation,value\nox,eats,\n", "row 2 is ox,eats,; wanted"),
        ("k.csv", "class,relation,value\n", "holds no fact"),
        ("k.toml", 'ox = "grass"\n', "wanted a section a class"),
        ("k.toml", "[ox\n", "cannot be read as toml"),
    ],
)
def test_what_is_no_table_is_named(name: str, text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=told):
        read_facts(written(tmp_path, name, text))


def test_wrong_wishes_and_classes_without_facts_are_named(tmp_path: Path) -> None:
    table = read_facts(written(tmp_path, "k.csv", CSV))
    with pytest.raises(DataError, match="says nothing of 1 of 2 classes: elk"):
        table.of(("ox", "elk"))
    with pytest.raises(MissingPath, match="there is no file"):
        read_facts(str(tmp_path / "none.csv"))
    with pytest.raises(UsageError, match=r"model\.knowledge_as=graph: wanted texts or vectors"):
        knowledge_of(table, NAMES, "graph", "own")
    with pytest.raises(UsageError, match=r"model\.knowledge_rows=mixed"):
        knowledge_of(table, NAMES, TEXTS, "mixed")


class Names(nn.Module):
    """Texts as random vectors without content, the same for the same text: made-up names."""

    width = 16

    def forward(self, texts: Sequence[str]) -> TextTokens:
        rows = [torch.randn(1, self.width, generator=torch.Generator().manual_seed(hash_of(text))) for text in texts]
        pooled = torch.cat(rows)
        return TextTokens(pooled[:, None], torch.ones(len(texts), 1, dtype=torch.bool), pooled)


def hash_of(text: str) -> int:
    return sum(ord(letter) * 31**n for n, letter in enumerate(text)) % 2**31


def unseen_accuracy(classes: ClassTexts, features: torch.Tensor, seen: torch.Tensor) -> float:
    """Train a scorer on classes that are seen, then choose among the others for their own features."""
    torch.manual_seed(0)
    scorer = TextScorer(classes, features.shape[1])
    optimizer = torch.optim.Adam(scorer.parameters(), lr=0.02)
    for _ in range(150):
        noisy = features[seen] + 0.05 * torch.randn_like(features[seen])
        loss = nn.functional.cross_entropy(scorer(noisy)[:, seen], torch.arange(len(seen)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    others = torch.tensor([n for n in range(len(features)) if n not in seen.tolist()])
    with torch.no_grad():
        said = scorer(features[others])[:, others].argmax(dim=1)
    return float((said == torch.arange(len(others))).float().mean())


@pytest.mark.parametrize("form", [TEXTS, VECTORS])
def test_a_planted_table_helps_and_a_shuffled_one_does_not(form: str) -> None:
    """Images show colour and shape; names say nothing; the table says colour and shape of 36 classes, 9 unseen."""
    pairs = [(colour, shape) for colour in range(6) for shape in range(6)]
    names = [f"n{n}" for n in range(len(pairs))]
    table = FactTable(
        Path("k"), {n: (("colour", f"c{c}"), ("shape", f"s{s}")) for n, (c, s) in zip(names, pairs, strict=True)}
    )
    features = torch.cat([torch.eye(6)[[c for c, _ in pairs]], torch.eye(6)[[s for _, s in pairs]]], dim=1)
    seen = torch.tensor([n for n, (c, s) in enumerate(pairs) if (c + 2 * s) % 4])
    texts = [(name,) for name in names]
    found = {}
    for rows in ("none", "own", "shuffled"):
        known = Knowledge() if rows == "none" else knowledge_of(table, names, form, rows)
        told = [text for group in known.told(texts) for text in group]
        source: Any = BagOfWords([t for t in told if "colour" in t] or told) if form == TEXTS else Names()
        found[rows] = unseen_accuracy(ClassTexts(source, texts, knowledge=known), features, seen)
    assert found["own"] >= 0.9
    assert max(found["none"], found["shuffled"]) <= 0.5


def test_new_wordings_keep_the_facts() -> None:
    """What is read at test time, or under a perturbation of texts, has them too."""
    known = Knowledge(words=("eats grass", "eats fish"))
    classes = ClassTexts(Names(), [("ox",), ("seal",)], knowledge=known)
    before = classes()
    classes.reword([("bull",), ("sea dog",)])
    assert classes._texts == ["bull, eats grass", "sea dog, eats fish"]
    assert not torch.equal(before, classes())
