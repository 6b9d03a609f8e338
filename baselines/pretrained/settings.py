"""What `--set model.KEY=VALUE` means for pretrained captioners: a prompt and, for some, an image size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from harness.errors import UsageError


@dataclass(frozen=True)
class PretrainedSettings:
    """Settings that only pretrained captioners know.

    `prompt` replaces the default text beside the image; `image_size` is how many pixels long images are at most for
    processors without a fixed size (0 takes 640).
    """

    prompt: str = ""
    image_size: int = 0


PRETRAINED_SETTINGS = tuple(field.name for field in fields(PretrainedSettings))
"""Names that pretrained captioners take in `--set model.NAME=VALUE`."""
CAPTIONER_SETTINGS = (*PRETRAINED_SETTINGS, "option_score")
"""... and those of them that score texts too."""


def read_pretrained_settings(given: Mapping[str, Any]) -> PretrainedSettings:
    """Pick out what concerns pretrained captioners; raises UsageError for values of another kind."""
    prompt, size = given.get("prompt", ""), given.get("image_size", 0)
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise UsageError(f"model.image_size={size!r}: wanted a number of pixels, such as 512.")
    if not isinstance(prompt, str):
        raise UsageError(f"model.prompt={prompt!r}: wanted text.")
    return PretrainedSettings(prompt, size)


def option_score_of(given: Mapping[str, Any]) -> str:
    """How a text is scored by the log-probabilities of its tokens: their sum or mean; raises UsageError."""
    how = str(given.get("option_score", "sum"))
    if how not in ("sum", "mean"):
        raise UsageError(f"model.option_score={how}: wanted sum or mean.")
    return how
