"""METEOR's paraphrase table, cut to the rows that can match given references.

METEOR matches a row (phrase, paraphrase) where one side stands in the candidate and the other in the reference,
either way round. A row with neither side among the references' n-grams can therefore never match, whatever the
candidate: leaving it out changes no score, and the cut depends on the references alone. The order of the rows that
remain is kept, as METEOR breaks ties by it.

The table's 10.5 million phrases are looked up by 64-bit hashes, a chunk of the file at a time. Two phrases with one
hash would keep a row too many, which changes no score either.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.metrics.captions.java import run_java
from harness.metrics.captions.java_archives import meteor_jar, paraphrase_table
from harness.read_ahead import reading_in_threads

Bytes = npt.NDArray[np.uint8]
Hashes = npt.NDArray[np.uint64]
Offsets = npt.NDArray[np.intp]

_LONGEST = 7  # words of the longest phrase in the table
_ROW_LINES = 3  # a number (which METEOR does not use), a phrase, its paraphrase
_CHUNK_BYTES = 1 << 18  # small enough for the arrays of a chunk to stay in the cache
_PLAIN = re.compile(r"[a-z0-9 ]*")  # captions that METEOR's normaliser leaves as they are
_JAVA_SPACE = re.compile(r"[ \t\n\r\f]+")
_NORMALISER_HEAP_MB = 256
_BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2**64
_NEWLINE, _SPACE = b"\n "


def as_meteor_sees(captions: Iterable[str], java: Path) -> list[bytes]:
    """Return distinct tokenised captions with the words that METEOR sees, parted by single spaces."""
    distinct = set(captions)
    plain = {caption for caption in distinct if _PLAIN.fullmatch(caption)}
    normalised = _normalise(sorted(distinct - plain), java)
    worded = (" ".join(filter(None, _JAVA_SPACE.split(caption))) for caption in (*plain, *normalised))
    return [caption.encode() for caption in worded if caption]


def find_or_write_filtered_table(folder: Path, captions: Iterable[str], java: Path) -> FilteredTable:
    """Return the table for tokenised captions in `folder`; it is written there unless an earlier run has left it."""
    distinct = sorted(set(captions))
    parts = [*distinct, str(meteor_jar().stat().st_size), str(paraphrase_table().stat().st_size)]
    digest = hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass"))
    stem = f"paraphrases-{digest.hexdigest()[:20]}"
    for path in folder.glob(f"{stem}-*.gz"):
        return FilteredTable(path, rows=int(path.stem.removeprefix(f"{stem}-")))
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".paraphrases-", delete=False) as part:
        unfinished = Path(part.name)
    try:
        rows = write_filtered_table(unfinished, as_meteor_sees(distinct, java))
        finished = unfinished.replace(folder / f"{stem}-{rows}.gz")  # at once, so that nobody reads half a table
    finally:
        unfinished.unlink(missing_ok=True)
    return FilteredTable(finished, rows)


@dataclass(frozen=True)
class FilteredTable:
    """A table on disk, in METEOR's format."""

    path: Path
    rows: int


def write_filtered_table(target: Path, captions: Sequence[bytes]) -> int:
    """Write the rows one side of which is a run of 1..7 words of a caption; return how many."""
    powers = Powers.up_to(2 * _CHUNK_BYTES + max(map(len, captions), default=0))
    text = np.frombuffer(b"".join(caption + b"\n" for caption in captions), dtype=np.uint8)
    runs = [hash_runs(part, powers) for part in _split_at_newlines(text)]
    wanted = _Wanted(np.concatenate([*runs, np.empty(0, dtype=np.uint64)]))
    rows = 0

    def cut(piece: tuple[Bytes, Offsets]) -> list[bytes]:
        text, ends = piece
        hashes = hash_lines(text, ends, powers)
        kept = np.flatnonzero(wanted.has(hashes[1::_ROW_LINES]) | wanted.has(hashes[2::_ROW_LINES]))
        row_ends = ends[_ROW_LINES - 1 :: _ROW_LINES] + 1
        starts = np.where(kept > 0, row_ends[kept - 1], 0)
        return [text[start:end].tobytes() for start, end in zip(starts, row_ends[kept], strict=True)]

    # The table is unpacked here while threads look up what has been: NumPy and zlib let each other work.
    with (
        gzip.open(target, "wb", compresslevel=1) as output,
        reading_in_threads(_read_whole_rows(paraphrase_table()), cut) as pieces,
    ):
        for kept in pieces:
            output.write(b"".join(kept))
            rows += len(kept)
    return rows


