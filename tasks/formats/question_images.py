"""Where the images of questions are: beside their file, in folders of usual names, or where the user says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import DataError

_FOLDERS = ("", "images", "val2014", "train2014", "test2015", "val2017", "train2017")
_SUFFIXES = (".jpg", ".png", ".jpeg", ".webp")
_NAMED = 12


@dataclass(frozen=True)
class ImageName:
    """How a file's name is made of what the questions call an image."""

    before: str = ""
    suffix: str = ""
    digits: int = 0

    def of(self, image: str) -> str:
        """ImageName the file of an image."""
        return f"{self.before}{image.zfill(self.digits)}{self.suffix}"


def find_images(root: Path, names: Sequence[str], subtype: str, given: Path | None) -> list[Path]:
    """Find the file of each image by the way in which the first one is found; raises DataError for any that is not.

    `names` are file names or COCO's numbers, `subtype` the folder that a file names, `given` the user's folder. Images
    of COCO 2014 may lie in the data set `coco-2014` beside this one.
    """
    folders = [given] if given is not None else [root, root.parent / "coco-2014", root.parent / "coco-2017"]
    first = names[0]
    for folder in folders:
        for below, name in _ways(first, subtype):
            if (folder / below / name.of(first)).is_file():
                return _all(folder / below, names, name)
    looked = ", ".join(str(folder) for folder in folders)
    raise DataError(
        f"The image {first} is not there (looked in {looked}, and in {', '.join(filter(None, _FOLDERS))} there). Say "
        "where images are with --set task.images=FOLDER."
    )


def _all(folder: Path, names: Sequence[str], name: ImageName) -> list[Path]:
    paths = {each: folder / name.of(each) for each in dict.fromkeys(names)}
    there = {entry.name for entry in folder.iterdir()} if len(paths) > _NAMED else None
    missing = [
        each
        for each, path in paths.items()
        if (path.name not in there if there is not None and path.parent == folder else not path.is_file())
    ]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(paths)} images are not in {folder} (first: {', '.join(missing[:3])}). Fetch them, "
            "or say where images are with --set task.images=FOLDER."
        )
    return [paths[each] for each in names]


def _ways(image: str, subtype: str) -> Iterator[tuple[str, ImageName]]:
    """Folders and names under which an image may lie, the likeliest first."""
    folders = dict.fromkeys((subtype, *_FOLDERS))
    for folder in folders:
        yield folder, ImageName()
    if image.isdigit():
        for folder in folders:
            for year in dict.fromkeys(filter(None, (subtype, folder))):
                yield folder, ImageName(f"COCO_{year}_", ".jpg", 12)
            yield folder, ImageName("", ".jpg", 12)
    for folder in folders:
        for suffix in _SUFFIXES:
            yield folder, ImageName("", suffix)
