"""The files of the pycocoevalcap package that the metrics use, found without importing the package."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path

from harness.errors import BenchError

_SPICE_MODELS = ("stanford-corenlp-3.6.0.jar", "stanford-corenlp-3.6.0-models.jar")


def tokenizer_jar() -> Path:
    """Stanford CoreNLP 3.4.1, cut down to its Penn Treebank tokenizer."""
    return _package_folder() / "tokenizer" / "stanford-corenlp-3.4.1.jar"


def meteor_jar() -> Path:
    """METEOR 1.5 with WordNet's synonyms."""
    return _package_folder() / "meteor" / "meteor-1.5.jar"


def paraphrase_table() -> Path:
    """METEOR's 5.3 million English paraphrases: a number, a phrase and its paraphrase in three lines each."""
    return _package_folder() / "meteor" / "data" / "paraphrase-en.gz"


def spice_jar() -> Path:
    """SPICE 1.0, which needs the two CoreNLP jars beside it."""
    return _package_folder() / "spice" / "spice-1.0.jar"


def spice_models_installed() -> bool:
    """Whether SPICE could run; pycocoevalcap downloads 384 MB when its Spice is constructed without them."""
    folder = spice_jar().parent / "lib"
    return all((folder / name).is_file() for name in _SPICE_MODELS)


def package_version() -> str:
    """The version of pycocoevalcap, which fixes the jars."""
    return importlib.metadata.version("pycocoevalcap")


def _package_folder() -> Path:
    found = importlib.util.find_spec("pycocoevalcap")
    if found is None or not found.submodule_search_locations:
        raise BenchError("Caption metrics need pycocoevalcap. Install it with `uv pip install pycocoevalcap`.")
    return Path(next(iter(found.submodule_search_locations)))
