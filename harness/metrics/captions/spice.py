"""SPICE (Anderson et al. 2016, arXiv:1607.08822) with the jar that pycocoevalcap ships.

It needs two jars of Stanford CoreNLP 3.6.0 that do not come with the package; see `jars.spice_models_installed`.
pycocoevalcap's own class is not used: constructing it downloads them, and it writes into the installed package.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.metrics.captions.java import PATIENCE_S, JavaFailed, JavaSilent, find_java
from harness.metrics.captions.java_archives import spice_jar
from harness.stats.resampling import MeanStatistics

_HEAP = "-Xmx8G"


def spice_statistics(
    candidates: Sequence[str],
    references: Sequence[Sequence[str]],
    search_path: str | None = None,
    patience_s: float | None = PATIENCE_S,
) -> MeanStatistics:
    """SPICE of tokenised captions: the mean F-score of scene-graph tuples."""
    pairs = zip(candidates, references, strict=True)
    items = [{"image_id": i, "test": test, "refs": list(refs)} for i, (test, refs) in enumerate(pairs)]
    with tempfile.TemporaryDirectory(prefix="fusemark-spice-") as name:
        folder = Path(name)
        (folder / "cache").mkdir()
        (folder / "in.json").write_text(json.dumps(items), encoding="utf-8")
        files = [str(folder / "in.json"), "-cache", str(folder / "cache"), "-out", str(folder / "out.json")]
        command = [str(find_java(search_path)), "-jar", _HEAP, str(spice_jar()), *files, "-subset", "-silent"]
        try:
            done = subprocess.run(
                command, cwd=spice_jar().parent, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
                timeout=patience_s,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise JavaSilent(
                f"SPICE did not end within {patience_s:g} s and was ended. Give it more with --job-timeout, or leave "
                "it out of the metrics."
            ) from None
        if done.returncode != 0:
            reason = done.stderr.decode("utf-8", errors="replace").strip()[-300:]
            raise JavaFailed(f"SPICE ended with status {done.returncode}: {reason}. Leave it out of the metrics.")
        results = json.loads((folder / "out.json").read_text(encoding="utf-8"))
    score = {item["image_id"]: float(item["scores"]["All"]["f"]) for item in results}
    return MeanStatistics(np.array([score[i] for i in range(len(items))], dtype=np.float64), bounds=(0.0, 1.0))
