"""Tables of images and texts give the tasks what they hold, byte for byte; what fits no column is named."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.errors import DataError, UsageError
from tasks.table_data.columns import role_in_path
from tasks.table_data.parquet_tables import open_parquet
from tasks.table_data.webdataset_shards import open_shards
from tests.tasks.table_data.conftest import encoded, quiet


def parquet(path: Path, names: tuple[str, ...] | None = None, **columns: Any) -> None:
    table = pa.table(columns)
    if names is not None:
        features = {"info": {"features": {"label": {"names": list(names), "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def images(*shades: int) -> list[dict[str, Any]]:
    return [{"bytes": encoded(shade), "path": f"{shade}.png"} for shade in shades]


def shard(path: Path, *members: tuple[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def test_captions_of_a_hubs_files(tmp_path: Path, as_captions: Any) -> None:
    root = tmp_path / "set" / "data"
    parquet(root / "train-00000-of-00002.parquet", image=images(1, 2), text=[["a", "b"], ["c"]])
    parquet(root / "train-00001-of-00002.parquet", image=images(3), text=[["d"]])
    parquet(root / "validation-00000-of-00001.parquet", image=images(4), text=[["e", None]])
    folder = open_parquet(f"{root}#image=image,caption=text", tmp_path / "cache", quiet)
    assert as_captions(folder) == {
        "train": [(encoded(1), ("a", "b")), (encoded(2), ("c",)), (encoded(3), ("d",))],
        "val": [(encoded(4), ("e",))],
    }
    assert open_parquet(f"{root}#image=image,caption=text", tmp_path / "cache", quiet) == folder
    parquet(root / "train-00001-of-00002.parquet", image=images(5), text=[["d"]])
    other = open_parquet(f"{root}#image=image,caption=text", tmp_path / "cache", quiet)
    assert other != folder and as_captions(other)["train"][-1] == (encoded(5), ("d",))


def test_classes_by_the_names_in_the_metadata(tmp_path: Path, as_classes: Any) -> None:
    for split in ("train", "validation", "test"):
        parquet(
            tmp_path / f"set/{split}.parquet", ("cat", "dog"), label=[0, 1, 0], image=[encoded(n) for n in (1, 2, 3)]
        )
    found = as_classes(open_parquet(f"{tmp_path / 'set'}#image=image,label=label", tmp_path / "cache", quiet))
    wanted = [(encoded(1), "cat"), (encoded(2), "dog"), (encoded(3), "cat")]
    assert {split: sorted(rows) for split, rows in found.items()} == dict.fromkeys(
        ("train", "val", "test"), sorted(wanted)
    )


def test_a_column_says_which_split(tmp_path: Path, as_captions: Any) -> None:
    parquet(tmp_path / "all.parquet", image=images(1, 2, 3), caption=["a", "b", "c"], part=["train", "restval", "test"])
    wish = f"{tmp_path / 'all.parquet'}#image=image,caption=caption,split=part"
    found = as_captions(open_parquet(wish, tmp_path / "cache", quiet))
    assert {split: [references for _, references in rows] for split, rows in found.items()} == {
        "train": [("a",), ("b",)], "test": [("c",)],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("columns", "error", "why"),
    [
        ("", UsageError, "has image, caption, url. Say which is what: --data .*#image=COLUMN,caption=COLUMN"),
        ("image=img,caption=caption", UsageError, "There is no 'img'. Did you mean 'image'"),
        ("image=image", UsageError, "one for caption, label, or question and answer"),
        ("image=image,caption=caption,label=url", UsageError, "one for caption, label, or question and answer"),
        ("image=image,text=caption", UsageError, "'text=caption' .* wanted image, caption, label, question"),
        ("image=image,question=caption", UsageError, "one for caption, label, or question and answer"),
        ("image=image,caption=caption,options=url", UsageError, "one for caption, label, or question and answer"),
        ("image=url,caption=caption", DataError, "Wanted encoded images.*img2dataset"),
        ("image=image,caption=image", DataError, "Wanted text"),
    ],
)
def test_nothing_is_guessed(columns: str, error: type[Exception], why: str, tmp_path: Path) -> None:
    place = tmp_path / "a.parquet"
    parquet(place, image=images(1), caption=["a"], url=["http://x"])
    with pytest.raises(error, match=why):
        open_parquet(f"{place}#{columns}", tmp_path / "cache", quiet)


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"image": [None], "caption": ["a"]}, "row 0: there are no bytes of an image"),
        ({"image": images(1), "caption": pa.array([None], pa.string())}, "row 0: there is no caption"),
        ({"image": images(1), "caption": pa.array([[]], pa.list_(pa.string()))}, "row 0: there is no caption"),
    ],
)
def test_rows_that_lack_something_are_named(columns: dict[str, Any], why: str, tmp_path: Path) -> None:
    if columns["image"] == [None]:
        columns = {**columns, "image": pa.array([None], pa.binary())}
    parquet(tmp_path / "a.parquet", **columns)
    with pytest.raises(DataError, match=why):
        open_parquet(f"{tmp_path / 'a.parquet'}#image=image,caption=caption", tmp_path / "cache", quiet)
    assert not [path for path in (tmp_path / "cache/table-data").iterdir() if path.is_dir() and path.name[0] != "."]


def test_files_that_are_no_parquet(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        open_parquet(f"{tmp_path}#image=a,caption=b", tmp_path / "cache", quiet)
    with pytest.raises(DataError, match="No Parquet file in"):
        open_parquet(f"{tmp_path / 'none'}#image=a,caption=b", tmp_path / "cache", quiet)


def test_class_numbers_beyond_the_names_and_odd_names(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", ("cat",), label=[1], image=images(1))
    with pytest.raises(DataError, match="1 is none of the 1 classes"):
        open_parquet(f"{tmp_path / 'a.parquet'}#image=image,label=label", tmp_path / "cache", quiet)
    parquet(tmp_path / "a.parquet", label=["../evil"], image=images(1))
    with pytest.raises(DataError, match="cannot be a folder's name"):
        open_parquet(f"{tmp_path / 'a.parquet'}#image=image,label=label", tmp_path / "cache", quiet)


def test_shards_of_captions(tmp_path: Path, as_captions: Any) -> None:
    root = tmp_path / "shards"
    shard(root / "train-0.tar", ("a/1.jpg", encoded(1, "JPEG")), ("a/1.txt", b"one\ntwo\n"), ("b/1.txt", b"three"),
          ("b/1.png", encoded(2)))  # fmt: skip
    shard(root / "train-1.tar", ("3.png", encoded(3)), ("3.txt", b"four"))
    shard(root / "val-0.tar", ("4.png", encoded(4)), ("4.txt", b"five"))
    found = as_captions(open_shards(f"{root}#image=jpg;png,caption=txt", tmp_path / "cache", quiet))
    assert found == {
        "train": [(encoded(3), ("four",)), (encoded(1, "JPEG"), ("one", "two")), (encoded(2), ("three",))],
        "val": [(encoded(4), ("five",))],
    }


def test_a_range_of_shards_and_captions_in_json(tmp_path: Path, as_captions: Any) -> None:
    for number in range(3):
        content = json.dumps({"caption": f"caption {number}"}).encode()
        shard(tmp_path / f"{number:04}.tar", ("x.png", encoded(number)), ("x.json", content))
    wish = f"{tmp_path}/{{0001..0002}}.tar#image=png,caption=json.caption"
    found = as_captions(open_shards(wish, tmp_path / "cache", quiet))
    assert found == {"test": [(encoded(1), ("caption 1",)), (encoded(2), ("caption 2",))]}
    with pytest.raises(DataError, match=r"No shard .*0003\.tar"):
        open_shards(f"{tmp_path}/{{0001..0003}}.tar#image=png,caption=json.caption", tmp_path / "cache", quiet)


def test_the_layout_of_clip_benchmark_is_read_as_it_is(tmp_path: Path, as_classes: Any) -> None:
    root = tmp_path / "wds_pets"
    for split in ("train", "test"):
        shard(root / split / "0.tar", *(
            (f"s{n}.{kind}", content)
            for n in range(6)
            for kind, content in (("webp", encoded(n, "WEBP")), ("cls", str(n % 2).encode()))
        ))  # fmt: skip
        (root / split / "nshards.txt").write_text("1")
    (root / "classnames.txt").write_text("cat\ndog\n")
    found = as_classes(open_shards(str(root), tmp_path / "cache", quiet))
    assert sorted(found["test"]) == sorted((encoded(n, "WEBP"), ("cat", "dog")[n % 2]) for n in range(6))


@pytest.mark.parametrize(
    ("members", "columns", "why"),
    [
        ((("1.jpg", b"x"), ("1.txt", b"a"), ("2.jpg", b"x")), "image=jpg,caption=txt", r"2: there is no member \.txt"),
        ((("1.jpg", b"x"), ("1.txt", b" ")), "image=jpg,caption=txt", "1: there is no caption"),
        ((("1.jpg", b"x"), ("1.json", b"{")), "image=jpg,caption=json.a", "json.a cannot be read"),
        ((("1.jpg", b"x"), ("1.txt", b"a")), "", "has jpg, txt. Say which is what"),
        ((), "image=jpg,caption=txt", "holds no sample"),
    ],
)
def test_shards_that_lack_something(members: Any, columns: str, why: str, tmp_path: Path) -> None:
    shard(tmp_path / "0.tar", *members)
    with pytest.raises((DataError, UsageError), match=why):
        open_shards(f"{tmp_path / '0.tar'}#{columns}", tmp_path / "cache", quiet)


def test_a_cut_shard_is_named(tmp_path: Path) -> None:
    shard(tmp_path / "0.tar", ("1.jpg", bytes(4000)), ("1.txt", b"a"))
    content = (tmp_path / "0.tar").read_bytes()
    (tmp_path / "0.tar").write_bytes(content[:2000])
    with pytest.raises(DataError, match="cannot be read as a tar file"):
        open_shards(f"{tmp_path / '0.tar'}#image=jpg,caption=txt", tmp_path / "cache", quiet)


@pytest.mark.parametrize(
    ("path", "role"),
    [
        ("train-00000-of-00003.parquet", "train"), ("en/validation/0000.parquet", "val"), ("test/0.tar", "test"),
        ("data/dev.parquet", "val"), ("training_images.parquet", "train"), ("0001.tar", None),
        ("contrast.parquet", None), ("trained.parquet", None), ("test/train-0.tar", "train"), ("valid1.tar", "val"),
    ],
)  # fmt: skip
def test_splits_in_names(path: str, role: str | None) -> None:
    assert role_in_path(path) == role


def test_names_of_which_only_some_say_the_split(tmp_path: Path) -> None:
    for name in ("train-0", "more"):
        parquet(tmp_path / f"{name}.parquet", image=images(1), caption=["a"])
    with pytest.raises(DataError, match=r"more\.parquet does not say of which split"):
        open_parquet(f"{tmp_path}#image=image,caption=caption", tmp_path / "cache", quiet)


def test_columns_of_other_writers(tmp_path: Path, as_captions: Any) -> None:
    """Polars writes large lists of large strings, pandas its categories as a dictionary."""
    large = pa.array([["a", " "], ["b", None]], pa.large_list(pa.large_string()))
    names = pa.array(["test", "test"]).dictionary_encode()
    parquet(tmp_path / "p" / "t.parquet", image=images(1, 2), text=large, part=names)
    folder = open_parquet(f"{tmp_path / 'p'}#image=image,caption=text,split=part", tmp_path / "cache", quiet)
    assert as_captions(folder)["test"] == [(encoded(1), ("a",)), (encoded(2), ("b",))]


def test_nothing_is_no_text_and_texts_of_json_stay_whole(tmp_path: Path, as_captions: Any) -> None:
    told = json.dumps({"several": ["one\ntwo", None, "three"], "none": None, "people": [{"answer": "x"}], "n": 5})
    shard(tmp_path / "w" / "0.tar", ("a.png", encoded(1)), ("a.json", told.encode()), ("a.cap.txt", b"u\xc2\x85v\nw"))
    cache = tmp_path / "cache"
    folder = open_shards(f"{tmp_path / 'w'}#image=png,caption=json.several", cache, quiet)
    assert as_captions(folder)["test"] == [(encoded(1), ("one\ntwo", "three"))]
    folder = open_shards(f"{tmp_path / 'w'}#image=png,caption=cap.txt", cache, quiet)
    assert as_captions(folder)["test"] == [(encoded(1), ("u\x85v", "w"))]
    folder = open_shards(f"{tmp_path / 'w'}#image=png,question=json.n,answer=json.people", cache, quiet)
    assert '"answers": ["x"]' in (folder / "questions_test.json").read_text(encoding="utf-8")
    for columns, why in [("caption=json.none", "there is no caption"), ("label=json.none", "json.none holds no texts"),
                         ("label=json.several", "holds 2 texts"), ("caption=json.n.m", "cannot be read")]:  # fmt: skip
        with pytest.raises(DataError, match=why):
            open_shards(f"{tmp_path / 'w'}#image=png,{columns}", cache, quiet)


def test_a_range_may_stand_in_the_folder(tmp_path: Path, as_captions: Any) -> None:
    for number in range(2):
        shard(tmp_path / str(number) / "a.tar", ("a.png", encoded(number)), ("a.txt", b"text %d" % number))
    folder = open_shards(f"{tmp_path}/{{0..1}}/a.tar#image=png,caption=txt", tmp_path / "cache", quiet)
    assert [texts for _, texts in as_captions(folder)["test"]] == [("text 0",), ("text 1",)]


@pytest.mark.parametrize(
    ("classes", "why"), [("cat\ncat\n", "calls 2 classes 'cat'"), ("caf\xe9\n", "no text in UTF-8")]
)
def test_class_names_that_would_mix_classes_up(tmp_path: Path, classes: str, why: str) -> None:
    shard(tmp_path / "w" / "0.tar", ("a.png", encoded(1)), ("a.cls", b"0"))
    (tmp_path / "w" / "classnames.txt").write_bytes(classes.encode("latin-1"))
    with pytest.raises(DataError, match=why):
        open_shards(str(tmp_path / "w"), tmp_path / "cache", quiet)


def test_what_a_user_may_mistype_ends_in_a_message(tmp_path: Path) -> None:
    cache, where = tmp_path / "cache", tmp_path / "p"
    shard(tmp_path / "w" / "0.tar", ("a.png", encoded(1)), ("a.json", b"5"))
    parquet(where / "t.parquet", image=images(1), text=["\u00fc" * 150], blank=[" "], ask=["q"], opts=[["", "b"]])
    with pytest.raises(UsageError, match=r"There is no 'image\.bytes'"):
        open_parquet(f"{where}#image=image.bytes,caption=text", cache, quiet)
    for wish, why in [("image=image,label=text", "cannot be a folder's name"),
                      ("image=image,caption=blank", "no caption"),
                      ("image=image,question=ask,answer=text,options=opts", "an option before the last")]:  # fmt: skip
        with pytest.raises(DataError, match=why):
            open_parquet(f"{where}#{wish}", cache, quiet)
    for wish, why in [
        ("w#image=png,caption=json.x", "cannot be read"),
        ("w/{5..0}.tar#image=png,caption=txt", "no shard"),
    ]:
        with pytest.raises(DataError, match=why):
            open_shards(f"{tmp_path}/{wish}", cache, quiet)
    with pytest.raises(DataError, match="No Parquet file"):
        open_parquet("#image=image,caption=text", cache, quiet)
