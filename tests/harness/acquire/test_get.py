"""A data set by name: fetched, unpacked, found by --data, verified; half of one is never taken for a whole."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.acquire import get as getting
from harness.acquire.get import GetRequest, get
from harness.acquire.installed_sets import InstalledSet, SetShelf, require_installed, shelf_of, verify, with_parts
from harness.acquire.known_sets import KnownSet, known_sets, parse_known_set
from harness.acquire.sources import folder_of
from harness.errors import DataError, PluginError, StoreError, UsageError

TEXT = """
title = "A tiny set"
licence = "CC0"
homepage = "https://example.org"
layout = "class folders"
tasks = ["image-classification"]

[[parts.val.files]]
name = "val.zip"
urls = ["{url}/val.zip"]
sha256 = "{val}"
strip = 1
to = "val"
[parts.train]
needs = ["val"]
default = false
[[parts.train.files]]
name = "train.zip"
urls = ["{url}/train.zip"]
to = "train"
[[parts.train.files]]
name = "labels.txt"
urls = ["{url}/labels.txt"]
unpack = false
"""


def quiet(what: str, done: int, total: int) -> None:
    """Tell nobody."""


def packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def known(server: Any) -> KnownSet:
    val = packed({"set/cat/1.txt": b"cat", "set/dog/1.txt": b"dog"})
    server.put("val.zip", val)
    server.put("train.zip", packed({"cat/2.txt": b"cat 2"}))
    server.put("labels.txt", b"cat dog")
    return parse_known_set("tiny", TEXT.format(url=server.url, val=hashlib.sha256(val).hexdigest()))


@pytest.fixture
def shelf(tmp_path: Path) -> SetShelf:
    return shelf_of(tmp_path / "cache")


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


VAL = {"val/cat/1.txt": b"cat", "val/dog/1.txt": b"dog"}
WHOLE = {**VAL, "train/cat/2.txt": b"cat 2", "labels.txt": b"cat dog"}


def test_parts_come_one_after_the_other(known: KnownSet, shelf: SetShelf, server: Any) -> None:
    found = get(known, GetRequest(), shelf, quiet)
    assert found.parts == ("val",) and files_of(Path(found.folder)) == VAL
    assert [file.known for file in found.files] == [True]
    found = get(known, GetRequest(parts=("train",)), shelf, quiet)
    assert found.parts == ("val", "train") and files_of(Path(found.folder)) == WHOLE
    assert [(file.name, file.known) for file in found.files] == [
        ("val.zip", True), ("train.zip", False), ("labels.txt", False),
    ]  # fmt: skip
    asked = len(server.asked)
    assert get(known, GetRequest(parts=("val", "train")), shelf, quiet) == found and len(server.asked) == asked
    assert not list(shelf.folder.glob("*.downloads")) and not list(shelf.folder.glob(".*"))
    assert not verify(shelf, found, quiet)


def test_the_digests_are_those_that_sha256sum_checks(known: KnownSet, shelf: SetShelf) -> None:
    found = get(known, GetRequest(parts=("val", "train")), shelf, quiet)
    assert shelf.digests("tiny") == {name: hashlib.sha256(content).hexdigest() for name, content in WHOLE.items()}
    command = ["sha256sum", "--check", "--strict", "--quiet", shelf.folder / "tiny.sha256"]
    subprocess.run(command, cwd=found.folder, check=True)


def test_damage_is_told(known: KnownSet, shelf: SetShelf) -> None:
    found = get(known, GetRequest(parts=("train",)), shelf, quiet)
    folder = Path(found.folder)
    (folder / "val/cat/1.txt").write_bytes(b"caT")
    (folder / "val/dog/1.txt").unlink()
    (folder / "new.txt").write_bytes(b"")
    damage = verify(shelf, found, quiet)
    assert (damage.missing, damage.changed, damage.added) == (["val/dog/1.txt"], ["val/cat/1.txt"], ["new.txt"])


def test_data_takes_a_name(known: KnownSet, shelf: SetShelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cache = tmp_path / "cache"
    assert folder_of("tiny", cache, quiet) == "tiny", "neither known nor there: a path"
    get(known, GetRequest(), shelf, quiet)
    assert folder_of("tiny", cache, quiet) == str(shelf.folder / "tiny")
    for other in (None, "", "./tiny", "scenes", "coco", "a/b", "other:org/name"):
        assert folder_of(other, cache, quiet) == other
    with pytest.raises(DataError, match="'bench data get voc-2007' fetches it"):
        folder_of("voc-2007", cache, quiet)
    (tmp_path / "voc-2007").mkdir()
    assert folder_of("voc-2007", cache, quiet) == "voc-2007", "a folder of that name is here"


def test_to_puts_it_elsewhere(known: KnownSet, shelf: SetShelf, tmp_path: Path) -> None:
    found = get(known, GetRequest(to=tmp_path / "here"), shelf, quiet)
    assert files_of(tmp_path / "here") == VAL and found.data_folder == tmp_path / "here"
    with pytest.raises(UsageError, match=r"is in .*here already"):
        get(known, GetRequest(parts=("train",), to=tmp_path / "there"), shelf, quiet)
    assert files_of(Path(get(known, GetRequest(parts=("train",)), shelf, quiet).folder)) == WHOLE
    (tmp_path / "here").rename(tmp_path / "moved")
    with pytest.raises(DataError, match="not there any more"):
        require_installed(shelf, "tiny")
    own = tmp_path / "own"
    own.mkdir()
    (own / "photo.jpg").write_bytes(b"mine")
    with pytest.raises(DataError, match="was not made by this command"):
        get(known, GetRequest(to=own), shelf, quiet)
    assert files_of(own) == {"photo.jpg": b"mine"}


class Killed(BaseException):
    """As if the process ended."""


@pytest.mark.parametrize("moment", ["unpack_archive", "_merge", "with_parts"])
def test_an_end_in_the_middle_is_no_whole_set(
    moment: str, known: KnownSet, shelf: SetShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    get(known, GetRequest(), shelf, quiet)

    def killed(*given: Any, **more: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(getting, moment, killed)
        with pytest.raises(Killed):
            get(known, GetRequest(parts=("train",)), shelf, quiet)
    if moment == "unpack_archive":
        assert require_installed(shelf, "tiny").parts == ("val",)
    else:
        with pytest.raises(DataError, match=r"getting train did not end. Run 'bench data get tiny --parts train'"):
            require_installed(shelf, "tiny")
    found = get(known, GetRequest(parts=("train",)), shelf, quiet)
    assert files_of(Path(found.folder)) == WHOLE and found.unfinished == ()
    assert not verify(shelf, found, quiet)


def test_a_part_that_did_not_end_stays_so_when_another_comes(shelf: SetShelf) -> None:
    begun = InstalledSet("tiny", str(shelf.folder / "tiny"), ("val",), unfinished=("train", "test"))
    done = with_parts(begun, ["test"], [])
    assert (done.parts, done.unfinished) == (("val", "test"), ("train",))
    names = {"a\u2028b.png": "0" * 64, "c\udce9.png": "1" * 64}  # a tar file may hold names that are no UTF-8
    shelf.keep_digests("tiny", names)
    assert shelf.digests("tiny") == names
    (shelf.folder / "tiny.json").write_text("null", encoding="utf-8")
    with pytest.raises(StoreError, match=r"tiny\.json cannot be read"):
        shelf.find("tiny")


def test_what_a_killed_process_left_is_in_nobodys_way(known: KnownSet, shelf: SetShelf) -> None:
    left = shelf.folder / ".tiny.unpacking"
    left.mkdir(parents=True)
    (left / "half").write_bytes(b"")
    assert files_of(Path(get(known, GetRequest(), shelf, quiet).folder)) == VAL


def test_archives_of_the_users_own(known: KnownSet, shelf: SetShelf, server: Any, tmp_path: Path) -> None:
    gated = replace(known, gated="Ask Ada.", parts={"val": known.parts["val"]})
    with pytest.raises(DataError, match=r"Ask Ada\. Then run 'bench data get tiny --from DIR' .* val\.zip"):
        get(gated, GetRequest(), shelf, quiet)
    brought = tmp_path / "brought"
    brought.mkdir()
    with pytest.raises(DataError, match=r"there is no val\.zip"):
        get(gated, GetRequest(brought=brought), shelf, quiet)
    (brought / "val.zip").write_bytes(b"other")
    with pytest.raises(DataError, match="its sha256 is"):
        get(gated, GetRequest(brought=brought), shelf, quiet)
    (brought / "val.zip").write_bytes(server.served["/val.zip"].content)
    found = get(gated, GetRequest(brought=brought / "val.zip"), shelf, quiet)
    assert files_of(Path(found.folder)) == VAL and server.asked == []
    assert found.files[0].source == "brought: val.zip"
    assert (brought / "val.zip").is_file()


def test_some_images_come_one_by_one(server: Any, shelf: SetShelf) -> None:
    rows = [{"id": n, "file_name": f"{n}.jpg", "width": 4, "height": 4} for n in range(30)]
    captions = [{"id": n, "image_id": n, "caption": f"caption {n}"} for n in range(30)]
    content = json.dumps({"images": rows, "annotations": captions}).encode()
    server.put("annotations.zip", packed({"annotations/captions_val2017.json": content}))
    for n in range(30):
        server.put(f"val/{n}.jpg", f"image {n}".encode())
    text = """
