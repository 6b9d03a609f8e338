"""The committed baseline of the gate: `baseline.json`, sealed, and `scores.parquet` with samples' contributions."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import BenchError
from harness.files import replace_atomically
from harness.judge.check.measured import Measured
from harness.stats.sample_scores import SampleScores
from harness.storage.digest import DigestError, with_digest, without_digest
from harness.storage.metric_names import current_name
from harness.storage.parquet_files import numbers, read_parquet
from harness.text.error_text import named_error

BASELINE_VERSION = 1
BASELINE, _SCORES = "baseline.json", "scores.parquet"
_COLUMNS = ("fingerprint", "condition", "sample_id", "cluster", "value")


class BaselineError(BenchError):
    """A baseline that cannot be compared with: missing, broken, of another version or other data."""

    exit_code = 3


def write_baseline(folder: Path, measured: Sequence[Measured], provenance: Mapping[str, str]) -> None:
    """Write a baseline in the place of the one that is there; raises BaselineError where nothing was measured."""
    done = [m for m in measured if m.score is not None]
    if not done:
        raise BaselineError("There is no scored record to make a baseline of. Run 'bench run' first.")
    _require_numbers(done)
    try:
        with replace_atomically(folder / _SCORES) as temporary:
            _write_scores(temporary, done)
        content = {
            "schema_version": BASELINE_VERSION,
            "provenance": dict(provenance),
            "scores_sha256": hashlib.sha256((folder / _SCORES).read_bytes()).hexdigest(),
            "rows": [m.to_json() for m in done],
        }
        with replace_atomically(folder / BASELINE) as temporary:
            temporary.write_bytes(with_digest(content) + b"\n")
    except OSError as error:
        raise BaselineError(f"Cannot write {folder}: {error.strerror}. Give another folder.") from None


def read_baseline(folder: Path) -> list[Measured]:
    """Read a baseline; raises BaselineError with what was seen and what to do."""
    remedy = f"Write it again with 'bench check {folder} --update' from results that are right."
    path = folder / BASELINE
    if not path.is_file():
        raise BaselineError(f"{path} is not there. Make it with 'bench check {folder} --update'.")
    try:
        content = json.loads(path.read_bytes())
        version = content.get("schema_version")
        if version != BASELINE_VERSION:
            raise BaselineError(f"{path} has schema version {version}, this version reads {BASELINE_VERSION}. {remedy}")
        content = without_digest(content)
        rows = [{**row, "metric": current_name(row["metric"], row["signature"])} for row in content["rows"]]
        metrics = {row["fingerprint"]: row["metric"] for row in rows}
        scores = _read_scores(folder / _SCORES, content["scores_sha256"], metrics, remedy)
        return [Measured.from_json(row, scores.get(row["fingerprint"], {})) for row in rows]
    except DigestError as error:
        raise BaselineError(f"{path} is no baseline: {error}. {remedy}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BaselineError(f"{path} is no baseline ({type(error).__name__}: {error}). {remedy}") from None


def baseline_commit(folder: Path) -> str | None:
    """Name the commit by whose code a baseline was measured; None where it does not say."""
    commit = json.loads((folder / BASELINE).read_bytes()).get("provenance", {}).get("git")
    return commit if isinstance(commit, str) else None


def baseline_size(folder: Path) -> int:
    """Bytes on disk of a written baseline."""
    return sum((folder / name).stat().st_size for name in (BASELINE, _SCORES))


def _require_numbers(measured: Sequence[Measured]) -> None:
    import numpy as np

    for m in measured:
        for condition, table in m.scores.items():
            values = table.metrics[m.metric or ""]
            if not np.isfinite(values).all():
                under = f" under {condition}" if condition else ""
                raise BaselineError(
                    f"{m.subject.task}, {m.subject.label}, seed {m.seed}: {int((~np.isfinite(values)).sum())} sample "
                    f"scores of {m.metric}{under} are NaN or infinite. Delete record {m.fingerprint} and run it again."
                )


def _write_scores(path: Path, measured: Sequence[Measured]) -> None:
    import pyarrow as arrow
    from pyarrow import parquet

    columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    types = [(name, arrow.float64() if name == "value" else arrow.string()) for name in _COLUMNS]
    for m in measured:
        for condition, table in m.scores.items():
            values = table.metrics[m.metric or ""]
            own = [m.fingerprint] * len(values), [condition] * len(values)
            for name, part in zip(_COLUMNS, (*own, table.sample_ids, table.clusters, values.tolist()), strict=True):
                columns[name] += part
    parquet.write_table(arrow.table(columns, schema=arrow.schema(types)), path, compression="zstd", use_dictionary=True)


def _read_scores(
    path: Path, digest: str, metrics: Mapping[str, str], remedy: str
) -> dict[str, dict[str, SampleScores]]:
    """Contributions by fingerprint and condition."""
    if not path.is_file():
        raise BaselineError(f"{path} is not there, so nothing can be compared sample by sample. {remedy}")
    if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        raise BaselineError(f"{path} is not the file that the baseline was written with. {remedy}")
    try:
        table = read_parquet(path, dictionaries=_COLUMNS[:-1])
        if not table.num_rows:  # of records without sample scores: each change says that it stands on intervals alone
            return {}
        fingerprints, conditions, ids, clusters = (_strings(table[name]) for name in _COLUMNS[:-1])
        values = numbers(table["value"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BaselineError(
            f"{path} holds no sample scores ({named_error(error)}); wanted a Parquet file with columns "
            f"{', '.join(_COLUMNS)}. {remedy}"
        ) from None
    found: dict[str, dict[str, SampleScores]] = {}
    for start, stop in _runs(fingerprints, conditions):
        fingerprint, condition = str(fingerprints[start]), str(conditions[start])
        own = {metrics[fingerprint]: values[start:stop]}
        scores = SampleScores(tuple(ids[start:stop]), tuple(clusters[start:stop]), own)
        found.setdefault(fingerprint, {})[condition] = scores
    return found


def _strings(column: Any) -> Any:
    """[N] Python strings of a dictionary column, each made once."""
    import numpy as np

    whole = column.combine_chunks()
    return np.array(whole.dictionary.to_pylist(), dtype=object)[whole.indices.to_numpy()]


def _runs(fingerprints: Any, conditions: Any) -> list[tuple[int, int]]:
    """First and last but one place of each stretch of equal (fingerprint, condition)."""
    import numpy as np

    if not len(fingerprints):
        return []
    changes = (fingerprints[1:] != fingerprints[:-1]) | (conditions[1:] != conditions[:-1])
    edges = [0, *(np.flatnonzero(changes) + 1).tolist(), len(fingerprints)]
    return list(itertools.pairwise(edges))
