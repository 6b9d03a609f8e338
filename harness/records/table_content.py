"""Tables of samples as the bytes of a Parquet file: what was answered, and what each sample contributes to metrics."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from harness.sample import Outcome
from harness.stats.sample_scores import SampleScores

ADDITIVE = "additive"
"""The column of the predictions of a model's additive projection."""
SLICE = "slice"
"""The column of the slice that each sample is in."""


def outcomes_content(
    outcomes: Sequence[Outcome], columns: Mapping[str, Sequence[float]], additive: Sequence[Outcome]
) -> bytes:
    """One row a sample: `sample_id`, `prediction` (JSON), a column a per-sample metric, and ADDITIVE where there are.

    `additive` are of some samples.
    """
    known = {outcome.sample_id: json.dumps(outcome.prediction) for outcome in additive}
    return _content(
        {
            "sample_id": [outcome.sample_id for outcome in outcomes],
            "prediction": [json.dumps(outcome.prediction) for outcome in outcomes],
            **{name: list(values) for name, values in columns.items()},
            **({ADDITIVE: [known.get(outcome.sample_id) for outcome in outcomes]} if known else {}),
        }
    )


def scores_content(scores: SampleScores) -> bytes:
    """One row a sample: `sample_id`, `cluster`, a column a metric, and `slice` where samples are divided into some."""
    divided = {SLICE: list(scores.slices)} if scores.slices else {}
    own = {"sample_id": list(scores.sample_ids), "cluster": list(scores.clusters)}
    return _content({**own, **scores.metrics, **divided})


def _content(columns: Mapping[str, Any]) -> bytes:
    import pyarrow as arrow
    from pyarrow import parquet

    sink = arrow.BufferOutputStream()
    parquet.write_table(arrow.table(dict(columns)), sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content
