"""Caption files in every layout that people have, and an error with file, place and remedy for each that is broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import DataError
from harness.sample import Outcome
from tasks.caption_files import (
    digest_of,
    find_caption_files,
    read_caption_file,
    read_caption_results,
    read_json,
    read_references,
)

MakeCaptions = Callable[..., Path]
SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.mark.parametrize("layout", ["2017", "2014", "plain"])
def test_every_layout_is_read(layout: str, captions_in: MakeCaptions, tmp_path: Path) -> None:
    files = find_caption_files(captions_in(tmp_path / "data", layout, train=5, val=3))
    assert list(files) == ["train", "val"]
    images = read_caption_file(files["val"])
    assert [image.image_id for image in images] == ["106", "107", "108"]
    assert all(image.path.is_file() and len(image.references) == 5 for image in images)
    assert images[0].references[0] == "a blue wall"


def test_a_test_file_is_a_split(captions_in: MakeCaptions, tmp_path: Path) -> None:
    root = captions_in(tmp_path / "data", "plain", train=4, val=2)
    (root / "annotations/captions_val.json").rename(root / "annotations/captions_test.json")
    captions_in(tmp_path / "other", "plain", train=4, val=2)
    (tmp_path / "other/annotations/captions_val.json").rename(root / "annotations/captions_val.json")
    assert set(find_caption_files(root)) == {"train", "val", "test"}


def edit(root: Path, change: Callable[[Any], Any]) -> Path:
    path = root / "annotations/captions_val2017.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(change(content) or content))
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: [1], "has no list 'images'"),
        (lambda c: c.pop("images") and None, "has no list 'images'"),
        (lambda c: c.update(annotations={}), "has no list 'annotations'"),
        (lambda c: c["images"][1].pop("file_name") and None, r"images\[1\] lacks 'file_name'"),
        (lambda c: c["annotations"][3].pop("caption") and None, r"annotations\[3\] lacks 'caption'"),
        (lambda c: c["annotations"].append(7), r"annotations\[15\] lacks 'image_id'"),
        (lambda c: c["annotations"][0].update(image_id=9), r"annotations\[0\] belongs to image 9"),
        (lambda c: c["annotations"][2].update(caption=None), r"annotations\[2\] has None as its 'caption'"),
        (lambda c: c["images"][2].update(file_name=["a"]), r"images\[2\] has \['a'\] as its 'file_name'"),
        (lambda c: c["images"].append(c["images"][0]), r"images\[3\] repeats the id 106"),
        (lambda c: c["images"][0].update(file_name="no.jpg"), "names 1 of 3 images that are not in .*first: no.jpg"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    change: Callable[[Any], Any], message: str, captions_in: MakeCaptions, tmp_path: Path
) -> None:
    root = captions_in(tmp_path / "data", train=5, val=3)
    path = edit(root, change)
    with pytest.raises(DataError, match=rf"{path}.*{message}"):
        read_caption_file(find_caption_files(root)["val"])


def test_images_without_a_caption_are_left_out_and_strangers_do_not_matter(
    captions_in: MakeCaptions, tmp_path: Path
) -> None:
    root = captions_in(tmp_path / "data", train=5, val=3)
    edit(root, lambda c: c["images"].append({"id": 999, "file_name": "not there.jpg"}))
    (root / "val2017/stranger.txt").write_text("")
    assert len(read_caption_file(find_caption_files(root)["val"])) == 3


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\x00", b"[" * 200_000, b'{"images": [}'])
def test_what_is_not_json_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"{path} is not JSON: .*Fetch it again"):
        read_json(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"No file {tmp_path}/no.json"):
        read_json(tmp_path / "no.json")
    with pytest.raises(DataError, match=rf"{tmp_path} is a folder; wanted a JSON file"):
        read_json(tmp_path)


def test_a_folder_without_captions_says_what_it_saw_and_what_it_wants(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"No folder {tmp_path}/none"):
        find_caption_files(tmp_path / "none")
    with pytest.raises(DataError, match=r"no caption file for train and val .*seen: nothing.*2017"):
        find_caption_files(tmp_path)
    (tmp_path / "annotations").mkdir()
    for name in ("instances_val2017.json", "captions_val2017.json"):
        (tmp_path / "annotations" / name).write_text("{}")
    with pytest.raises(DataError, match=r"no caption file for train .*instances_val2017.json"):
        find_caption_files(tmp_path)


def test_the_digest_follows_content_and_not_the_place(captions_in: MakeCaptions, tmp_path: Path) -> None:
    first, second = (captions_in(tmp_path / name, train=5, val=3) for name in ("one", "two"))
    digests = [digest_of(list(find_caption_files(root).values())) for root in (first, second)]
    assert digests[0] == digests[1]
    image = next((second / "val2017").iterdir())
    image.write_bytes(image.read_bytes() + b"\0")
    assert digest_of(list(find_caption_files(second).values())) != digests[0]


def test_references_alone_need_no_images(captions_in: MakeCaptions, tmp_path: Path) -> None:
    root = captions_in(tmp_path / "data", train=5, val=3)
    references = read_references(root / "annotations/captions_val2017.json")
    assert list(references) == ["106", "107", "108"]
    assert len(references["106"]) == 5


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["image_id", "caption", "x"]), inner),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=JSON)
def test_any_json_is_read_as_results_or_refused(content: Any, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(content))
    try:
        outcomes = read_caption_results(path)
    except DataError as error:
        assert str(path) in str(error)
    else:
        assert [outcome.prediction for outcome in outcomes] == [entry["caption"] for entry in content]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(predicted=st.dictionaries(st.integers() | st.text("abc_.jpg", min_size=1), st.text()))
def test_results_come_back_in_their_order(predicted: dict[Any, str], tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps([{"image_id": key, "caption": text} for key, text in predicted.items()]))
    assert read_caption_results(path) == [Outcome(str(key), text) for key, text in predicted.items()]


def test_two_captions_for_an_image_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text('[{"image_id": 1, "caption": "a"}, {"image_id": "1", "caption": "b"}]')
    with pytest.raises(DataError, match=r"image 1 has two captions \(entry 1\)"):
        read_caption_results(path)


@pytest.mark.parametrize(("name", "layout_splits"), [("coco-mini", 2), ("flickr-mini", 2)])
def test_real_photographs_are_read(name: str, layout_splits: int) -> None:
    if not (SHARED / name).is_dir():
        pytest.skip(f"no {name} beside the repository")
    files = find_caption_files(SHARED / name)
    assert len(files) >= layout_splits
    for file in files.values():
        images = read_caption_file(file)
        assert images
        assert all(len(image.references) >= 5 for image in images)
