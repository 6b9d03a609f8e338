"""Whether a loaded model answers its golden inputs as when it was exported: texts alike, numbers nearly so.

Another processor, thread count or batch moves the last digits of a sum; it does not move what is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.answers import decode_label_map
from harness.errors import CheckpointError
from harness.sample import Prediction
from harness.serve.bundle import Bundle

NEAR_ENOUGH = 5e-3
"""Numbers of answers (probabilities, scores, fractions of an image) may differ by so much, in absolute terms or by
their size."""
LEAST_EQUAL_PIXELS = 0.995


def require_golden_answers(bundle: Bundle, answers: Sequence[Prediction], folder: Path) -> None:
    """Raise CheckpointError naming the first golden output that does not come out."""
    for place, (sample, answer) in enumerate(zip(bundle.golden, answers, strict=True)):
        difference = answers_differ(sample.prediction, answer)
        if difference:
            raise CheckpointError(
                f"{folder} is refused: golden input {place + 1} of {len(bundle.golden)} is answered otherwise than "
                f"when it was exported ({difference}). Install the packages of {folder / 'card.md'}, or export it here."
            )


def answers_differ(wanted: Any, seen: Any) -> str:
    """Say in a few words how two answers differ, "" where they do not but for rounding.

    >>> answers_differ([0.25, 0.75], [0.2501, 0.7499]), answers_differ("a dog", "a cat")
    ('', "'a cat' for 'a dog'")
    """
    if isinstance(wanted, Mapping) and "label_map_png" in wanted:
        return _maps_differ(wanted, seen)
    if _is_number(wanted) and _is_number(seen) and not (isinstance(wanted, int) and isinstance(seen, int)):
        near = abs(wanted - seen) <= NEAR_ENOUGH * max(1.0, abs(wanted))
        return "" if near else f"{seen:.4g} for {wanted:.4g}"
    if isinstance(wanted, list | tuple) and isinstance(seen, list | tuple):
        if len(wanted) != len(seen):
            return f"{len(seen)} values for {len(wanted)}"
        return next((found for a, b in zip(wanted, seen, strict=True) if (found := answers_differ(a, b))), "")
    return "" if wanted == seen else f"{seen!r:.60} for {wanted!r:.60}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _maps_differ(wanted: Mapping[str, Any], seen: Any) -> str:
    one, other = decode_label_map(wanted), decode_label_map(seen)
    if one.shape != other.shape:
        return f"a label map of {other.shape} for {one.shape}"
    equal = float((one == other).mean())
    return "" if equal >= LEAST_EQUAL_PIXELS else f"{1 - equal:.1%} of the pixels have another class"
