"""What two sides of a comparison are called, and in what they differ: samples, settings, code."""

from __future__ import annotations

from harness.judge.record_settings import code_of_row, differences, settings_of_row, telling_names
from harness.judge.select_records import Chosen


def names_of(a: Chosen, b: Chosen) -> tuple[str, str]:
    """Both names; of equal ones with the settings that differ, else with the folder or the fingerprint."""
    if a.title != b.title:
        return a.title, b.title
    told = telling_names([settings_of_row(a.first), settings_of_row(b.first)])
    if told[0] == told[1]:
        apart = a.store.url != b.store.url
        told = [f"({chosen.store.url if apart else chosen.first.fingerprint[:8]})" for chosen in (a, b)]
    return f"{a.title} {told[0] or '(as it is by itself)'}", f"{b.title} {told[1] or '(as it is by itself)'}"


def unlike_samples(a: Chosen, b: Chosen) -> str:
    """In what the samples of both differ: data digest, split, limit."""
    named = zip(("task", "data digest", "split", "limit"), a.samples_key, b.samples_key, strict=True)
    return ", ".join(f"{what} {str(one)[:16]} and {str(other)[:16]}" for what, one, other in named if one != other)


def told_settings(a: Chosen, b: Chosen) -> list[str]:
    """In what settings and code one model differs from itself, and which other settings of a model are left out."""
    notes = []
    if (a.first.model, a.first.control) == (b.first.model, b.first.control):
        settings = differences(settings_of_row(a.first), settings_of_row(b.first))
        code = differences(code_of_row(a.first), code_of_row(b.first))
        notes.append(f"Settings that differ: {'; '.join(settings)}." if settings else "The settings are the same.")
        notes += [f"Code that differs: {'; '.join(code)}."] if code else []
    for chosen, beside in ((a, b), (b, a)):
        shown = {record.fingerprint[:8] for record in beside.records}
        left = [name for name in chosen.others if not any(f"({each})" in name for each in shown)]
        if left:
            notes.append(f"Other settings of {chosen.name}, not compared here: {'; '.join(left)}.")
    return notes
