"""Caption files in every layout that people have, and an error with file, place and remedy for each that is broken."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import DataError
from harness.sample import Outcome
from tasks.formats.coco_captions import captions_digest_of, read_caption_file, read_caption_results, read_references
from tasks.formats.coco_layout import find_caption_files
from tasks.formats.json_files import read_json

MakeCaptions = Callable[..., Path]
SHARED = Path(__file__).parents[4] / "shared" / "data"


@pytest.mark.parametrize("layout", ["2017", "2014", "plain"])
def test_every_layout_is_read(layout: str, captions_in: MakeCaptions, tmp_path: Path) -> None:
    files = find_caption_files(captions_in(tmp_path / "data", layout, train=5, val=3))
    assert list(files) == ["train", "val"]
    images = read_caption_file(files["val"]).images
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
        (lambda c: c["annotations"].append(7), r"annotations\[15\] is 7; wanted an object with image_id, caption"),
        (lambda c: c["annotations"][0].update(image_id=9), r"annotations\[0\] belongs to image 9"),
        (lambda c: c["annotations"][2].update(caption=None), r"annotations\[2\] has None as its 'caption'"),
        (lambda c: c["images"][2].update(file_name=["a"]), r"images\[2\] has \['a'\] as its 'file_name'"),
        (lambda c: c["images"].append(c["images"][0]), r"images\[3\] repeats the id 106"),
        (
            lambda c: c["images"][0].update(file_name="no.jpg"),
            "names 1 of 3 files .*looked for .*val2017/no.jpg",
        ),
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
    found = read_caption_file(find_caption_files(root)["val"])
    assert len(found.images) == 3
    (note,) = found.notes
    assert (note.split, note.count, note.total) == ("val", 1, 4)
    assert str(note) == "split val: 1 of 4 images have no caption and are left out (first: 999)"


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
    with pytest.raises(DataError, match=r"no captions file for train, val or test .*: nothing.*2017"):
        find_caption_files(tmp_path)
    (tmp_path / "annotations").mkdir()
    for name in ("instances_val2017.json", "captions_other.json"):
        (tmp_path / "annotations" / name).write_text("{}")
    with pytest.raises(DataError, match=r"no captions file .*instances_val2017.json"):
        find_caption_files(tmp_path)


@pytest.mark.parametrize("name", ["../train2017/x.jpg", "/etc/hostname", "", "a/../../x.jpg", "\ud83d.jpg", "a\0.jpg"])
def test_file_names_that_lead_out_are_refused_with_and_without_images(
    name: str, captions_in: MakeCaptions, tmp_path: Path
) -> None:
    root = captions_in(tmp_path / "data", train=5, val=3)
    path = edit(root, lambda c: c["images"][1].update(file_name=name))
    with pytest.raises(DataError, match=r"images\[1\] \(id 107\) has the file name .*not inside the image folder"):
        read_caption_file(find_caption_files(root)["val"])
    with pytest.raises(DataError, match=r"images\[1\] \(id 107\) has the file name"):
        read_references(path)


def test_files_of_both_years_are_told_apart_by_their_images(captions_in: MakeCaptions, tmp_path: Path) -> None:
    root = captions_in(tmp_path / "data", "2014", train=5, val=3)
    for split in ("train", "val"):
        (root / f"annotations/captions_{split}2017.json").write_text('{"images": [], "annotations": []}')
    files = find_caption_files(root)
    assert [file.annotations.name for file in files.values()] == ["captions_train2014.json", "captions_val2014.json"]
    (root / "val2017").mkdir()
    with pytest.raises(DataError, match=r"captions_val2014.json and captions_val2017.json .*images for 2 .*Keep one"):
        find_caption_files(root)


def test_packed_files_are_read(captions_in: MakeCaptions, tmp_path: Path) -> None:
    root = captions_in(tmp_path / "data", train=5, val=3)
    path = root / "annotations/captions_val2017.json"
    before = read_caption_file(find_caption_files(root)["val"])
    path.with_name("captions_val2017.json.gz").write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(DataError, match=r"captions_val2017.json and captions_val2017.json.gz for the split val"):
        find_caption_files(root)
    path.unlink()
    assert read_caption_file(find_caption_files(root)["val"]).images == before.images
    path.write_bytes(gzip.compress(b"{}")[:-4])
    with pytest.raises(DataError, match="packed by gzip and broken"):
        read_json(path)


def test_names_are_matched_composed_or_decomposed(captions_in: MakeCaptions, tmp_path: Path) -> None:
    root = captions_in(tmp_path / "data", train=5, val=3)
    image = next((root / "val2017").glob("*107.jpg"))
    image.rename(image.with_name("cafe\u0301.jpg"))
    edit(root, lambda c: c["images"][1].update(file_name="caf\u00e9.jpg"))
    found = read_caption_file(find_caption_files(root)["val"]).images[1].path
    assert found.name == "cafe\u0301.jpg" and found.is_file()
    (root / "val2017/caf\u00e9.jpg").write_bytes(found.read_bytes())
    assert read_caption_file(find_caption_files(root)["val"]).images[1].path.name == "caf\u00e9.jpg"


def test_references_have_the_checks_of_data(captions_in: MakeCaptions, tmp_path: Path) -> None:
    path = captions_in(tmp_path / "data", train=5, val=3) / "annotations/captions_val2017.json"
    content = json.loads(path.read_text())
    content["annotations"].append({"image_id": 9, "caption": "x"})
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"annotations\[15\] belongs to image 9"):
        read_references(path)
    del content["images"]
    path.write_text(json.dumps(content))
    found = read_references(path)
    assert [image.image_id for image in found.images] == ["106", "107", "108", "9"]
    assert "no list 'images'" in str(found.notes[0])
    path.write_text(json.dumps({"images": [{"id": 1, "file_name": "1.jpg"}], "annotations": []}))
    with pytest.raises(DataError, match="has no image with a caption: there is nothing to evaluate"):
        read_references(path)


@pytest.mark.parametrize("bad", [1.0, True, None, [1], "", 2**64 + 1])
def test_ids_are_whole_numbers_or_strings(bad: Any, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps([{"image_id": bad, "caption": "a"}]))
    with pytest.raises(DataError, match=r"entry 0 has .* as its 'image_id'; wanted a whole number"):
        read_caption_results(path)


def test_the_digest_follows_content_and_not_the_place(captions_in: MakeCaptions, tmp_path: Path) -> None:
    first, second = (captions_in(tmp_path / name, train=5, val=3) for name in ("one", "two"))

    def digest(root: Path) -> str:
        return captions_digest_of({split: read_caption_file(file) for split, file in find_caption_files(root).items()})

    digests = [digest(root) for root in (first, second)]
    assert digests[0] == digests[1]
    image = next((second / "val2017").iterdir())
    image.write_bytes(image.read_bytes() + b"\0")
    assert digest(second) != digests[0]


def test_references_alone_need_no_images(captions_in: MakeCaptions, tmp_path: Path) -> None:
    root = captions_in(tmp_path / "data", train=5, val=3)
    references = read_references(root / "annotations/captions_val2017.json")
    assert [image.image_id for image in references.images] == ["106", "107", "108"]
    assert len(references.images[0].references) == 5
    assert references.notes == ()


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
@given(predicted=st.dictionaries(st.integers(-(2**63), 2**63 - 1) | st.text("abc_.jpg", min_size=1), st.text()))
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
        images = read_caption_file(file).images
        assert images
        assert all(len(image.references) >= 5 for image in images)
