"""Says which vision backbone a run means: its timm name, weights, keywords and preprocessing. No torch here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baselines.vision.scenes_cnn import SCENES_CNN, SCENES_CNN_BUDGET, SCENES_CNN_NETWORK
from baselines.vision.timm_keywords import require_shaping
from harness.cell import ModelOptions
from harness.errors import CheckpointError, MissingPath, UsageError, nearest
from harness.protocols import Prerequisite
from harness.storage.content import file_digest

FITS = ("crop", "squash", "pad")
PREPROCESSING_KEYS = ("size", "crop", "interpolation", "mean", "std", "fit")
"""What `--vision-args` and side files may say beside timm's own keywords."""


@dataclass(frozen=True)
class VisionSource:
    """A backbone to be built: `weights` is a local file, or None where they come from elsewhere.

    `preprocessing` holds only what was given; the rest comes from timm's entry for the name.
    `origin` is scratch, file, hub or prerequisite; `stage` is the last one that the weights hold, -1 for all.
    """

    name: str
    timm_name: str
    origin: str
    weights: Path | None
    keywords: Mapping[str, Any]
    preprocessing: Mapping[str, Any]
    stage: int = -1

    def to_json(self) -> dict[str, Any]:
        """Describe the backbone for a fingerprint, weights by digest."""
        return {
            "name": self.name,
            "timm": self.timm_name,
            "weights": file_digest(self.weights) if self.weights else self.origin,
            "keywords": dict(self.keywords),
            "preprocessing": dict(self.preprocessing),
            "stage": self.stage,
        }


def find_vision(options: ModelOptions) -> VisionSource:
    """Read `--vision`, `--vision-weights` and `--vision-args`; the flag wins over the side file.

    Raises MissingPath when the file is not there, CheckpointError when it is of an unsafe kind, UsageError for a
    keyword that does more than shape a network.
    """
    if is_scenes_cnn(options):
        return _scenes_cnn(options, "prerequisite")
    name = str(options.vision)
    weights = _weights_file(options.vision_weights)
    given = {**(_side_file(weights) if weights else {}), **options.vision_args}
    preprocessing = {key: _preprocessing_value(key, given.pop(key)) for key in PREPROCESSING_KEYS if key in given}
    require_shaping(given, f"--vision-args for {name}", PREPROCESSING_KEYS)
    origin = "file" if weights else "hub"
    return VisionSource(name, name, origin, weights, given, preprocessing)


def scenes_cnn_from_scratch(options: ModelOptions) -> VisionSource:
    """The built-in default's network before it is trained."""
    return _scenes_cnn(options, "scratch")


def is_scenes_cnn(options: ModelOptions) -> bool:
    """Tell whether a run takes the built-in default, which is trained on Scenes' attributes first."""
    return options.vision in (None, SCENES_CNN)


def _scenes_cnn(options: ModelOptions, origin: str) -> VisionSource:
    if options.vision_weights or options.vision_args:
        raise UsageError(
            "--vision-weights and --vision-args need --vision NAME: the default backbone has its own weights."
        )
    network = SCENES_CNN_NETWORK
    return VisionSource(
        name=SCENES_CNN,
        timm_name=network.timm_name,
        origin=origin,
        weights=None,
        keywords=network.keywords,
        preprocessing=network.preprocessing,
        stage=network.stage,
    )


def _weights_file(wish: str | None) -> Path | None:
    if wish is None:
        return None
    path = Path(wish).expanduser()
    if not path.is_file():
        raise MissingPath(f"--vision-weights {wish}: there is no such file. Check the path.")
    if path.suffix not in (".safetensors", ".pth"):
        raise CheckpointError(
            f"--vision-weights {wish}: {path.suffix or 'a file without suffix'} is not taken, because a pickle can "
            "run code when it is read. Wanted .safetensors, or .pth that holds tensors only."
        )
    return path


def _side_file(weights: Path) -> dict[str, Any]:
    """Read the keywords that lie beside a checkpoint: FILE.toml, FILE.json, or with the suffix replaced."""
    for suffix in (".toml", ".json"):
        for path in (weights.with_name(weights.name + suffix), weights.with_suffix(suffix)):
            if path.is_file():
                return _read_side_file(path)
    return {}


def _read_side_file(path: Path) -> dict[str, Any]:
    import tomllib

    parse = tomllib.loads if path.suffix == ".toml" else json.loads
    try:
        text = path.read_text(encoding="utf-8")
        content = parse(text)
    except (ValueError, RecursionError, OSError) as error:
        raise UsageError(f"{path} cannot be read: {error}. Mend it, or move it from beside the weights.") from None
    if not isinstance(content, dict):
        raise UsageError(f"{path}: wanted a table of timm keywords, mean, std, size and crop.")
    return content


def _fit(value: Any) -> str:
    if value not in FITS:
        raise UsageError(f"--vision-args fit={value!r}. {nearest(str(value), FITS)}")
    return str(value)


def _preprocessing_value(key: str, value: Any) -> Any:
    """Convert one value: mean and std are three numbers (one stands for all; text is split at `/`)."""
    try:
        if key in ("mean", "std"):
            parts = value.replace("/", " ").split() if isinstance(value, str) else value
            numbers = [float(part) for part in parts] if isinstance(parts, list | tuple) else [float(parts)] * 3
            numbers = numbers * 3 if len(numbers) == 1 else numbers
            if len(numbers) == 3:
                return numbers
            raise ValueError(f"{len(numbers)} numbers")
        if key == "fit":
            return _fit(value)
        return {"size": int, "crop": float, "interpolation": str}[key](value)
    except (TypeError, ValueError) as error:
        wanted = "one or three numbers, such as 0.5/0.5/0.5" if key in ("mean", "std") else "a number"
        raise UsageError(f"--vision-args {key}={value!r}: wanted {wanted}.") from error


def scenes_cnn_prerequisite() -> Prerequisite:
    """The training that gives the default backbone its weights."""
    return Prerequisite("scene-attributes", "attribute-classifier", SCENES_CNN_BUDGET)
