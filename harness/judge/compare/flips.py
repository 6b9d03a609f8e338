"""The samples on which two models differ most: what both said, what is right, and what the image looks like."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.answers import describe_answer, describe_target
from harness.errors import BadSample, DataError
from harness.records.rescore import Rescorer
from harness.records.sample_scores import Scored
from harness.sample import Outcome, TaskSpec
from harness.stats.resampling import FloatArray

_LONGEST_PX = 160
_MOST = 400
"""Characters of an answer that are shown."""


@dataclass(frozen=True)
class FlippedSample:
    """One sample: both scores (means over seeds), and what the first seed of each model said."""

    sample_id: str
    score_a: float
    score_b: float
    said_a: str
    said_b: str
    truth: str
    text: str | None
    image: Path

    def to_json(self) -> dict[str, Any]:
        """Turn into plain JSON types."""
        return {**asdict(self), "image": self.image.name}


def greatest_changes(
    rescorer: Rescorer, scored: tuple[Scored, Scored], scores: tuple[FloatArray, FloatArray], most: int
) -> list[FlippedSample]:
    """Take the samples whose scores [N] differ most, half of them in favour of each model as far as there are any."""
    difference = np.nan_to_num(scores[0] - scores[1])
    order = np.argsort(-np.abs(difference), kind="stable")
    better = [[int(place) for place in order if sign * difference[place] > 0] for sign in (1, -1)]
    half = most // 2
    counts = [min(len(side), max(half, most - len(other))) for side, other in zip(better, better[::-1], strict=True)]
    chosen = [*better[0][: counts[0]], *better[1][: counts[1]]]
    spec = rescorer.task.spec(rescorer.data, ())
    answers = [_by_id(each.outcomes) for each in scored]
    found = []
    for place in chosen:
        sample = scored[0].samples[place]
        said = [_described(answer[sample.sample_id], spec, sample.choices) for answer in answers]
        found.append(
            FlippedSample(
                sample_id=sample.sample_id,
                score_a=float(scores[0][place]),
                score_b=float(scores[1][place]),
                said_a=said[0],
                said_b=said[1],
                truth=describe_target(sample, spec)[:_MOST],
                text=sample.text,
                image=sample.image,
            )
        )
    return found


def picture(path: Path) -> str | None:
    """Make a small JPEG of an image, as a data URI; None where there is no readable file."""
    from harness.inputs.images import upright_image

    try:
        image = upright_image(path).convert("RGB")
    except BadSample:
        return None
    image.thumbnail((_LONGEST_PX, _LONGEST_PX))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _described(answer: Any, spec: TaskSpec, choices: Sequence[str]) -> str:
    """Put an answer into words; one of a form that is not of the usual kinds is shown as it is."""
    try:
        return describe_answer(answer, spec, choices)[:_MOST]
    except (DataError, KeyError, IndexError, TypeError, ValueError):
        return str(answer)[:_MOST]


def _by_id(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    return {outcome.sample_id: outcome.prediction for outcome in outcomes}
