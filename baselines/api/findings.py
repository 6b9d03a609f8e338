"""What a probe can find of a server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

YES, NO, UNKNOWN, GETS = "yes", "no", "unknown", "gets them"
TOP, OF_PROMPT, NONE = "top", "prompt", "none"


@dataclass(frozen=True)
class Findings:
    """What a probe found; `top_logprobs` is how many log-probabilities a token the server gives at most."""

    deterministic: str
    reads_image: str
    log_probabilities: str
    order: str
    top_logprobs: int = 0
    remarks: tuple[str, ...] = ()
    at: str = ""
    requests: int = 0

    def to_json(self) -> dict[str, Any]:
        """For records, and to be kept."""
        return {**vars(self), "remarks": list(self.remarks)}

    @staticmethod
    def from_json(content: Mapping[str, Any]) -> Findings:
        """Read what `to_json` made."""
        return Findings(**{**content, "remarks": tuple(content["remarks"])})
