"""A reference table of robustness scores, and the measurement that it is valid for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from harness.record import RobustnessRecord


@dataclass(frozen=True)
class ReferenceScope:
    """What must be equal for two models' errors to be divided; None where it does not matter."""

    task: str
    metric: str
    data_digest: str | None = None
    split: str | None = None
    signature: str | None = None
    limit: int | None = None
    shortest_px: int | None = None
    chance: float | None = None


@dataclass(frozen=True)
class ReferenceTable:
    """Errors 1 - score by corruption, the mean over severities 1 to 5, 0..1; and the clean error."""

    name: str
    errors: Mapping[str, float]
    clean_error: float | None
    source: str
    scope: ReferenceScope | None = None
    values: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Scores at severities 1 to 5, where they are known one by one."""

    def misfit(self, record: RobustnessRecord) -> str | None:
        """Say why a record cannot be compared with this table; None where it can."""
        if self.scope is None:
            return None
        for name, wanted in asdict(self.scope).items():
            seen = getattr(record, name)
            loose = wanted is None and name != "limit"
            equal = abs(seen - wanted) < 1e-6 if name == "chance" and wanted is not None else seen == wanted
            if not (loose or equal or (name == "limit" and self.scope.data_digest is None)):
                return f"the reference {self.name} was made with {name} {wanted}, this record with {seen}"
        return None
