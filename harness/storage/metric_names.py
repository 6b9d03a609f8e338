"""What metrics are called: the parts of a column's name, and names that they had in an earlier version.

Former names are still read from stored records and taken on the command line. A name is another one's former name only
under the signature of the code that computed it, since a third party may call a metric of its own "area".

The table stays for one release after a renaming; then it and its callers can go.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeVar

_Value = TypeVar("_Value")

FORMER: Mapping[str, Mapping[str, str]] = {
    "labels:": {"mean-per-class": "balanced-accuracy", "seen": "S", "unseen": "U", "area": "AUSUC"},
    "segmentation:": {"PQ-things": "PQ-Th", "PQ-stuff": "PQ-St"},
}
"""By the beginning of a signature: what a metric was called, and what it is called now."""


def base_name(name: str) -> str:
    """Take slice, class and reference off the name of a metric's column.

    >>> base_name("top-1[a]"), base_name("AP:cat[b]"), base_name("mCE@alexnet")
    ('top-1', 'AP', 'mCE')
    """
    return name.partition("[")[0].partition(":")[0].partition("@")[0]


def current_name(name: str, signature: str | None) -> str:
    """The name that a stored metric, a slice or a class of it has now.

    >>> current_name("area", "labels:v2|"), current_name("seen[night]", "labels:v2|"), current_name("area", "mine:1")
    ('AUSUC', 'S[night]', 'area')
    """
    return _renamed(name, _former(signature))


def with_current_names(values: Mapping[str, _Value], signature: str | None) -> dict[str, _Value]:
    """Values of a stored record by the names that its metrics have now, in their order."""
    known, all_names = _former(signature), "\n".join(values)
    if not any(former in all_names for former in known):  # most have none: forty names a record, of thousands
        return dict(values)
    return {_renamed(name, known): value for name, value in values.items()}


def _former(signature: str | None) -> Mapping[str, str]:
    return next((names for start, names in FORMER.items() if (signature or "").startswith(start)), {})


def _renamed(name: str, known: Mapping[str, str]) -> str:
    base = base_name(name)
    return known[base] + name[len(base) :] if base in known else name


def asked_name(name: str, known: Collection[str]) -> str:
    """The metric that a user means: one of the known ones, by its former name too; the name itself where it is none.

    >>> asked_name("area", ["H", "AUSUC"]), asked_name("area", ["area"]), asked_name("are", ["AUSUC"])
    ('AUSUC', 'area', 'are')
    """
    if name in known:
        return name
    renamed = {current_name(name, start) for start in FORMER} & set(known)
    return renamed.pop() if renamed else name
