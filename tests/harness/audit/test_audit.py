"""An audit finds what was planted: copies across splits, broken and odd files, answers that differ, blind guesses."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from harness.audit.answers_of_data import ClassBalance
from harness.audit.audit import audit_data
from harness.audit.found import Audit
from harness.audit.guesses import blind_guesses
from harness.audit.image_checks import check_images, difference_hash
from harness.audit.kept_audits import audit_content, audit_path, keep_audit, kept_findings
from harness.audit.near_duplicates import NEAR_BITS, near_pairs
from harness.plan.plugins import load_task
from harness.protocols import DataContext
from harness.report.audit_tables import audit_document, render_audit_page
from harness.report.tables.document import document_text
from harness.sample import Sample
from tasks.questions.target import QuestionTarget
from tasks.questions.task import visual_question_answering


def quiet(what: str, done: int, total: int) -> None:
    """Tell nobody."""


def photo(seed: int) -> Image.Image:
    """Something smooth with structure, as photographs are."""
    draw = np.random.default_rng(seed)
    coarse = Image.fromarray(draw.integers(0, 256, (12, 12, 3), np.uint8)).resize((120, 90), Image.Resampling.BICUBIC)
    return coarse.filter(ImageFilter.GaussianBlur(2))


def folder_of_classes(root: Path) -> None:
    for split, seeds in (("train", range(8)), ("val", range(10, 14)), ("test", range(20, 26))):
        for number, seed in enumerate(seeds):
            place = root / split / ("cat" if number % 4 else "dog") / f"{seed}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            photo(seed).save(place)
    photo(3).resize((80, 60)).save(root / "test/cat/copy.jpg", quality=60)
    (root / "test/dog/broken.png").write_bytes(b"no image")
    Image.new("RGB", (64, 64), (9, 9, 9)).save(root / "val/dog/flat.png")
    photo(50).resize((20, 60)).save(root / "val/dog/narrow.png")
    photo(1).save(root / "train/dog/same.png")  # what is a cat too


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    root = tmp_path_factory.mktemp("audited")
    folder_of_classes(root / "photos")
    task = load_task("image-classification")
    context = DataContext(str(root / "photos"), None, None, root, root / "cache", quiet, {})
    return audit_data(task, task.open_data(context), quiet, root / "cache")


def test_what_was_planted_is_found(audited: Audit) -> None:
    splits = {split.name: split for split in audited.splits}
    assert [Path(path).name for path in splits["test"].unreadable] == ["broken.png"]
    assert {Path(path).name: why for path, why in splits["val"].odd.items()} == {
        "flat.png": "of one colour", "narrow.png": "20 x 60 pixels",
    }  # fmt: skip
    (shared,) = audited.shared
    (pair,) = shared.pairs
    assert (shared.first, shared.second, shared.count, shared.of) == ("train", "test", 1, 7)
    assert (pair.first.name, pair.second.name) == ("3.png", "copy.jpg") and pair.bits <= NEAR_BITS
    assert sorted(Path(name).name for name in splits["train"].disagreement.differing) == ["1.png", "same.png"]
    assert splits["train"].balance == ClassBalance("train", {"cat": 6, "dog": 3})
    assert splits["train"].balance.ratio == 2.0
    (prior,) = splits["test"].guesses
    assert prior.score == pytest.approx(5 / 8) and "commonest class of the training split" in prior.how
    assert audited.findings == [
        "train: 2 samples have images with another answer too: no model is right on all",
        "test: 1 of 8 images cannot be read",
        "1 of 7 images of test look like images of train: scores on them may be of memory",
    ]


def test_it_is_shown_as_text_page_and_json(audited: Audit, tmp_path: Path) -> None:
    text = document_text(audit_document(audited), "text")
    assert "copy.jpg" in text and "of one colour" in text
    assert all(len(line) <= 100 for line in text.splitlines() if "/" not in line)
    page = render_audit_page(replace(audited, data="<script>alert(1)</script>"))
    assert "<script>" not in page and "&lt;script&gt;" in page and "copy.jpg" in page
    content = audit_content(audited)
    assert json.loads(json.dumps(content, allow_nan=False))["shared"][0]["count"] == 1


def test_what_was_found_is_kept_for_runs(audited: Audit, tmp_path: Path) -> None:
    assert kept_findings(tmp_path, audited.task, audited.digest) == []
    keep_audit(audited, tmp_path)
    assert kept_findings(tmp_path, audited.task, audited.digest) == audited.findings
    assert kept_findings(tmp_path, audited.task, "0" * 64) == []
    kept = audit_path(tmp_path, audited.task, audited.digest)
    kept.write_text(json.dumps({**audit_content(audited), "code": "of last year"}))
    assert "found by other code: run `bench data audit`" in kept_findings(tmp_path, audited.task, audited.digest)[0]
    kept.write_text("{}")
    assert kept_findings(tmp_path, audited.task, audited.digest) == []


def test_hashes_know_an_image_after_changes_and_no_other(tmp_path: Path) -> None:
    hashes = [difference_hash(photo(seed)) for seed in range(60)]
    for seed in range(20):
        changed = photo(seed).resize((75, 56)).point(lambda value: min(255, value + 12))
        changed.save(tmp_path / "a.jpg", quality=40)
        with Image.open(tmp_path / "a.jpg") as opened:
            assert (difference_hash(opened) != hashes[seed]).sum() <= NEAR_BITS
    others = [int((a != b).sum()) for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(others) > 2 * NEAR_BITS


def test_near_pairs_are_those_of_counting_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.audit import near_duplicates

    monkeypatch.setattr(near_duplicates, "_BLOCK", 7)
    draw = np.random.default_rng(0)
    empty = check_images((), "none", quiet)
    rows = draw.integers(0, 2, (40, 128), np.uint8)
    others = rows[draw.integers(0, 40, 25)] ^ (draw.random((25, 128)) < 0.045)
    first = replace(empty, hashed=tuple(Path(f"a{n}") for n in range(40)), bits=rows)
    second = replace(empty, hashed=tuple(Path(f"b{n}") for n in range(25)), bits=others.astype(np.uint8))
    counted = (rows[None] != others[:, None]).sum(2)
    wanted = {f"b{n}": int(row.min()) for n, row in enumerate(counted) if row.min() <= NEAR_BITS}
    found = near_pairs(first, second)
    assert {pair.second.name: pair.bits for pair in found} == wanted and 3 < len(wanted) < 25
    assert all(counted[int(p.second.name[1:]), int(p.first.name[1:])] == p.bits for p in found)
    assert near_pairs(empty, second) == near_pairs(first, empty) == []


class ChoiceOf:
    def __init__(self, choice: int) -> None:
        self.choice = choice


def choices(number: int, right: str, wrong: str) -> Sample:
    texts = (right, wrong) if number % 2 else (wrong, right)
    return Sample(str(number), Path("x"), ChoiceOf(number % 2 == 0), choices=texts)


def test_choices_that_words_give_away() -> None:
    class Task:
        answers = "choices"
        metrics = ("accuracy",)

    task: Any = Task()
    training = [choices(n, "a red dog", "a dog without red") for n in range(20)]
    evaluated = [choices(n, "a blue cat", "a cat without blue") for n in range(10)]
    scores = {guess.how: guess.score for guess in blind_guesses(task, training, evaluated)}
    assert scores == {"the longest choice": 0.0, "the shortest choice": 1.0, "words of right choices": 1.0}
    even = [choices(n, "one", "two") for n in range(10)]
    assert {guess.score for guess in blind_guesses(task, [], even)} == {0.5}


def question(number: int, text: str, answer: str, *options: str) -> Sample:
    target = QuestionTarget((answer,), "choice" if options else "short", text, str(number), str(number), options)
    return Sample(str(number), Path("x"), target, text, options)


def test_short_answers_that_questions_give_away() -> None:
    training = [question(n, "What colour is the grass?", "green") for n in range(3)]
    training += [question(n, "What colour is the sky there?", "blue") for n in range(2)]
    evaluated = [
        question(0, "What colour is the grass?", "green"),
        question(1, "What colour is the sea?", "blue", "red", "blue"),
        question(2, "What colour is the sky?", "red", "red", "blue"),
        question(3, "Who is it?", "Ann"),
    ]
    guesses = {guess.source: guess.score for guess in blind_guesses(visual_question_answering, training, evaluated)}
    # green is commonest, among red and blue it is blue; of what begins alike ("what colour is the") just so
    assert guesses == {"prior": 2 / 4, "text": 2 / 4}
    alone = blind_guesses(visual_question_answering, [], [question(n, "Is it?", a) for n, a in enumerate("xxy")])
    assert [(guess.source, guess.score) for guess in alone] == [("prior", 2 / 3)]


class LabelOf:
    labels: tuple[int, ...] = ()

    def __init__(self, label: int) -> None:
        self.label = label


def test_naive_bayes_is_that_of_scikit_learn() -> None:
    text_of = pytest.importorskip("sklearn.feature_extraction.text")
    bayes = pytest.importorskip("sklearn.naive_bayes")
    draw, words = random.Random(0), ["red", "blue", "dog", "cat", "big", "old", "tree", "car"]

    def samples(count: int) -> list[Sample]:
        found = []
        for number in range(count):
            label = draw.randrange(3)
            told = draw.choices(words, [3 if k % 3 == label else 1 for k in range(len(words))], k=draw.randrange(1, 5))
            found.append(Sample(str(number), Path("x"), LabelOf(label), " ".join(told)))
        return found

    class Task:
        answers = "labels"
        metrics = ("accuracy",)

    task: Any = Task()
    training, evaluated = samples(200), samples(100)
    counter = text_of.CountVectorizer(token_pattern=r"\w+")
    matrix = counter.fit_transform([s.text for s in training])
    reference = bayes.MultinomialNB().fit(matrix, [s.target.label for s in training])
    right = reference.score(counter.transform([s.text for s in evaluated]), [s.target.label for s in evaluated])
    guesses = {guess.source: guess.score for guess in blind_guesses(task, training, evaluated)}
    assert guesses["text"] == pytest.approx(right)
    assert not math.isclose(guesses["text"], guesses["prior"])


def test_of_built_in_data_what_a_run_reads_is_audited(tmp_path: Path) -> None:
    """A split of Scenes that nobody asked for has not been made."""
    folder_of_classes(tmp_path / "photos")
    task, told = load_task("image-classification"), list[str]()
    context = DataContext(str(tmp_path / "photos"), None, None, tmp_path, tmp_path / "cache", quiet, {})
    data = task.open_data(context)
    built_in = replace(data, embedded=True, splits=(*data.splits, "never-made"))
    found = audit_data(task, built_in, lambda what, done, total: told.append(what), tmp_path / "cache")
    assert [split.name for split in found.splits] == ["train", "val", "test"]
    assert any("train, val, test are audited, and no other split" in line for line in told)
