"""Questions on disk: every format by a small case, properties of what is read, and bad files that end in messages."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from harness.errors import BenchError, DataError, UsageError
from harness.protocols import DataContext
from harness.sample import Dataset, Outcome, Sample
from tasks.formats.question_answers import read_question_answers
from tasks.formats.question_rows import read_question_rows
from tasks.questions import files
from tasks.questions.files import priors_of, training_answers
from tasks.questions.target import QuestionTarget
from tasks.questions.task import visual_question_answering as task
from tasks.table_data.parquet_tables import open_parquet

Open = Callable[..., DataContext]


def paint(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (len(str(path)) % 256, 0, 0)).save(path)


def lines(path: Path, rows: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(json.dumps, rows)))


def pope(root: Path, name: str = "coco_pope_random.json") -> Path:
    rows = [
        {"question_id": n, "image": "COCO_val2014_000000000001.jpg", "text": f"Is there a {what}?", "label": label}
        for n, (what, label) in enumerate([("dog", "yes"), ("cat", "no"), ("bus", "no"), ("cup", "yes")], 1)
    ]
    lines(root / name, rows)
    return root


def opened(context: DataContext) -> tuple[Dataset, list[Sample]]:
    data = task.open_data(context)
    return data, list(task.samples(data, data.default_split))


def scores(data: Dataset, samples: list[Sample], say: Callable[[Sample], Any], cache: Path) -> dict[str, float]:
    with task.scorer(data, cache) as scorer:
        scorer.prepare(samples)
        found = scorer.score(samples, [Outcome(s.sample_id, say(s)) for s in samples])
    return {name: value.value for name, value in found.items() if value is not None}


def test_pope_is_read_with_its_images_in_coco_2014_beside_it(tmp_path: Path, open_context: Open) -> None:
    root = pope(pope(tmp_path / "pope"), "coco_pope_popular.json")
    paint(tmp_path / "coco-2014/val2014/COCO_val2014_000000000001.jpg")
    data, samples = opened(open_context(root))
    assert (data.splits, data.training_split) == (("coco_pope_popular", "coco_pope_random"), None)
    assert [(s.target.kind, s.choices, s.target.accepted) for s in samples][:2] == [
        ("yes/no", ("yes", "no"), ("yes",)), ("yes/no", ("yes", "no"), ("no",)),
    ]  # fmt: skip
    found = scores(data, samples, lambda s: "Yes, there is.", tmp_path)
    assert found["accuracy"] == 0.5 and found["yes-F1"] == pytest.approx(2 / 3) and found["yes-share"] == 1
    assert task.chance(data, samples) == 0.5


def test_images_that_lie_elsewhere_are_named(tmp_path: Path, open_context: Open) -> None:
    root = pope(tmp_path / "p/pope")
    with pytest.raises(DataError, match=r"is not there .*task\.images=FOLDER"):
        task.open_data(open_context(root))
    paint(tmp_path / "elsewhere/COCO_val2014_000000000001.jpg")
    data = task.open_data(open_context(root, images=str(tmp_path / "elsewhere")))
    assert task.samples(data, data.default_split)[0].image.parent.name == "elsewhere"
    with pytest.raises(UsageError, match="no such folder"):
        task.open_data(open_context(root, images=str(tmp_path / "nowhere")))


def vqa(root: Path) -> Path:
    for split, first in (("train", 100), ("val", 200)):
        questions, notes = [], []
        for number in range(60):
            name, image = first + number, 1 + number // 2
            kind, people = [("is the", ["yes"] * 8 + ["no"] * 2), ("how many", ["2"] * 4 + ["two", "3"] * 3)][
                number % 2
            ]
            text = {"is the": "Is the dog big?", "how many": "How many dogs are there?"}[kind]
            questions.append({"question_id": name, "image_id": image, "question": text})
            answers = [{"answer": a, "answer_id": i} for i, a in enumerate(people, 1)]
            notes.append({"question_id": name, "image_id": image, "question_type": kind, "answers": answers})
            paint(root / f"{split}2014/COCO_{split}2014_{image:012}.jpg")
        head = {"data_subtype": f"{split}2014"}
        path = root / f"v2_OpenEnded_mscoco_{split}2014_questions.json"
        path.write_text(json.dumps({**head, "questions": questions}))
        (root / f"v2_mscoco_{split}2014_annotations.json").write_text(json.dumps({**head, "annotations": notes}))
    return root


def test_vqa_by_hand(tmp_path: Path, open_context: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    data, samples = opened(open_context(vqa(tmp_path / "vqa")))
    assert (data.training_split, data.default_split) == ("train", "val")
    assert samples[0].image.name == "COCO_val2014_000000000001.jpg"
    assert [s.target.kind for s in samples[:2]] == ["yes/no", "number"]
    said = {"yes/no": "yes", "number": "2"}
    found = scores(data, samples, lambda s: said[s.target.kind], tmp_path)
    # of ten people 8 say yes: whoever is left out, 7 others do; 2 is given by 7, "two" being the same
    assert found["VQA-accuracy"] == pytest.approx(1) and found["accuracy"] == 1
    found = scores(data, samples, lambda s: {"yes/no": "no", "number": "3"}[s.target.kind], tmp_path)
    assert found["VQA-accuracy"] == pytest.approx(((8 * 2 + 2 * 1) / 30 + (7 * 3 + 3 * 2) / 30) / 2)
    assert found["accuracy"] == 0 and found["prior-share"] == 0, "training says yes and 2"
    assert found["accuracy[how many]"] == 0
    known = training_answers(data, 10)
    with monkeypatch.context() as patch:
        patch.setattr(files, "answer_vocabulary", lambda *_: pytest.fail("training was read again"))
        assert training_answers(data, 10) == known
        patch.setattr(files, "question_code", lambda: "of next year")
        patch.setattr(files, "answer_vocabulary", lambda *_: ("other",))
        assert training_answers(data, 10).answers == ("other",), "what other code made is not taken"
    assert set(known.answers) == {"yes", "2"} and known.priors == {"is the": "yes", "how many": "2"}
    assert task.spec(data, ()).classes.names == known.answers


def test_gqa_simple_json_and_csv_say_the_same(tmp_path: Path, open_context: Open) -> None:
    rows = [
        {"question_id": "a", "image": "7", "question": "What is red?", "answer": "car"},
        {"question_id": "b", "image": "7", "question": "Is it big?", "answer": "No"},
        {"question_id": "c", "image": "8", "question": "Which?", "answer": "B", "options": ["cat", "dog", "cow"]},
        {"question_id": "d", "image": "8", "question": "How many?", "answer": 3},
    ]
    gqa = {row["question_id"]: {"imageId": row["image"], **row, "types": {"detailed": ""}} for row in rows}
    table = io.StringIO()
    writer = csv.DictWriter(table, ["question_id", "image", "question", "answer", "options"])
    writer.writeheader()
    writer.writerows({**row, "options": "|".join(row.get("options", []))} for row in rows)  # type: ignore[arg-type]
    contents = {"gqa/testdev_balanced_questions.json": json.dumps(gqa), "simple/questions.json": json.dumps(rows),
                "table/test.csv": table.getvalue()}  # fmt: skip
    found = []
    for name, content in contents.items():
        path = tmp_path / name
        for image in ("7", "8"):
            paint(path.parent / f"images/{image}.jpg")
        path.write_text(content)
        _, samples = opened(open_context(path.parent))
        found.append([(s.sample_id, s.text, s.choices, s.target.accepted, s.target.kind) for s in samples])
    assert found[0] == found[1] == found[2]
    assert [row[3:] for row in found[0]] == [
        (("car",), "short"), (("no",), "yes/no"), (("dog",), "choice"), (("3",), "number")
    ]  # fmt: skip


def test_a_parquet_table_with_named_columns(tmp_path: Path, open_context: Open) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    image = {"bytes": buffer.getvalue(), "path": "x.png"}
    table = pa.table(
        {
            "picture": [image, image],
            "q": ["What is it?", "Is it red?"],
            "a": [[{"answer": "dog"}, {"answer": "cat"}], [{"answer": "yes"}]],
            "o": [[], ["yes", "no"]],
        }
    )
    (tmp_path / "t").mkdir()
    pq.write_table(table, tmp_path / "t/test-0.parquet")
    wish, cache = f"{tmp_path / 't'}#image=picture", tmp_path / "c"
    folder = open_parquet(f"{wish},question=q,answer=a,options=o", cache, lambda *_: None)
    _, samples = opened(open_context(folder))
    assert [(s.text, s.choices, s.target.accepted) for s in samples] == [
        ("What is it?", (), ("dog", "cat")), ("Is it red?", ("yes", "no"), ("yes",)),
    ]  # fmt: skip
    with pytest.raises(UsageError, match="question and answer"):
        open_parquet(f"{wish},question=q", cache, lambda *_: None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not JSON|has no questions"),
        ("[]", "has no questions"),
        ("7", "holds int"),
        ("[7]", "question 1 is int"),
        ('[{"image": "a", "question": "q"}]', "question 1 has no answer"),
        ('[{"image": "a", "question": " ", "answer": "x"}]', "asks nothing"),
        ('[{"image": "a", "question": "q", "answer": true}]', "its answer is True; wanted text"),
        ('[{"question": "q", "answer": "x"}]', "has no image"),
        ('{"a": 3}', "question a is int"),
        ('{"question_id": 1, "image": "a", "text": "q", "label": "no"}\n{"quest', "line 2 is not JSON"),
        (
            '[{"id": 1, "image": "a", "question": "q", "answer": "x"}, {"id": 1, "image": "a", "question": "p", '
            '"answer": "x"}]',
            "1 ids stand for several questions",
        ),
    ],
)
def test_bad_files_end_in_messages(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "questions.json"
    path.write_text(content)
    with pytest.raises(DataError, match=message) as failure:
        read_question_rows(path)
    assert str(path) in str(failure.value)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(st.binary(max_size=60), st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["question", "answer", "image", "id", "options", "x"]), inner, max_size=5),
    max_leaves=8,
).map(lambda value: json.dumps(value).encode())))  # fmt: skip
def test_whatever_a_file_holds_it_is_read_or_refused_in_words(tmp_path: Path, content: bytes) -> None:
    for name, read in (
        ("q.json", read_question_rows),
        ("q.csv", read_question_rows),
        ("p.json", read_question_answers),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        try:
            read(path)
        except BenchError as error:
            assert name in str(error)


_TEXT = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\n|\0", exclude_categories=["Cs"]), min_size=1
).filter(lambda text: text.strip() == text)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(_TEXT, _TEXT, st.lists(_TEXT, min_size=1, max_size=4)), min_size=1, max_size=5))
def test_what_is_written_is_read(tmp_path: Path, rows: list[tuple[str, str, list[str]]]) -> None:
    content = [
        {"question_id": str(n), "image": image, "question": question, "answers": answers}
        for n, (image, question, answers) in enumerate(rows)
    ]
    (tmp_path / "q.json").write_text(json.dumps(content))
    lines(tmp_path / "q.jsonl", content)
    for name in ("q.json", "q.jsonl"):
        found = read_question_rows(tmp_path / name)
        assert [(row.image, row.question, list(row.answers)) for row in found] == rows


def test_answers_made_elsewhere(tmp_path: Path) -> None:
    wanted = [Outcome("1", "Yes."), Outcome("2", "two")]
    rows = [{"question_id": 1, "answer": "Yes."}, {"question_id": 2, "answer": "two"}]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    lines(tmp_path / "b.jsonl", rows)
    (tmp_path / "c.csv").write_text("question_id,answer\n1,Yes.\n2,two\n")
    pq.write_table(pa.table({"question_id": ["1", "2"], "answer": ["Yes.", "two"]}), tmp_path / "d.parquet")
    for name in ("a.json", "b.jsonl", "c.csv", "d.parquet"):
        assert read_question_answers(tmp_path / name) == wanted
    (tmp_path / "s.json").write_text('[{"id": 1, "scores": [0.5, 1]}]')
    assert read_question_answers(tmp_path / "s.json") == [Outcome("1", [0.5, 1.0])]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "has no answers"), ("{", "neither JSON nor lines"), ("3", "holds int"),
        ('[{"id": 1}]', "has id; wanted"),
        ('[{"id": 1, "answer": {}}]', "its answer is {}"), ('[{"id": 1, "scores": ["x"]}]', "a number for each option"),
        ('[{"id": 1, "answer": "x"}, {"id": 1, "answer": "y"}]', "predicts again for 1"),
    ],
)  # fmt: skip
def test_bad_answers_end_in_messages(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(DataError, match=message):
        read_question_answers(tmp_path / "a.json")


def test_a_prior_is_the_answer_that_is_commonest_alone() -> None:
    def row(form: str, *accepted: str) -> QuestionTarget:
        return QuestionTarget(accepted, "short", form, "1", "1")

    rows = [row("a", "red"), row("a", "Red"), row("a", "blue"), row("b", "x"), row("c", "x"), row("c", "y")]
    assert priors_of(rows) == {"a": "red"}


def test_what_is_no_data_of_questions_is_refused(tmp_path: Path, open_context: Open) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "nowhere"):
        with pytest.raises(DataError, match=r"VQA's \*_questions\.json"):
            task.open_data(open_context(folder))
    for name in ("val_a.json", "val_b.json"):
        pope(tmp_path / "two", name)
    with pytest.raises(DataError, match="are both of val"):
        task.open_data(open_context(tmp_path / "two"))
