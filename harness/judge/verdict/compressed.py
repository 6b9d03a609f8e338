"""The compressed variants of a model among the records: `film+int8` of `film`."""

from __future__ import annotations

from harness.judge.verdict.evidence import Evidence, Group


def compressed_names(evidence: Evidence, head: Group) -> list[str]:
    """Name the variants that a fused model has, as `int8`."""
    start = f"{head.model}+"
    names = {group.model for group in evidence.groups if group.control is None and group.model.startswith(start)}
    return sorted(name.removeprefix(start) for name in names)


def compressed_group(evidence: Evidence, of: Group, variant: str) -> Group | str:
    """Find the variant of the fused model, or of vision alone, with the same settings; or say why there is none."""
    wanted = (f"{of.model}+{variant}", of.control)
    found = [group for group in evidence.groups if (group.model, group.control) == wanted]
    return evidence.matched(of, found, f"{wanted[0]}{f' [{of.control}]' if of.control else ''}")
