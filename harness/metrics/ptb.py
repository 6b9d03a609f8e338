"""Penn Treebank tokens (Marcus et al. 1993), with pycocoevalcap's own jar, options and dropped punctuation.

The jar's program reads standard input line by line but flushes its output only when its buffers are full. One
process therefore lives through a run by sending, after each batch, a marker line often enough to fill them.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from harness.metrics.jars import tokenizer_jar
from harness.metrics.java import JavaProcess, find_java

# As pycocoevalcap writes them: the brackets never match, being "-lrb-" once in lower case, and so stay as tokens.
DROPPED = frozenset(
    ["''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":", "-", "--", "...", ";"]
)
_HEAP_MB = 256
# The jar takes each of these as the end of a line. pycocoevalcap guards only against \n: with any other one it
# gives every later caption the tokens of another image, and only there do the tokens differ from its own.
_LINE_BREAKS = str.maketrans(dict.fromkeys("\n\r\v\f\x85\u2028\u2029", " "))
_BUFFERED = 3 * 8192  # characters that may stay in the program's three output buffers


class PtbTokenizer:
    """One live tokenizer process: lower-cased Penn Treebank tokens without punctuation."""

    def __init__(self, search_path: str | None = None) -> None:
        self._process = JavaProcess(
            find_java(search_path),
            _HEAP_MB,
            ["-cp", str(tokenizer_jar()), "edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase"],
        )
        self._batches = 0
        self._unread_markers = 0

    @property
    def pid(self) -> int:
        """The operating system's id of the process."""
        return self._process.pid

    def tokenize(self, captions: Sequence[str]) -> list[str]:
        """Return each caption as tokens parted by single spaces; some come out empty.

        The tokenizer looks at the first letter of the next line to judge a full stop at the end of a line, so
        a caption is best always given in the same batch.
        """
        if not captions:
            return []
        # Upper case, as the tokenizer then ends the last caption just as the end of a file would.
        marker = f"Fusemark{self._batches}End"
        repeats = 2 + _BUFFERED // len(marker)
        self._process.send([*(caption.translate(_LINE_BREAKS) for caption in captions), *[marker] * repeats])
        for _ in range(self._unread_markers):  # of the last batch
            self._process.read_line()
        lines = [self._process.read_line() for _ in captions]
        self._expect(marker.lower())
        self._batches += 1
        self._unread_markers = repeats - 1
        return [_drop_punctuation(line) for line in lines]

    def _expect(self, marker: str) -> None:
        line = self._process.read_line()
        if line != marker:
            self.close()
            raise RuntimeError(f"the PTB tokenizer lost step with its input: wanted {marker!r}, saw {line!r}")

    def close(self) -> None:
        """End the process; safe to call twice."""
        self._process.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _drop_punctuation(line: str) -> str:
    return " ".join(word for word in line.rstrip().split(" ") if word not in DROPPED)
