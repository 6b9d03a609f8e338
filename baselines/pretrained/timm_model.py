"""A classifier of timm as a model of the benchmark: `timm:NAME`. Finds its weights without torch.

timm:resnet50.a1_in1k                    the hub's repository timm/resnet50.a1_in1k
timm:ORGANISATION/NAME                   any repository of the hub that timm wrote
timm:NAME@REVISION                       either of them at a branch, a tag or a commit
timm:./folder                            what timm's save_for_hf wrote: config.json and model.safetensors
timm:resnet50 --vision-weights FILE      an architecture with weights of your own, with --vision-args and side
                                         files as for a backbone
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from baselines.load_options import FOR_WEIGHTS, load_options_of, read_load_options
from baselines.pretrained.architectures import CLASSIFIER
from baselines.pretrained.as_it_is import AsItIs
from baselines.vision.source import VisionSource, find_vision
from baselines.vision.timm_keywords import require_shaping_arguments
from baselines.weights.hub import Checkpoint, download, find_cached, find_on_hub, hub_command, weights_digest
from harness.cell import ModelOptions
from harness.errors import CheckpointError, MissingPath, UsageError, WeightsUnavailable
from harness.protocols import BuildContext, Learner
from harness.sample import TaskSpec

TIMM_FAMILY = "timm:"
WEIGHTS_NAME = "model.safetensors"
_FILES = ("config.json", WEIGHTS_NAME)
_REVISION = r"(@[\w./-]+)?"
_NAME = re.compile(r"[A-Za-z0-9]\w*(\.[\w.-]+)?" + _REVISION)
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*" + _REVISION)
_WANTED = (
    "Wanted timm:resnet50.a1_in1k, timm:ORGANISATION/NAME, timm:./folder or timm:resnet50 with --vision-weights FILE"
)


@dataclass(frozen=True)
class TimmModel(AsItIs):
    """A pretrained classifier: from a hub's `repository`, a `folder`, or an `architecture` and `--vision-weights`.

    It comes whole, with its head; its preprocessing is what timm's entry or the folder's config.json says.
    """

    name: str
    summary: str
    repository: str | None = None
    folder: Path | None = None
    architecture: str | None = None
    downloads: bool = True
    answers: tuple[str, ...] = (CLASSIFIER.answers,)
    fused: bool = False
    settings: tuple[str, ...] = FOR_WEIGHTS

    def recipe(self, options: ModelOptions) -> Mapping[str, Any]:
        """Name network and digest of its weights; raises WeightsUnavailable, CheckpointError or UsageError."""
        source = self.source(options)
        named = {"library": "timm", "dtype": read_load_options(options.settings).dtype_name}
        if source is not None:
            return {**named, **source.to_json()}
        return {**named, "checkpoint": self.repository or "local folder", "weights": self._find().digest}

    def build(self, spec: TaskSpec, context: BuildContext) -> Learner:
        """Load the network; raises WeightsUnavailable, CheckpointError, UsageError."""
        from baselines.pretrained.timm_classifier import load_timm_file, load_timm_folder

        source, load = self.source(context.options), load_options_of(context)
        if source is not None:
            return load_timm_file(source, spec, load)
        found = self._find()
        folder = found.folder or download(str(self.repository), _FILES, found.digest)
        return load_timm_folder(_checked(folder), found.digest, spec, load)

    def source(self, options: ModelOptions) -> VisionSource | None:
        """Read `--vision-weights` for an architecture by name; None for a repository or a folder.

        They are another network's where `--vision` names one.
        """
        if self.architecture is None:
            return None
        if options.vision_weights is None or options.vision not in (None, self.architecture):
            raise UsageError(
                f"'{self.name}' names an architecture without weights. Wanted its weights too: the tag that follows "
                f"the name on the hub (such as timm:resnet50.a1_in1k), or --vision-weights FILE.safetensors."
            )
        return find_vision(replace(options, vision=self.architecture))

    def _find(self) -> Checkpoint:
        if self.folder is not None:
            if not self.folder.is_dir():
                raise MissingPath(f"There is no folder {self.folder}. Check the path.")
            return Checkpoint(self.folder, weights_digest([_checked(self.folder) / name for name in _FILES]))
        repository = str(self.repository)
        cached = find_cached(repository, _FILES)
        if cached is not None:
            return cached
        if self.downloads:
            return find_on_hub(repository)
        raise WeightsUnavailable(
            f"weights not available: {repository} is not in the Hugging Face cache. Run `{hub_command(repository)}` "
            "where there is a network, or copy the repository to a folder and name it as timm:./FOLDER. "
            f"`--model timm:{repository}` downloads it too."
        )


def parse_timm_name(name: str) -> TimmModel:
    """Turn `timm:NAME` into a model; raises UsageError for what names none."""
    rest = name.removeprefix(TIMM_FAMILY)
    if rest.startswith((".", "/", "~", "\\")) or Path(rest).is_absolute():
        return TimmModel(name, f"the timm checkpoint in {rest}", folder=Path(rest).expanduser())
    rest = rest.removeprefix("hf-hub:")
    if _REPOSITORY.fullmatch(rest):
        return TimmModel(name, f"{rest} of timm from the Hugging Face hub", repository=rest)
    if not _NAME.fullmatch(rest):
        raise UsageError(f"'{name}' names no model of timm. {_WANTED}.")
    if "." in rest:
        return TimmModel(name, f"{rest} of timm from the Hugging Face hub", repository=f"timm/{rest}")
    return TimmModel(name, f"{rest} of timm with --vision-weights", architecture=rest)


def _checked(folder: Path) -> Path:
    """Make sure that a folder can be loaded without running code; raises CheckpointError."""
    lacking = [name for name in _FILES if not (folder / name).is_file()]
    if lacking:
        raise CheckpointError(
            f"{folder} has no {' and no '.join(lacking)}. Wanted what timm's save_for_hf writes with "
            "safe_serialization: a pickle can run code when it is read."
        )
    place = folder / "config.json"
    try:
        config = json.loads(place.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        raise CheckpointError(f"{place} cannot be read: {error}. Fetch the checkpoint again.") from None
    if not isinstance(config, dict):
        raise CheckpointError(f"{place} holds no table. Wanted what timm's save_for_hf writes.")
    require_shaping_arguments(config, str(place))
    return folder
