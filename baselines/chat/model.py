"""A chat model by name, `chat:FOLDER` or `chat:OWNER/NAME`: finds its weights and its prompts, without torch."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from baselines.chat.folder_check import FILES_OF_ASKING, check_chat_folder
from baselines.chat.settings import CHAT_SETTINGS, read_chat_settings
from baselines.load_options import LOAD_SETTINGS, SettlesLoading, read_load_options
from baselines.pretrained.transformers_model import PATTERNS, find_checkpoint
from baselines.prompts.prompt import Prompt
from baselines.prompts.prompt_file import choose_prompt, read_prompts
from baselines.weights.hub import Checkpoint, download, missing_weights
from harness.answers import CAPTIONS, CHOICES, LABELS, UNSEEN_LABELS
from harness.cell import ModelOptions
from harness.errors import CheckpointError, UsageError
from harness.option_fields import Precision
from harness.protocols import BuildContext, Learner, Prerequisite
from harness.sample import TaskSpec

NO_IMAGE = "C5"
"""The control that is asked the same without an image."""
_SHORT_ANSWERS = "answers"
_DTYPES = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w./-]+)?")


@dataclass(frozen=True)
class ChatModel(SettlesLoading):
    """A chat model that is evaluated as it is, from a local `folder` or a hub's `repository`.

    Its only control is C5, the same questions without an image: what the language alone gives away.
    """

    name: str
    summary: str
    folder: Path | None = None
    repository: str | None = None
    control: str | None = None
    answers: tuple[str, ...] = (CAPTIONS, LABELS, UNSEEN_LABELS, _SHORT_ANSWERS, CHOICES)
    fused: bool = True
    settings: tuple[str, ...] = (*LOAD_SETTINGS, *CHAT_SETTINGS)
    evaluates_only: bool = True

    @property
    def loads_with(self) -> Sequence[str]:
        """All that transformers can do."""
        return LOAD_SETTINGS

    def prompt_names(self, options: ModelOptions) -> Sequence[str]:
        """Name the prompts of the file, or the tool's first one; raises UsageError."""
        settings = read_chat_settings(options.settings)
        if settings.prompt_name:
            return (self._prompt(options).name,)
        return tuple(prompt.name for prompt in read_prompts(settings.prompts, options.answers))

    def settled(self, options: ModelOptions, device: str, precision: Callable[[Precision], Precision]) -> ModelOptions:
        """Settle how weights are loaded; without a wish in the number format in which the checkpoint is kept."""
        settings = dict(options.settings)
        settings.setdefault("dtype", self._own_dtype())
        if settings.get("prompts") == "builtin":
            del settings["prompts"]  # the prompt is named: it is the same cell with and without the rest of the file
        return super().settled(replace(options, settings=settings), device, precision)

    def recipe(self, options: ModelOptions) -> Mapping[str, Any]:
        """Name checkpoint, digest and prompt; raises WeightsUnavailable, CheckpointError or UsageError."""
        settings, load = read_chat_settings(options.settings), read_load_options(options.settings)
        self._check_folder()
        return {
            "library": "transformers",
            "checkpoint": self.repository or "local folder",
            "weights": self._find().digest,
            "kind": "chat model",
            **load.to_json(),
            "dtype": load.dtype_name,
            "prompt": self._prompt(options).to_json(),
            "options_by": settings.options_by,
            "option_score": settings.option_score,
            "images": "none" if self.control else "as on disk, upright",
            "sampling": False,
        }

    def controls_for(self, answers: str) -> tuple[str, ...]:
        """Offer the questions without an image."""
        return (NO_IMAGE,)

    def with_control(self, control: str) -> ChatModel:
        """Make the control of it."""
        if control != NO_IMAGE:
            raise UsageError(f"Model '{self.name}' has the control {NO_IMAGE} (no image) and no '{control}'.")
        return replace(self, control=control)

    def prerequisite(self, options: ModelOptions) -> Prerequisite | None:
        """Need no other network."""
        return None

    def build(self, spec: TaskSpec, context: BuildContext) -> Learner:
        """Load the checkpoint; raises WeightsUnavailable, CheckpointError, UsageError."""
        from baselines.chat.loading import load_chat
        from baselines.pretrained.transformers_loading import Loading

        found = self._find()
        folder = found.folder or download(str(self.repository), PATTERNS, found.digest)
        if lacking := missing_weights(folder):
            raise CheckpointError(f"{self.name}: {folder} {lacking}")
        loading = Loading(folder, found.digest, "AutoModelForMultimodalLM", spec, context)
        prompt = self._prompt(replace(context.options, answers=spec.answers))
        return load_chat(loading, prompt, sees=self.control is None)

    def _prompt(self, options: ModelOptions) -> Prompt:
        settings = read_chat_settings(options.settings)
        wish = settings.prompts or ("builtin" if settings.prompt_name else "")
        return choose_prompt(read_prompts(wish, options.answers), settings.prompt_name)

    def _own_dtype(self) -> str:
        """The number format that config.json names, or that of its language model; fp32 where it names none."""
        found = self._find()
        folder = found.folder or download(str(self.repository), ("config.json",), found.digest)
        try:
            content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            inner = content.get("text_config") or {}
            stated = [part.get(key) for part in (content, inner) for key in ("dtype", "torch_dtype")]
        except (OSError, ValueError, AttributeError) as error:
            raise CheckpointError(
                f"{folder}/config.json is no configuration of transformers ({error}). Fetch the checkpoint again."
            ) from error
        return next((_DTYPES[str(name)] for name in stated if str(name) in _DTYPES), "fp32")

    def _check_folder(self) -> None:
        """Refuse what cannot be asked before anything runs; raises CheckpointError."""
        found = self._find()
        folder = found.folder or download(str(self.repository), FILES_OF_ASKING, found.digest)
        check_chat_folder(folder, whole=found.folder is not None)

    def _find(self) -> Checkpoint:
        return find_checkpoint(self.folder, str(self.repository), downloads=True)


def parse_chat_name(name: str) -> ChatModel:
    """Turn `chat:FOLDER` or `chat:OWNER/NAME[@REVISION]` into a model; raises UsageError.

    A path that exists is a folder; so is what begins with ., / or ~.
    """
    rest = name.partition(":")[2].strip()
    folder = Path(rest).expanduser()
    if rest.startswith((".", "/", "~", "\\")) or (rest and folder.is_dir()):
        return ChatModel(name, f"the chat model in {folder}", folder=folder)
    if not _REPOSITORY.fullmatch(rest):
        raise UsageError(
            f"'{rest}' in '{name}' is neither a folder that is there nor a repository. Wanted chat:./folder, or "
            "chat:HuggingFaceTB/SmolVLM-256M-Instruct, with @REVISION for another than main."
        )
    return ChatModel(name, f"the chat model {rest} from the Hugging Face hub", repository=rest)
