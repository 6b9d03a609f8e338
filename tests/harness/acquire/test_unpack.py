"""Archives from outside write below their folder, as much as they say, or nothing."""

from __future__ import annotations

import hashlib
import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.acquire.unpack import require_room, unpack_archive
from harness.errors import DataError


def quiet(what: str, done: int, total: int) -> None:
    """Tell nobody."""


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return path


def tarred(path: Path, members: list[tarfile.TarInfo | tuple[str, bytes]], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                entry = tarfile.TarInfo(member[0])
                entry.size = len(member[1])
                archive.addfile(entry, io.BytesIO(member[1]))
    return path


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


FILES = {"set/a.txt": b"one", "set/deep/b.txt": b"two", "set/empty": b""}


@pytest.mark.parametrize("kind", ["zip", "w", "w:gz", "w:bz2", "w:xz"])
def test_files_are_unpacked_and_digested(kind: str, tmp_path: Path) -> None:
    place = tmp_path / "archive"
    archive = zipped(place, FILES) if kind == "zip" else tarred(place, list(FILES.items()), kind)
    found = unpack_archive(archive, tmp_path / "out", quiet, strip=1)
    assert {name: file.sha256 for name, file in found.items()} == {
        name.removeprefix("set/"): hashlib.sha256(content).hexdigest() for name, content in FILES.items()
    }
    for name in found:
        assert (tmp_path / "out" / name).read_bytes() == FILES[f"set/{name}"]


@pytest.mark.parametrize("name", ["/etc/evil", "../evil", "a/../../evil", "a\\..\\evil", "C:/evil", "a/.."])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_names_that_lead_out_are_refused(name: str, kind: str, tmp_path: Path) -> None:
    place = tmp_path / "archive"
    archive = zipped(place, {name: b"evil"}) if kind == "zip" else tarred(place, [(name, b"evil")])
    with pytest.raises(DataError, match="leads out of the folder"):
        unpack_archive(archive, tmp_path / "out", quiet)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["archive"]


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ([link("a", "../../evil")], "outside the folder"),
        ([link("a", "/etc/passwd")], "outside the folder"),
        ([link("a", "/etc/passwd", tarfile.LNKTYPE)], "leads out of the folder"),
        ([link("a", "nowhere")], "no file of the archive"),
        ([link("d", "."), ("d/x", b"1")], "no file of the archive"),
        ([link("a", "", tarfile.CHRTYPE)], "a device"),
        ([link("a", "", tarfile.FIFOTYPE)], "a device"),
    ],
)
def test_links_out_and_devices_are_refused(members: list, why: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=why):
        unpack_archive(tarred(tmp_path / "archive.tar", members), tmp_path / "out", quiet)


def test_links_within_become_copies(tmp_path: Path) -> None:
    members = [link("set/l", "a.txt"), ("set/a.txt", b"one"), link("set/h", "set/a.txt", tarfile.LNKTYPE)]
    found = unpack_archive(tarred(tmp_path / "archive.tar", members), tmp_path / "out", quiet, strip=1)
    assert found["l"] == found["h"] == found["a.txt"]
    assert not (tmp_path / "out/l").is_symlink() and (tmp_path / "out/l").read_bytes() == b"one"


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    entry = zipfile.ZipInfo("a")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(DataError, match="a link or a device"):
        unpack_archive(tmp_path / "a.zip", tmp_path / "out", quiet)


@pytest.mark.parametrize("kind", ["zip", "w:gz"])
def test_bombs_are_refused(kind: str, tmp_path: Path) -> None:
    place, bomb = tmp_path / "archive", bytes(80 << 20)
    archive = zipped(place, {"a": bomb}) if kind == "zip" else tarred(place, [("a", bomb)], kind)
    assert archive.stat().st_size < 1 << 20
    with pytest.raises(DataError, match=r"'a' is refused: .*bytes"):
        unpack_archive(archive, tmp_path / "out", quiet)
    assert unpack_archive(archive, tmp_path / "large", quiet, limit_bytes=100 << 20)["a"].bytes == len(bomb)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_archives_end_in_a_message(data: st.DataObject) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kind = data.draw(st.sampled_from(["zip", "w", "w:gz", "w:xz"]))
        place = folder / "archive"
        files = {"a.txt": bytes(range(256)) * 20, "b/c": b"2" * 999}
        archive = zipped(place, files) if kind == "zip" else tarred(place, list(files.items()), kind)
        content = bytearray(archive.read_bytes())
        if data.draw(st.booleans()):
            content = content[: data.draw(st.integers(0, len(content)))]
        for _ in range(data.draw(st.integers(0, 4)) if content else 0):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        archive.write_bytes(content)
        try:
            unpack_archive(archive, folder / "out", quiet)
        except DataError as error:
            assert str(archive) in str(error)
        assert {path.parts[len(folder.parts)] for path in folder.rglob("*")} <= {"archive", "out"}


def test_a_disk_without_room_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"big\.zip needs 1,000,000,000\.0 GB, and {tmp_path} has .* [GM]B free"):
        require_room(tmp_path / "not" / "there", 10**18, "big.zip")
