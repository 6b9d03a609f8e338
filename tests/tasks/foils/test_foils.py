"""Foils: files as they are laid out, choices without a place of their own, scores by hand, sets that texts solve."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from harness.errors import DataError
from harness.protocols import DataContext
from harness.sample import Outcome, Sample
from harness.stats.estimates import estimates
from tasks.foils.blind import BY_WORDS, LONGEST, SHORTEST, blind_credits, fold_of
from tasks.foils.scoring import FoilScorer, foil_statistics, quick_accuracy
from tasks.foils.targets import FoilTarget, foil_sample
from tasks.foils.task import compositional_foils as task

KINDS = {"add_att": "add-attribute", "swap_obj": "swap-object", "replace_rel": "replace-relation"}


def context_of(root: Path, **settings: Any) -> DataContext:
    return DataContext(str(root), None, None, root, root / "cache", lambda *_: None, settings)


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4)).save(path)


def sugarcrepe(root: Path, count: int = 6) -> Path:
    """What `bench data get sugarcrepe` leaves, with COCO beside it."""
    for stem in KINDS:
        rows = {
            str(n): {"filename": f"{n:012}.jpg", "caption": f"a true {stem} {n}", "negative_caption": f"a false {n}"}
            for n in range(count)
        }
        (root / "sugarcrepe").mkdir(parents=True, exist_ok=True)
        (root / "sugarcrepe" / f"{stem}.json").write_text(json.dumps(rows), encoding="utf-8")
    for n in range(count):
        picture(root / "coco-2017" / "val2017" / f"{n:012}.jpg")
    return root / "sugarcrepe"


def test_sugarcrepe_is_read_beside_coco(tmp_path: Path) -> None:
    data = task.open_data(context_of(sugarcrepe(tmp_path)))
    assert (data.training_split, data.default_split) == (None, "test")
    samples = task.samples(data, "test")
    assert len(samples) == 18 and {s.target.slices for s in samples} == {(kind,) for kind in KINDS.values()}
    for sample in samples:
        assert sample.image.is_file()
        assert sample.choices[sample.target.choice].startswith("a true")
        assert sample.target.image_id == sample.image.name
    assert {s.target.choice for s in samples} == {0, 1}, "a model that always says the first must be at chance"
    assert task.chance(data, samples) == 0.5


def test_the_digest_is_of_texts_and_pixels(tmp_path: Path) -> None:
    root = sugarcrepe(tmp_path)
    digest = task.open_data(context_of(root)).digest
    picture(tmp_path / "elsewhere" / "x.jpg")
    for image in (tmp_path / "coco-2017" / "val2017").iterdir():
        (tmp_path / "elsewhere" / image.name).write_bytes(image.read_bytes())
    assert task.open_data(context_of(root, images=str(tmp_path / "elsewhere"))).digest == digest
    Image.new("RGB", (4, 4), "red").save(tmp_path / "elsewhere" / f"{0:012}.jpg")
    assert task.open_data(context_of(root, images=str(tmp_path / "elsewhere"))).digest != digest


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"0": {"filename": "a.jpg", "caption": "x"}}', r"add_att\.json: \[0\].*negative_caption"),
        ('{"0": {"filename": "a.jpg", "caption": "x", "negative_caption": " "}}', "has an empty negative_caption"),
        ('{"0": "x"}', r"\[0\] is x; wanted an entry"),
        ('{"0": {"filename": "../a.jpg", "caption": "x", "negative_caption": "y"}}', "not there"),
        ('"text"', "wanted SugarCrepe's entries"),
        ("{", r"add_att\.json"),
    ],
)
def test_wrong_files_are_refused(content: str, message: str, tmp_path: Path) -> None:
    root = sugarcrepe(tmp_path)
    (root / "add_att.json").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        task.open_data(context_of(root))


def test_what_lacks_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no file of foils.*bench data get sugarcrepe"):
        task.open_data(context_of(tmp_path / "empty"))
    root = sugarcrepe(tmp_path / "set")
    (tmp_path / "set" / "coco-2017").rename(tmp_path / "set" / "gone")
    with pytest.raises(DataError, match=r"bench data get coco-2017 --parts val.*--set task\.images=FOLDER"):
        task.open_data(context_of(root))


def winoground(root: Path) -> Path:
    lines = [
        {"id": n, "image_0": f"ex_{n}_img_0", "image_1": f"ex_{n}_img_1", "caption_0": "a b", "caption_1": "b a",
         "collapsed_tag": "Object" if n else "Relation"}
        for n in range(3)
    ]  # fmt: skip
    for n, place in itertools.product(range(3), range(2)):
        picture(root / "images" / f"ex_{n}_img_{place}.png")
    (root / "examples.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return root


def test_groups_are_scored_as_winoground_does(tmp_path: Path) -> None:
    samples = task.samples(task.open_data(context_of(winoground(tmp_path))), "test")
    assert [s.sample_id for s in samples] == ["0:0", "0:1", "1:0", "1:1", "2:0", "2:1"]
    scores = [[0.9, 0.1], [0.1, 0.9], [0.9, 0.8], [0.7, 0.6], [0.5, 0.4], [0.6, 0.7]]
    # group 0: all right; 1: texts of the first image alone, images picked wrong by the second; 2: caption 0 picks 1
    found = foil_statistics(samples, scores)
    values = {name: s.value for name, s in found.items() if s is not None}
    assert values["matching-accuracy"] == pytest.approx(5 / 6)
    assert values["image-score"] == pytest.approx(1 / 3)
    assert values["group-score"] == pytest.approx(1 / 3)
    assert values["matching-accuracy[Object]"] == pytest.approx(3 / 4)


def test_a_separator_of_lines_within_a_text_ends_no_line(tmp_path: Path) -> None:
    root = winoground(tmp_path)
    lines = (root / "examples.jsonl").read_text(encoding="utf-8").replace("a b", "a \u2028 b \u0085")
    (root / "examples.jsonl").write_bytes(b"\xef\xbb\xbf" + lines.replace("\n", "\r\n").encode())
    samples = task.samples(task.open_data(context_of(root)), "test")
    assert len(samples) == 6 and samples[0].choices == ("a \u2028 b \u0085", "b a")


def second_group_scores(scores: Sequence[Sequence[float]]) -> tuple[float, float, float]:
    """Winoground's own three functions."""
    text = image = group = 0
    pairs = list(zip(scores[::2], scores[1::2], strict=True))
    for (c0_i0, c1_i0), (c0_i1, c1_i1) in pairs:
        t = c0_i0 > c1_i0 and c1_i1 > c0_i1
        i = c0_i0 > c0_i1 and c1_i1 > c1_i0
        text, image, group = text + t, image + i, group + (t and i)
    return text / len(pairs), image / len(pairs), group / len(pairs)