title = "t"
licence = "l"
homepage = "https://example.org"
layout = "COCO"
tasks = []
[[parts.annotations.files]]
name = "annotations.zip"
urls = ["{url}/annotations.zip"]
[parts.val]
needs = ["annotations"]
[[parts.val.files]]
name = "val.zip"
urls = ["{url}/val.zip"]
[parts.val.single]
urls = ["{url}/gone/{{name}}", "{url}/val/{{name}}"]
to = "val2017"
choose = "tasks.known_data.coco_choice:choose_images"
"""
    known = parse_known_set("many", text.format(url=server.url))
    found = get(known, GetRequest(parts=("val",), images=5, seed=1), shelf, quiet)
    assert (found.name, found.of) == ("many-5-images-seed-1", "many")
    files = files_of(Path(found.folder))
    kept = json.loads(files.pop("annotations/captions_val2017.json"))["images"]
    assert len(kept) == 5
    assert files == {f"val2017/{each['file_name']}": f"image {each['id']}".encode() for each in kept}
    assert not verify(shelf, found, quiet)
    server.served.pop(f"/val/{kept[0]['file_name']}")
    again = get(known, GetRequest(parts=("val",), images=5, seed=1), shelf, quiet)
    assert again == found, "nothing is fetched twice"
    with pytest.raises(DataError, match=r"could not be fetched.*HTTP 404"):
        get(known, GetRequest(parts=("val",), images=30, seed=1), shelf, quiet)
    assert shelf.find("many-30-images-seed-1") is None


def test_unknown_names_are_met_with_the_nearest(known: KnownSet, shelf: SetShelf) -> None:
    with pytest.raises(UsageError, match=r"has no part 'vall'\. Did you mean 'val'"):
        get(known, GetRequest(parts=("vall",)), shelf, quiet)
    with pytest.raises(UsageError, match="served in archives alone"):
        get(known, GetRequest(images=5), shelf, quiet)
    with pytest.raises(DataError, match="Did you mean 'coco-2017'"):
        require_installed(shelf, "coco-2071")


def test_a_full_disk_is_named_and_costs_nothing(
    known: KnownSet, shelf: SetShelf, monkeypatch: pytest.MonkeyPatch, server: Any
) -> None:
    def full(*given: Any, **more: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(getting, "unpack_archive", full)
        with pytest.raises(DataError, match=r"No space left on device\. What was fetched is kept"):
            get(known, GetRequest(), shelf, quiet)
    asked = len(server.asked)
    assert files_of(Path(get(known, GetRequest(), shelf, quiet).folder)) == VAL
    assert len(server.asked) == asked, "the archive was kept"


def test_a_file_of_the_shelf_that_is_broken_is_named(shelf: SetShelf) -> None:
    shelf.folder.mkdir(parents=True)
    (shelf.folder / "tiny.json").write_text("{")
    with pytest.raises(Exception, match=r"tiny\.json cannot be read"):
        shelf.find("tiny")


def test_the_tools_own_registry_is_whole() -> None:
    known, broken = known_sets()
    assert not broken
    wanted = {
        "coco-2017", "coco-2014", "voc-2007", "voc-2012", "ade20k", "cifar-10", "cifar-100", "flickr30k", "imagenet-1k",
        "camvid", "sugarcrepe", "pope",
    }  # fmt: skip
    assert wanted <= known.keys()
    for each in known.values():
        for part in each.parts.values():
            for file in part.files:
                assert file.urls or each.gated, (each.name, file.name)
                if file.sha256:
                    assert len(file.sha256) == 64
                if file.md5:
                    assert len(file.md5) == 32
                for reference in filter(None, (file.prepare, part.single and part.single.choose)):
                    assert callable(getting._function(reference))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('root = "../out"', "below the data set's folder"),
        ('size = "3"', "size: Unexpected keyword argument"),
        ("tasks =", "Invalid value"),
        ('[[parts.a.files]]\nname = "a/b"', "parts.a.files.0.name"),
        ('[[parts.a.files]]\nname = "b"\nurls = ["ftp://x"]', "parts.a.files.0.urls.0"),
        ('[parts.a]\nneeds = ["b"]\nfiles = []', "a part needs 'b'"),
    ],
)
def test_a_wrong_file_of_a_plugin_is_named(line: str, why: str) -> None:
    head = 'title = "t"\nlicence = "l"\nhomepage = "https://x"\nlayout = "y"\n'
    rest = "" if line.startswith("[") else "[parts]\n"
    tasks = "" if line.startswith("tasks") else "tasks = []\n"
    with pytest.raises(PluginError, match=rf"Data set 'mine': .*{why}.*Mend the package 'x'"):
        parse_known_set("mine", f"{head}{tasks}{line}\n{rest}", "the package 'x'")


def test_what_is_kept_is_json(known: KnownSet, shelf: SetShelf) -> None:
    get(known, GetRequest(), shelf, quiet)
    content = json.loads((shelf.folder / "tiny.json").read_text())
    assert content["files"][0]["source"].endswith("/val.zip") and content["parts"] == ["val"]
