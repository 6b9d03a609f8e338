"""Questions about Scenes that were made before, kept in the cache: to make those of training anew takes a second."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import msgspec

import harness.text as text
from harness.collector import collection_paused
from harness.sample import Dataset, Sample
from harness.storage.content import file_digest
from harness.storage.remembered import Remembered, name_of_content
from tasks.questions.target import QuestionTarget
from tasks.scenes.layout import annotation_file

_Row = tuple[str, str, str | None, QuestionTarget]
"""A sample's id, its image from the data's root on, its text and its target, whose options are the choices."""


def kept_samples(
    data: Dataset, split: str, parts: Sequence[str], make: Callable[[], Sequence[Sample]]
) -> Sequence[Sample]:
    """Give what `make` gives for a split; it is made once a cache, for these annotations of its parts and this code."""
    memory = Remembered.here("scene-questions")
    if memory.cache is None:
        return make()
    files = (annotation_file(data.root, kind, part) for part in parts for kind in ("captions", "instances"))
    name = name_of_content(question_code(), data.digest, split, *(file_digest(path) for path in files))
    known = memory.find([name]).get(name)
    if known is not None:
        return _samples(data.root, known)
    samples = make()
    memory.keep({name: msgspec.msgpack.encode([_row(data.root, sample) for sample in samples])})
    return samples


def _row(root: Path, sample: Sample) -> _Row:
    return sample.sample_id, sample.image.relative_to(root).as_posix(), sample.text, sample.target


def _samples(root: Path, content: bytes) -> list[Sample]:
    with collection_paused():
        rows = msgspec.msgpack.decode(content, type=list[_Row])
        images = {image: root / image for image in {row[1] for row in rows}}
        return [Sample(name, images[image], target, text, target.options) for name, image, text, target in rows]


@cache
def question_code() -> str:
    """Digest the files that read, make and compare questions; those of Scenes are in the data's digest."""
    own = Path(__file__).parent
    folders = (own, own.parent / "formats", Path(text.__file__).parent)
    return " ".join(file_digest(path) for folder in folders for path in sorted(folder.glob("*.py")))
