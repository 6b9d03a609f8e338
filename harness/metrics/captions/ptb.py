"""Penn Treebank tokens (Marcus et al. 1993), with pycocoevalcap's own jar, options and dropped punctuation.

The jar's program reads standard input line by line but flushes its output only when its buffers are full. One
process therefore lives through a run by sending, after each batch, a marker line often enough to fill them.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from harness.metrics.captions.java import PATIENCE_S, JavaProcess, find_java, with_one_restart
from harness.metrics.captions.java_archives import tokenizer_jar

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

    def __init__(self, search_path: str | None = None, patience_s: float | None = PATIENCE_S) -> None:
        self._java, self._patience_s = find_java(search_path), patience_s
        self._process: JavaProcess | None = self._start()
        self._unread_markers = self._batches = 0

    @property
    def pid(self) -> int | None:
        """The operating system's id of the process; None where it has ended."""
        return self._process.pid if self._process else None

    def _start(self) -> JavaProcess:
        program = "edu.stanford.nlp.process.PTBTokenizer"
        arguments = ["-cp", str(tokenizer_jar()), program, "-preserveLines", "-lowerCase"]
        self._unread_markers = self._batches = 0
        return JavaProcess(self._java, _HEAP_MB, arguments, self._patience_s)

    def tokenize(self, captions: Sequence[str]) -> list[str]:
        """Return each caption as tokens parted by single spaces; some come out empty.

        The tokenizer looks at the first letter of the next line to judge a full stop at the end of a line, so
        a caption is best always given in the same batch.
        """
        return with_one_restart(lambda: self._tokenize(captions), self.close) if captions else []

    def _tokenize(self, captions: Sequence[str]) -> list[str]:
        self._process = process = self._process or self._start()
        # Upper case, as the tokenizer then ends the last caption just as the end of a file would.
        marker = f"Fusemark{self._batches}End"
        repeats = 2 + _BUFFERED // len(marker)
        process.send([*(caption.translate(_LINE_BREAKS) for caption in captions), *[marker] * repeats])
        for _ in range(self._unread_markers):  # of the last batch
            process.read_line()
        lines = [process.read_line() for _ in captions]
        self._expect(marker.lower(), process.read_line())
        self._batches += 1
        self._unread_markers = repeats - 1
        return [_drop_punctuation(line) for line in lines]

    def _expect(self, marker: str, line: str) -> None:
        if line != marker:
            self.close()
            raise RuntimeError(f"the PTB tokenizer lost step with its input: wanted {marker!r}, saw {line!r}")

    def close(self) -> None:
        """End the process; safe to call twice."""
        if self._process is not None:
            self._process.close()
            self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _drop_punctuation(line: str) -> str:
    return " ".join(word for word in line.rstrip().split(" ") if word not in DROPPED)
