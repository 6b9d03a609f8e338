"""Scores predictions that were made elsewhere, with the same metrics, golden inputs and intervals."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.errors import StoreError, UsageError
from harness.files import replace_atomically
from harness.metrics.plain_answers import require_finite_answer
from harness.protocols import BeginsPredictions, Task
from harness.record import Estimate
from harness.records.sample_scores import Scored, sample_columns
from harness.records.scoring import Scoring
from harness.sample import Dataset, FileOutcomes, Note, Outcome, Sample
from harness.stats.estimates import estimates
from harness.stats.sample_scores import sample_scores


@dataclass(frozen=True)
class FileScores:
    """Metrics with their intervals, the signature of the code that made them, and what must be known beside them."""

    metrics: Mapping[str, Estimate | None]
    signature: str
    notes: tuple[Note, ...] = ()
    scored: Scored | None = None
    """The predictions beside their samples, for `write_sample_table`."""

    def to_json(self) -> dict[str, Any]:
        """Turn into the documented keys of `bench score --format json`."""
        return {
            "metrics": {name: e.to_json() if e else None for name, e in self.metrics.items()},
            "signature": self.signature,
            "notes": [asdict(note) for note in self.notes],
        }


@contextmanager
def predictions_read(task: Task, path: Path) -> Iterator[Callable[[Dataset], Sequence[Outcome]]]:
    """Give what makes answers to some data of a file, which is read in a thread meanwhile where the task can.

    Calling it raises BenchError for a file that cannot be read, or does not fit the data.
    """
    if not isinstance(task, BeginsPredictions):
        yield lambda data: task.read_predictions(path, data)
        return
    with ThreadPoolExecutor(1) as pool:
        begun = pool.submit(task.begin_predictions, path)
        yield lambda data: begun.result()(data)


def score_file(
    task: Task,
    outcomes: Sequence[Outcome],
    references: tuple[Dataset, Sequence[Sample]],
    resamples: int,
    cache: Path,
    processes: int = 1,
) -> FileScores:
    """Score the answers of a file against samples; raises BenchError for what does not fit.

    Much work on intervals is shared out among so many `processes`.
    """
    data, samples = references
    require_finite_answer(outcomes)
    with Scoring(task, data, cache) as scorer:
        signature = scorer.prepare(samples)
        statistics = scorer.score(samples, outcomes)
        metrics = estimates(statistics, resamples, processes)
        answered = scorer.notes(samples, outcomes)
    read = outcomes.notes if isinstance(outcomes, FileOutcomes) else ()
    return FileScores(metrics, signature, (*data.notes, *read, *answered), Scored(samples, outcomes, statistics))


def table_path(out: Path, predictions: Path) -> Path:
    """Say which file `--out` means: one that ends in .parquet, or a folder for one that is named as the predictions."""
    if out.suffix == ".parquet":
        return out
    if out.suffix and not out.is_dir():
        raise UsageError(f"--out {out}: per-sample scores are Parquet. Name a file .parquet, or a folder.")
    return out / f"{predictions.stem}.parquet"


def write_sample_table(path: Path, scored: Scored, metrics: Sequence[str]) -> None:
    """Write one row a sample, in the order of the split; the columns are those of docs/records.md.

    Raises StoreError where the file cannot be written.
    """
    import pyarrow as arrow
    from pyarrow import parquet

    prediction_of = {outcome.sample_id: outcome.prediction for outcome in scored.outcomes}
    ids = [sample.sample_id for sample in scored.samples]
    parts = sample_scores(ids, scored.statistics, metrics)
    table = arrow.table(
        {
            "sample_id": ids,
            "cluster": list(parts.clusters),
            "prediction": [json.dumps(prediction_of[key]) if key in prediction_of else None for key in ids],
            **sample_columns(scored.statistics, len(ids)),
            **{f"contribution: {name}": values for name, values in parts.metrics.items()},
        }
    )
    try:
        with replace_atomically(path) as temporary:
            parquet.write_table(table, temporary, compression="zstd")
    except OSError as error:
        raise StoreError(f"Cannot write --out {path}: {error.strerror or error}. Give another file.") from None
