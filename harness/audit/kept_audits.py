"""Audits are kept in the cache by task and data, so that runs on the same data mention what bears on their scores."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.audit.found import Audit
from harness.files import replace_atomically
from harness.storage.content import file_digest

_VERSION = 1
_BY_OTHER_CODE = "what was found on this data was found by other code: run `bench data audit` on it again"


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
    return {"version": _VERSION, "code": _own_code()} | content


def kept_findings(cache: Path, task: str, digest: str) -> list[str]:
    """Read what a kept audit found that bears on scores; empty where there is none.

    Of one that other code made it is only said that there is one.
    """
    try:
        content = json.loads(audit_path(cache, task, digest).read_text(encoding="utf-8"))
        findings = [str(each) for each in content["findings"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return findings if content.get("code") == _own_code() else [_BY_OTHER_CODE]


def _own_code() -> str:
    """Digest the files that find things out of data, so that a kept audit does not outlive a change of them."""
    digests = (file_digest(path) for path in sorted(Path(__file__).parent.glob("*.py")))
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()[:16]
