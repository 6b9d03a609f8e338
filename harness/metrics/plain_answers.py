"""Makes what `predict` returned plain JSON values, one for each sample, or says what was returned instead."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.errors import DataError
from harness.sample import Batch, NoAnswer, Outcome, Prediction
from harness.text.error_text import shortened

if TYPE_CHECKING:
    from harness.protocols import Learner

_PLAIN = (str, bool, int, type(None))
_WANTED = "wanted a list of JSON values: text, numbers, lists and dicts of them"
_SHOWN = 80


def answers_of(learner: Learner, batch: Batch) -> list[Prediction]:
    """Let a learner predict; the answers are as `outcomes_of` makes them."""
    return [outcome.prediction for outcome in outcomes_of(batch.sample_ids, learner.predict(batch))]


def outcomes_of(sample_ids: Sequence[str], answers: Any) -> list[Outcome]:
    """Pair answers with their samples; tensors and arrays become lists, numpy's numbers Python's.

    Raises DataError naming the sample for an answer of another kind, for NaN and infinity, for one that failed, and for
    answers that are too few or too many.
    """
    found, failed = outcomes_and_failures(sample_ids, answers)
    for sample_id, reason in failed.items():
        raise DataError(f"There is no answer for sample {sample_id}: {reason}")
    return found


def outcomes_and_failures(sample_ids: Sequence[str], answers: Any) -> tuple[list[Outcome], dict[str, str]]:
    """Do the same where answers may have failed: also returns the reasons of those, by sample."""
    rows = _listed(answers)
    if not isinstance(rows, list | tuple):
        raise DataError(f"predict returned {_shown(answers)} for {len(sample_ids)} samples; {_WANTED}, one a sample.")
    if len(rows) != len(sample_ids):
        raise DataError(f"predict returned {len(rows)} answers for {len(sample_ids)} samples; wanted one for each.")
    pairs = list(zip(sample_ids, rows, strict=True))
    found = [Outcome(key, _plain(row, key)) for key, row in pairs if not isinstance(row, NoAnswer)]
    require_finite_answer(found)
    return found, {key: row.reason for key, row in pairs if isinstance(row, NoAnswer)}


def require_finite_answer(outcomes: Sequence[Outcome]) -> None:
    """Refuse NaN and infinity in answers, which every metric would take for something; raises DataError.

    Outcomes that a file gave as arrays, and that were checked as such, say so by `all_finite`.
    """
    if getattr(outcomes, "all_finite", False):
        return
    for outcome in outcomes:
        wrong = _not_finite(outcome.prediction)
        if wrong is not None:
            raise DataError(
                f"The answer for sample {outcome.sample_id} holds {wrong}: {_shown(outcome.prediction)}. Answers must "
                "be finite numbers; look for a division by zero, an overflow or a softmax of infinities."
            )


def _plain(value: Any, sample_id: str) -> Any:
    value = _listed(value)
    if type(value) is float or isinstance(value, _PLAIN):
        return value
    if isinstance(value, float):
        return float(value)
    if isinstance(value, list | tuple):
        if set(map(type, value)) <= {float, int, str}:
            return list(value)
        return [_plain(entry, sample_id) for entry in value]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _plain(entry, sample_id) for key, entry in value.items()}
    raise DataError(f"predict returned {_shown(value)} for sample {sample_id}; {_WANTED}.")


def _listed(value: Any) -> Any:
    """Turn a tensor or an array into lists, and a number of numpy's or torch's into Python's."""
    detach: Callable[[], Any] | None = getattr(value, "detach", None)
    if callable(detach):
        value = detach()
    listed: Callable[[], Any] | None = getattr(value, "tolist", None)
    return listed() if callable(listed) and hasattr(value, "dtype") else value


def _not_finite(value: Any) -> float | None:
    """Find the first number that is not finite."""
    if isinstance(value, float):
        return None if math.isfinite(value) else value
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        kinds = set(map(type, value))
        if kinds <= {float, int}:
            reals = value if int not in kinds else [entry for entry in value if type(entry) is float]
            if math.isfinite(sum(reals)):  # what is not finite makes the sum so, and a sum is quick
                return None
            return next((entry for entry in reals if not math.isfinite(entry)), None)
        return next((wrong for entry in value if (wrong := _not_finite(entry)) is not None), None)
    return None


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:
        text = "something whose repr fails"
    return f"{shortened(text, _SHOWN)} ({type(value).__module__}.{type(value).__qualname__})"