@given(st.lists(st.sampled_from([0.1, 0.2, 0.3]), min_size=12, max_size=12))
def test_a_second_implementation_of_groups(values: list[float]) -> None:
    scores = [values[n : n + 2] for n in range(0, 12, 2)]
    samples = [
        Sample(f"{n // 2}:{n % 2}", Path(), FoilTarget(n % 2, (), str(n // 2), str(n // 2)), choices=("a b", "b a"))
        for n in range(6)
    ]
    found = foil_statistics(samples, scores)
    _, image, group = second_group_scores(scores)
    assert found["image-score"].value == image and found["group-score"].value == group  # type: ignore[union-attr]
    right = [own[s.target.choice] > own[1 - s.target.choice] for own, s in zip(scores, samples, strict=True)]
    assert found["matching-accuracy"].value == np.mean(right)  # type: ignore[union-attr]
    assert quick_accuracy(scores, [s.target.choice for s in samples]) == np.mean(right)


def foil(number: int, true: str, false: str) -> Sample:
    return foil_sample(f"k:{number}", Path(), (true, false), FoilTarget(0, ("k",), f"{number}.jpg"))


def pairs(source: random.Random, count: int, false: str, true: str = "{}") -> list[Sample]:
    nouns = ["cat", "dog", "bus", "cup", "kite", "bed", "car", "bird"]
    return [
        foil(n, true.format(noun), false.format(noun)) for n in range(count) for noun in [source.choice(nouns)]
    ]  # fmt: skip


def test_a_set_that_texts_solve_is_shown_to_be_so_and_a_fair_one_is_not() -> None:
    source = random.Random(5)
    solved = pairs(source, 200, "there is no {} at all in the picture", "a picture of a {}")
    answers = [[1.0, 0.0] if s.target.choice == 0 else [0.0, 1.0] for s in solved]
    found = estimates(foil_statistics(solved, answers), 200)
    assert found[SHORTEST].value == 1.0 and found[LONGEST].value == 0.0 and found[BY_WORDS].value == 1.0  # type: ignore[union-attr]
    assert found["above-blind"].value == 0.0  # type: ignore[union-attr]
    fair = [
        foil_sample(
            f"k:{n}", Path(f"{n}.jpg"), (f"a {a} on a {b}", f"a {b} on a {a}"), FoilTarget(0, ("k",), f"{n}.jpg")
        )
        for n in range(200)
        for a, b in [source.sample(["cat", "dog", "bus", "cup"], 2)]
    ]
    marks = estimates(foil_statistics(fair, [[0.0, 1.0]] * 200), 200)
    for name in (LONGEST, SHORTEST, BY_WORDS):
        e = marks[name]
        assert e is not None and e.low is not None and e.low <= 0.5 <= float(e.high or 0), name


def test_words_of_an_image_are_never_weighed_by_themselves() -> None:
    """A word that is in one image's caption alone says nothing, so it cannot be told."""
    samples = [foil(n, f"a x{n}", f"a y{n}") for n in range(40)]
    assert blind_credits(samples)[BY_WORDS] == [0.5] * 40
    assert {fold_of(f"{n}.jpg") for n in range(40)} == {0, 1, 2, 3, 4}


def test_equal_scores_are_wrong_and_counted() -> None:
    samples = pairs(random.Random(1), 4, "not {}")
    outcomes = [Outcome(s.sample_id, [0.5, 0.5]) for s in samples]
    scorer = FoilScorer()
    assert scorer.prepare(samples) == "foils:1"
    assert scorer.score(samples, outcomes)["matching-accuracy"].value == 0.0  # type: ignore[union-attr]
    (note,) = scorer.notes(samples, outcomes)
    assert (note.count, note.total) == (4, 4)


def test_predictions_name_their_texts_so_that_no_order_can_be_mistaken(tmp_path: Path) -> None:
    root = sugarcrepe(tmp_path)
    data, samples = task.read_references(root / "swap_obj.json")
    rows = [{"sample_id": s.sample_id, "caption": 2, "negative_caption": 1.5} for s in samples]
    (tmp_path / "p.json").write_text(json.dumps(rows), encoding="utf-8")
    outcomes = task.read_predictions(tmp_path / "p.json", data)
    assert foil_statistics(samples, [o.prediction for o in outcomes])["matching-accuracy"].value == 1.0  # type: ignore[union-attr]
    (tmp_path / "p.json").write_text('[{"sample_id": "a", "caption": 2}]', encoding="utf-8")
    with pytest.raises(DataError, match="negative_caption"):
        task.read_predictions(tmp_path / "p.json", data)
    with pytest.raises(DataError, match="no file of foils"):
        task.read_references(tmp_path / "p.json")
