"""Audits are kept in the cache by task and data, so that runs on the same data mention what bears on their scores."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.audit.found import Audit
from harness.files import replace_atomically

_VERSION = 1


def audit_path(cache: Path, task: str, digest: str) -> Path:
    """Where the audit of a data set is kept."""
    return cache / "audits" / f"{task}-{digest[:16]}.json"


def keep_audit(audit: Audit, cache: Path) -> None:
    """Keep an audit, so that runs on this data mention what bears on their scores."""
    with replace_atomically(audit_path(cache, audit.task, audit.digest)) as temporary:
        temporary.write_text(json.dumps(audit_content(audit), indent=1), encoding="utf-8")


def audit_content(audit: Audit) -> dict[str, Any]:
    """Write an audit as JSON-able values."""
    content: dict[str, Any] = json.loads(json.dumps(asdict(audit), default=str, allow_nan=False))
    return {"version": _VERSION} | content


def kept_findings(cache: Path, task: str, digest: str) -> list[str]:
    """Read what a kept audit found that bears on scores; empty where there is none, or one of another version."""
    try:
        content = json.loads(audit_path(cache, task, digest).read_text(encoding="utf-8"))
        return [str(each) for each in content["findings"]] if content["version"] == _VERSION else []
    except (OSError, ValueError, KeyError, TypeError):
        return []
