"""An average hides a reversal: slices in which the fused model is shown to go the other way than on average."""

from __future__ import annotations

from collections.abc import Mapping

from harness.judge.verdict.comparison import contrast_with_control
from harness.judge.verdict.evidence import Evidence, Group
from harness.stats.difference import Difference
from harness.stats.significance import holm

_ALPHA = 0.05


def reversals(evidence: Evidence, head: Group, plain: Group) -> Mapping[str, Difference]:
    """Find the slices whose F - C0 has the other sign than the whole, Holm over all slices; by the slice's name."""
    whole = contrast_with_control(evidence, evidence.metric, [(1.0, head), (-1.0, plain)])
    if isinstance(whole, str):
        return {}
    found = {
        name: contrast_with_control(evidence, name, [(1.0, head), (-1.0, plain)]) for name in _slices(evidence, head)
    }
    known = {name: difference for name, difference in found.items() if not isinstance(difference, str)}
    adjusted = dict(zip(known, holm([difference.p for difference in known.values()]), strict=True))
    return {
        name.partition("[")[2][:-1]: difference
        for name, difference in known.items()
        if adjusted[name] <= _ALPHA and difference.value * whole.value < 0
    }


def _slices(evidence: Evidence, head: Group) -> list[str]:
    record = next(iter(head.by_seed.values()))
    return [name for name in record.metrics if name.startswith(f"{evidence.metric}[") and name.endswith("]")]
