"""How long something takes, in words that a table has room for."""

from __future__ import annotations


def duration_text(seconds: float) -> str:
    """Say a time in its two largest units, or seconds below two minutes.

    >>> duration_text(40.4), duration_text(1500), duration_text(7800)
    ('40 s', '25 min', '2 h 10 min')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
