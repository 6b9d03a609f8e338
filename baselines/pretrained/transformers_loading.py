"""Reads networks and processors of transformers from a folder: no remote code, no pickles, nothing made up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baselines.load_options import AUTO, LoadOptions, load_options_of
from harness.errors import CheckpointError
from harness.protocols import BuildContext
from harness.sample import TaskSpec

_REFUSALS = (OSError, ValueError, KeyError, ImportError, AttributeError, TypeError, RuntimeError)
"""What transformers raises when a folder is not what its class wants."""


@dataclass(frozen=True)
class Loading:
    """A checkpoint's folder and digest, the class of transformers that reads it, and what it is built for."""

    folder: Path
    digest: str
    auto_class: str
    spec: TaskSpec
    context: BuildContext

    @property
    def options(self) -> LoadOptions:
        """How it is loaded."""
        return load_options_of(self.context)


def load_network(found: Loading) -> Any:
    """Load a network as the options say; raises CheckpointError when the class cannot, or when a weight is missing."""
    import transformers

    folder, auto_class = found.folder, found.auto_class
    try:
        with _no_progress_bar():
            network, report = getattr(transformers, auto_class).from_pretrained(
                folder,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
                **found.options.arguments(found.context.device),
            )
    except _REFUSALS as error:
        attention = found.options.attention
        other = "" if attention == AUTO else f" Take another model.attention than {attention} where it is that."
        raise CheckpointError(
            f"{folder} cannot be loaded: {error} Wanted a checkpoint that {auto_class} knows, as safetensors and "
            f"without remote code.{other}"
        ) from error
    weights = {name for name, _ in network.named_parameters()}
    missing = sorted(name for name in report["missing_keys"] if name in weights)
    if missing:
        raise CheckpointError(
            f"{folder} lacks {len(missing)} weights of {type(network).__name__} (first: {missing[0]}), which would "
            "stay random. Wanted a checkpoint that was saved with its head; fetch it again."
        )
    return network


def load_image_processor(folder: Path) -> Any:
    """Load the image processor that a checkpoint was saved with, Pillow's where there is a choice.

    Raises CheckpointError where there is none.
    """
    from transformers import AutoImageProcessor

    # OneFormer's would fetch the class names that it was trained on, which only training needs.
    extra = {"class_info_file": None} if _names_class_file(folder) else {}
    return _load(AutoImageProcessor, folder, "image processor (preprocessor_config.json)", backend="pil", **extra)


def load_processor(folder: Path) -> Any:
    """Load image processor and tokenizer together; raises CheckpointError where one is missing."""
    from transformers import AutoProcessor

    return _load(AutoProcessor, folder, "processor with a tokenizer")


def load_tokenizer(folder: Path) -> Any:
    """Load the tokenizer that a checkpoint was saved with; raises CheckpointError where there is none."""
    from transformers import AutoTokenizer

    return _load(AutoTokenizer, folder, "tokenizer")


def _load(auto_class: Any, folder: Path, what: str, **options: Any) -> Any:
    try:
        return auto_class.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **options)
    except _REFUSALS as error:
        raise CheckpointError(
            f"{folder} has no {what} that can be loaded: {error} Wanted the one that the checkpoint was trained with, "
            "as processor.save_pretrained writes it."
        ) from error


def _names_class_file(folder: Path) -> bool:
    names = ("preprocessor_config.json", "processor_config.json")
    return any(
        '"class_info_file"' in (folder / name).read_text(encoding="utf-8")
        for name in names
        if (folder / name).is_file()
    )


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """Keep the library's bar of loaded tensors out of the benchmark's own progress."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
