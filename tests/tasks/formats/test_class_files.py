"""Class files in every form, and the two places that are at odds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import DataError
from tasks.formats.class_names import ClassFile, read_class_file
from tasks.formats.label_maps import scheme_of_classes


def read(tmp_path: Path, content: Any, name: str = "classes.txt") -> ClassFile:
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return read_class_file(path)


@pytest.mark.parametrize(
    ("content", "names", "values"),
    [
        ("cat\ndog\n", ("cat", "dog"), (0, 1)),
        ("\ufeffcat\r\n\r\n  polar   bear \r\n", ("cat", "polar bear"), (0, 1)),
        ("7 up\ncola\nwater", ("7 up", "cola", "water"), (0, 1, 2)),
        ("0 cat\n1 dog", ("cat", "dog"), (0, 1)),
        ("7: road\n 3: car, van", ("car, van", "road"), (3, 7)),
        ("2\tdog\n1\tcat", ("cat", "dog"), (1, 2)),
        (["cat", " dog "], ("cat", "dog"), (0, 1)),
        ({"dog": 1, "cat": 0}, ("cat", "dog"), (0, 1)),
        ({"1": "dog", "0": "cat"}, ("cat", "dog"), (0, 1)),
        ("Idx\tRatio\tTrain\tVal\tStuff\tName\n2\t.1\t9\t8\t1\tbuilding, edifice\n1\t.2\t7\t6\t1\twall",
         ("wall", "building, edifice"), (1, 2)),
        ("Idx,Ratio,Train,Val,Stuff,Name\n1,.1,9,8,1,wall\n2,.1,9,8,1,building;edifice",
         ("wall", "building;edifice"), (1, 2)),
    ],
)  # fmt: skip
def test_names_and_values(content: Any, names: tuple[str, ...], values: tuple[int, ...], tmp_path: Path) -> None:
    found = read(tmp_path, content, "classes.txt" if isinstance(content, str) else "classes.json")
    assert (found.names, found.values, found.folders, found.colours) == (names, values, None, None)


@pytest.mark.parametrize(
    "content",
    [
        "n01440764 tench, Tinca tinca\nn01443537 goldfish",
        "n01440764\ttench, Tinca tinca\nn01443537\tgoldfish",
        {"n01440764": "tench, Tinca tinca", "n01443537": "goldfish"},
        {"1": ["n01443537", "goldfish"], "0": ["n01440764", "tench, Tinca tinca"]},
    ],
)
def test_folders_have_names(content: Any, tmp_path: Path) -> None:
    found = read(tmp_path, content, "classes.txt" if isinstance(content, str) else "classes.json")
    assert found.names == ("tench, Tinca tinca", "goldfish")
    assert found.folders == ("n01440764", "n01443537")
    assert found.values == (0, 1)


def test_keys_are_indices_where_all_of_them_are_numbers(tmp_path: Path) -> None:
    found = read(tmp_path, {"001": "cat", "000": "dog"}, "c.json")
    assert (found.names, found.values, found.folders, found.written) == (("dog", "cat"), (0, 1), None, ("000", "001"))
    mixed = read(tmp_path, {"1": "cat", "bird": "dog"}, "c.json")
    assert (mixed.names, mixed.values, mixed.folders, mixed.written) == (("cat", "dog"), (0, 1), ("1", "bird"), None)


def test_colours_have_names(tmp_path: Path) -> None:
    found = read(tmp_path, "128 0 0\tBuilding\n0 0 0  Void\n64,0,128 Car")
    assert found.names == ("Building", "Void", "Car")
    assert found.colours == ((128, 0, 0), (0, 0, 0), (64, 0, 128))
    scheme = scheme_of_classes(found)
    assert scheme.class_names == ("Building", "Car")
    assert scheme.values == (0, 2)
    assert scheme.ignored == {1, 255}
    assert scheme.colours == {(128, 0, 0): 0, (0, 0, 0): 1, (64, 0, 128): 2}


def test_values_that_begin_at_one_leave_zero_to_be_ignored(tmp_path: Path) -> None:
    assert scheme_of_classes(read(tmp_path, "1 wall\n2 sky")).ignored == {0, 255}
    assert scheme_of_classes(read(tmp_path, "wall\nsky")).ignored == {255}
    assert scheme_of_classes(read(tmp_path, "0 wall\n255 sky")).ignored == set()
    with pytest.raises(DataError, match="names no class beside void ones"):
        scheme_of_classes(read(tmp_path, "Void\nunlabelled"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("cat\ndog\n\ncat", "line 1 and line 4 have the same name 'cat'"),
        ("n02012849 crane\nn03126707 crane", "line 1 and line 2 have the same name 'crane'.*'crane \\(bird\\)'"),
        ("0 cat\n1 dog\n0 cow", "line 1 and line 3 have the same index '0'"),
        ("n01440764 tench\nn01440764 fish", "line 1 and line 2 have the same folder 'n01440764'"),
        ("1 2 3 cat\n1 2 3 dog", "line 1 and line 2 have the same colour '1 2 3'"),
        ("1 2 3 cat\n1 2 300 dog", "line 2 has the colour 1 2 300; wanted values of 0..255"),
        ("0 cat\n1 dog\ncow", "line 3 is 'cow', unlike the 2 lines such as '0 cat'"),
        ("0 cat\n70000 dog", "line 2 has the index '70000'"),
        ("", "names no class"),
        ("\n \n", "names no class"),
        ("Idx\tName\n1\twall\n2", "line 3 has 1 columns; wanted 2"),
        ("Idx\tName\nx\twall", "line 2 has the index 'x'"),
        ([], "names no class"),
        (["cat", "dog", "cat"], "entry 0 and entry 2 have the same name 'cat'"),
        (["cat", 5], "entry 1 has 5; wanted a class name"),
        (["cat", " "], "entry 1 has ' '; wanted a class name"),
        ({"cat": 0, "dog": 0}, "the key 'cat' and the key 'dog' have the same index '0'"),
        ({"0": "cat", "00": "dog"}, "the key '0' and the key '00' have the same index '0'"),
        ({"0": ["n1", "cat"], "x": ["n2", "dog"]}, "the key 'x' has the index 'x'"),
        ({"cat": -1}, "the key 'cat' has the index '-1'"),
        ({"9" * 5000: "cat"}, "has the index '9+'; wanted"),
        ({"cat": None}, "the key 'cat' has None; wanted a class name"),
        ({"cat": 0, "1": "dog"}, "the key '1' has 'dog'; wanted an index as the other entries have"),
        ({"0": ["n1", "cat"], "1": "dog"}, r"the key '1' has 'dog'; wanted \[folder, name\] as the other entries have"),
        (7, "holds 7; wanted a list of class names or an object"),
    ],
)
def test_what_is_wrong_is_named_with_its_places(content: Any, message: str, tmp_path: Path) -> None:
    name = "classes.txt" if isinstance(content, str) else "classes.json"
    with pytest.raises(DataError, match=rf"{tmp_path / name}.*{message}"):
        read(tmp_path, content, name)


def test_a_missing_file_and_a_file_that_is_no_text_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"No file .*no.txt"):
        read_class_file(tmp_path / "no.txt")
    (tmp_path / "classes.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"classes.txt cannot be read as UTF-8 text"):
        read_class_file(tmp_path / "classes.txt")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.text() | st.lists(st.sampled_from(["0 a", "1 b", "n01440764 c", "1 2 3 d", "e\tf", "g", "٣ h"])))
def test_any_text_is_read_or_refused(content: str | list[str], tmp_path: Path) -> None:
    path = tmp_path / "classes.txt"
    text = content if isinstance(content, str) else "\n".join(content)
    path.write_bytes(text.encode("utf-8", "replace"))
    try:
        found = read_class_file(path)
    except DataError as error:
        assert str(path) in str(error)
    else:
        assert len(set(found.names)) == len(found.names) == len(found.values) == len(set(found.values)) > 0
