"""Names as options give them: a,b or all."""

from __future__ import annotations

from harness.errors import UsageError


def words(text: str | None) -> list[str]:
    """Split a,b into words; none of nothing.

    >>> words(" a, b,"), words(None)
    (['a', 'b'], [])
    """
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def chosen_tasks(wish: str) -> list[str]:
    """Split a,b or all into names of tasks; raises UsageError for none."""
    from harness.plan.plugins import task_names as installed

    names = installed() if wish == "all" else words(wish)
    if not names:
        raise UsageError("--task is empty. Name tasks with commas between, or take 'all'.")
    return names
