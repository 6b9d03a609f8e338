"""What `bench export` leaves: a folder that says all that a model needs to answer, and vouches for its files.

bundle.json              the model, its options, its task's classes, preprocessing, golden inputs and outputs
checkpoint.safetensors   what was trained; what is frozen comes from where training took it
derived.json             what the learner took from the training split, such as a vocabulary
training.json            what the training said of itself
prerequisite/            the same three files of the training that it builds on, where there is one
golden/                  some samples' images, as they lay on disk
card.md                  the same for people

Nothing here is ever unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from harness.cell import DecodeOptions, ModelOptions, TrainOptions
from harness.errors import CheckpointError
from harness.record import name_of
from harness.sample import Classes, Prediction, Preprocessing, TaskSpec
from harness.storage.content import file_digest
from harness.storage.digest import DigestError, with_digest, without_digest

MANIFEST, CARD, GOLDEN, PREREQUISITE = "bundle.json", "card.md", "golden", "prerequisite"
FORMAT = 1
_EXPORT = "Export it again with `bench export`."


@dataclass(frozen=True)
class GoldenSample:
    """One input whose answer is known: the image's place in the folder, the text and choices beside it, the answer."""

    image: str
    text: str | None
    choices: tuple[str, ...]
    prediction: Prediction


@dataclass(frozen=True)
class Bundle:
    """A model as it was exported. `needs` says what each request must bring: image, text, choices.

    `record` is the fingerprint of the cell, `metrics` what it scored; `files` the sha256 of each other file.
    """

    task: str
    model: str
    control: str | None
    seed: int
    record: str
    data: str
    data_digest: str
    split: str
    device: str
    precision: str
    needs: tuple[str, ...]
    spec: TaskSpec
    preprocessing: Preprocessing | None
    preprocessing_sha256: str | None
    golden: tuple[GoldenSample, ...]
    options: ModelOptions
    train: TrainOptions
    decode: DecodeOptions
    recipe: Mapping[str, Any]
    metrics: Mapping[str, Any]
    packages: Mapping[str, str]
    prerequisite: str | None
    files: Mapping[str, str]
    variant: str | None = None

    @property
    def name(self) -> str:
        """The model as tables name it."""
        return name_of(f"{self.model}+{self.variant}" if self.variant else self.model, self.control)

    def to_json(self) -> dict[str, Any]:
        """Turn into plain JSON types; of the task's specification all but the training split."""
        content = asdict(replace(self, spec=replace(self.spec, training_targets=(), training_texts=())))
        return {"format": FORMAT, **content}


def write_manifest(bundle: Bundle, folder: Path) -> None:
    """Write bundle.json, which vouches for all other files there."""
    (folder / MANIFEST).write_bytes(with_digest(bundle.to_json()))


def digests_of(folder: Path) -> dict[str, str]:
    """sha256 of every file of a folder but its manifest, by its path there."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in paths}


def read_bundle(folder: Path) -> Bundle:
    """Read an exported model and check every file's digest; raises CheckpointError naming what is not as exported."""
    path = folder / MANIFEST
    try:
        content = without_digest(json.loads(path.read_bytes()))
    except FileNotFoundError:
        raise CheckpointError(f"{path} is not there, so this is no exported model. {_EXPORT}") from None
    except DigestError as error:
        raise CheckpointError(f"{path} is refused: {error}. {_EXPORT}") from None
    except (OSError, ValueError, RecursionError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}. {_EXPORT}") from None
    if content.pop("format", None) != FORMAT:
        raise CheckpointError(f"{path} is of another format than {FORMAT}. {_EXPORT}")
    try:
        bundle = _parsed(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{path} is not whole ({type(error).__name__}: {error}). {_EXPORT}") from None
    _check_files(bundle, folder)
    return bundle


def _check_files(bundle: Bundle, folder: Path) -> None:
    for name, wanted in bundle.files.items():
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise CheckpointError(f"{folder / MANIFEST} names a file outside its folder: {name}. {_EXPORT}")
        try:
            seen = file_digest(folder / name)
        except OSError as error:
            raise CheckpointError(f"{folder / name} cannot be read ({error.strerror}). {_EXPORT}") from None
        if seen != wanted:
            raise CheckpointError(
                f"{folder / name} was changed after the export: its sha256 is {seen[:16]}…, exported was "
                f"{wanted[:16]}…. {_EXPORT}"
            )


def _parsed(content: dict[str, Any]) -> Bundle:
    spec, classes = dict(content["spec"]), dict(content["spec"]["classes"])
    for name in ("names", "seen"):
        classes[name] = tuple(classes[name])
    for name in ("texts", "attributes", "test_texts"):
        classes[name] = tuple(map(tuple, classes[name]))
    spec["classes"] = Classes(**classes)
    preprocessing = content["preprocessing"]
    if preprocessing is not None:
        lists = {name: tuple(preprocessing[name]) for name in ("mean", "std")}
        preprocessing = Preprocessing(**{**preprocessing, **lists})
    golden = tuple(GoldenSample(**{**each, "choices": tuple(each["choices"])}) for each in content["golden"])
    known = {
        **content, "needs": tuple(content["needs"]), "spec": TaskSpec(**spec), "preprocessing": preprocessing,
        "golden": golden, "options": ModelOptions(**content["options"]), "train": TrainOptions(**content["train"]),
        "decode": DecodeOptions(**content["decode"]),
    }  # fmt: skip
    return Bundle(**known)