def hash_lines(text: Bytes, ends: Offsets, powers: Powers) -> Hashes:
    """[L] a hash of each line of `text` [B], which have their newlines at `ends` [L]; `powers` go up to B.

    The hash of bytes b_0..b_k is sum b_i * base^i modulo 2**64, taken from running sums over the whole text.
    """
    sums, starts = _running_sums(text, powers), _starts(ends)
    hashes: Hashes = (sums[ends] - sums[starts]) * powers.of_inverse[starts]
    return hashes


def hash_runs(text: Bytes, powers: Powers) -> Hashes:
    """[M] the distinct hashes of all runs of 1..7 words of each line of `text` [B], words parted by single spaces."""
    sums, ends = _running_sums(text, powers), np.flatnonzero((text == _SPACE) | (text == _NEWLINE))
    starts, line = _starts(ends), np.cumsum(text[ends] == _NEWLINE)
    line[text[ends] == _NEWLINE] -= 1  # a line's last word is of it
    found = [np.empty(0, dtype=np.uint64)]
    for more in range(_LONGEST):
        first, last = starts[: max(0, len(starts) - more)], ends[more:]
        within = line[: len(first)] == line[more:]
        first, last = first[within], last[within]
        found.append((sums[last] - sums[first]) * powers.of_inverse[first])
    return np.unique(np.concatenate(found))


def _running_sums(text: Bytes, powers: Powers) -> Hashes:
    """[B + 1] what the bytes before each place come to."""
    sums = np.zeros(len(text) + 1, dtype=np.uint64)
    np.cumsum(text * powers.of_base[: len(text)], out=sums[1:])
    return sums


def _starts(ends: Offsets) -> Offsets:
    """[L] where pieces begin each of which ends one byte before the next."""
    return np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends


@dataclass(frozen=True)
class Powers:
    """base^i and base^-i modulo 2**64."""

    of_base: Hashes
    of_inverse: Hashes

    @classmethod
    def up_to(cls, size: int) -> Powers:
        """For i < size."""
        both = np.ones((2, size), dtype=np.uint64)
        both[:, 1:] = np.array([[_BASE], [pow(_BASE, -1, 1 << 64)]], dtype=np.uint64)
        return cls(*np.cumprod(both, axis=1, dtype=np.uint64))


class _Wanted:
    """A set of hashes; a bit map of their upper bits answers most look-ups."""

    def __init__(self, hashes: Hashes) -> None:
        self._sorted = np.unique(hashes)
        self._map = np.zeros(1 << 24, dtype=np.bool_)
        self._map[self._sorted >> np.uint64(40)] = True

    def has(self, hashes: Hashes) -> npt.NDArray[np.bool_]:
        """[L] hashes -> [L] whether each is in the set."""
        found: npt.NDArray[np.bool_] = self._map[hashes >> np.uint64(40)]
        place = np.flatnonzero(found)
        position = np.searchsorted(self._sorted, hashes[place])
        found[place] = self._sorted[np.minimum(position, len(self._sorted) - 1)] == hashes[place]
        return found


def _split_at_newlines(text: Bytes) -> Iterator[Bytes]:
    """Cut text that ends with a newline into pieces of about a chunk that do too."""
    start = 0
    while start < len(text):
        end = min(start + _CHUNK_BYTES, len(text))
        end += int(np.argmax(text[end - 1 :] == _NEWLINE))
        yield text[start:end]
        start = end


def _read_whole_rows(table: Path) -> Iterator[tuple[Bytes, Offsets]]:
    """The table in pieces of about a chunk that hold whole rows, and where the lines of each end."""
    rest = b""
    with gzip.open(table, "rb") as source:
        while chunk := source.read(_CHUNK_BYTES):
            data = rest + chunk
            text = np.frombuffer(data, dtype=np.uint8)
            ends = np.flatnonzero(text == _NEWLINE)
            ends = ends[: len(ends) // _ROW_LINES * _ROW_LINES]
            whole = int(ends[-1]) + 1 if len(ends) else 0
            yield text[:whole], ends
            rest = data[whole:]


def _normalise(captions: Sequence[str], java: Path) -> list[str]:
    """Apply METEOR's own normaliser, which parts hyphens, quotes and foreign letters from words."""
    if not captions:
        return []
    arguments = ["-cp", str(meteor_jar()), "edu.cmu.meteor.util.Normalizer", "en", "true"]
    return [line.lower() for line in run_java(java, _NORMALISER_HEAP_MB, arguments, captions)]
