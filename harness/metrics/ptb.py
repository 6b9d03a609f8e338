"""Penn Treebank tokens, with pycocoevalcap's own jar, options and list of dropped punctuation."""

from __future__ import annotations

import importlib.util
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.metrics.java import JavaFailed, find_java

JAR = "stanford-corenlp-3.4.1.jar"
DROPPED = frozenset(
    ["''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":", "-", "--", "...", ";"]
)


def package_folder() -> Path:
    """Where pycocoevalcap is installed; found without importing it."""
    found = importlib.util.find_spec("pycocoevalcap")
    assert found is not None and found.submodule_search_locations
    return Path(next(iter(found.submodule_search_locations)))


class PtbTokenizer:
    """Lower-cased Penn Treebank tokens without punctuation."""

    def __init__(self, search_path: str | None = None) -> None:
        self._java = find_java(search_path)

    def tokenize(self, captions: Sequence[str]) -> list[str]:
        """Each caption as tokens parted by single spaces; a caption may come out empty."""
        if not captions:
            return []
        text = "\n".join(caption.replace("\n", " ") for caption in captions)
        jar = package_folder() / "tokenizer" / JAR
        done = subprocess.run(
            [str(self._java), "-cp", str(jar), "edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase"],
            input=text.encode("utf-8"),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        lines = done.stdout.decode("utf-8").split("\n")
        if done.returncode != 0:
            raise JavaFailed(f"The PTB tokenizer ended with status {done.returncode}.")
        lines += [""] * (len(captions) - len(lines))
        return [_drop_punctuation(line) for line in lines[: len(captions)]]

    def close(self) -> None:
        """End the process."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _drop_punctuation(line: str) -> str:
    return " ".join(word for word in line.rstrip().split(" ") if word not in DROPPED)
