"""A comparison as a text for the terminal, as Markdown, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

from harness.judge.compare.comparison import Comparison
from harness.judge.compare.slices import LEAST_IN_A_SLICE, SliceDifference
from harness.metrics.directions import DOWN, is_better_low, marked
from harness.record import RunRecord
from harness.report.table_text import aligned, markdown
from harness.stats.paired_difference import WELCH, Difference
from harness.text.outside_text import markdown_text, one_line

MINUS = "−"
_SHOWN_SLICES = 25
LEAST_SEEDS = 5
"""Below this no claim about seeds is decided."""


def render(found: Sequence[Comparison], style: str) -> str:
    """Render one comparison or several, as text, md or json."""
    if style == "json":
        content = {"comparisons": [comparison.to_json() for comparison in found]}
        return json.dumps(content, indent=1, allow_nan=False)
    return "\n\n".join(_whole(comparison, style) for comparison in found)


def title_of(found: Comparison) -> str:
    """Say what is compared with what."""
    names = " − ".join(found.names)
    return names if found.other_samples is None else f"UNPAIRED, OTHER SAMPLES ({found.other_samples}): {names}"


def subtitle_of(found: Comparison) -> str:
    """Say on what: task, data, split, samples, seeds, and from what was stored."""
    first = found.a.first
    parts = [f"{first.task} on {first.data} ({first.data_digest[:12]}), split {first.split}"]
    if found.samples is not None:
        parts.append(f"{found.samples} samples")
    if found.seeds:
        parts.append(f"{len(found.seeds)} {'seed' if len(found.seeds) == 1 else 'seeds'}")
    if found.metrics:
        parts.append(f"{'paired' if found.paired else 'UNPAIRED'}, from {found.basis}")
    return ", ".join(parts)


def verdict_of(found: Comparison) -> str:
    """Put the main difference into a sentence."""
    main = found.main
    if main is None:
        return "Nothing can be compared."
    change = main.smallest_detectable_change
    limit = "" if change is None else f"; a true difference of {change:.3f} would be found in 4 of 5 such experiments"
    if not main.told_apart:
        return f"The data do not tell them apart by {main.metric} ({interval_of(main)}){limit}."
    higher, lower = found.names if main.difference > 0 else found.names[::-1]
    return f"{main.metric} of {higher} is higher than that of {lower}: {interval_of(main)}{limit}."


def metric_table(found: Comparison) -> list[list[str]]:
    """A row a metric."""
    several = any(d.seed_sd is not None for d in found.metrics)
    heading = ["metric", "A", "B", "A − B [95 %]", "p", "detectable", "SE samples"]
    table = [[*heading, *(["SE seeds", "p seeds"] if several else [])]]
    for d in found.metrics:
        row = [marked(d.metric), f"{d.a:.3f}", f"{d.b:.3f}", interval_of(d), p_text(d.p)]
        row += [_number(d.smallest_detectable_change), _number(d.sampling_sd, 4)]
        table.append([*row, *([_number(d.seed_sd, 4), p_text(d.seed_p)] if several else [])])
    return table


def slice_table(rows: Sequence[SliceDifference]) -> list[list[str]]:
    """A row a slice."""
    table = [["slice", "metric", "samples", "A", "B", "A − B [95 %]", "detectable", "p", "p adjusted"]]
    for row in rows:
        d = row.difference
        base = d.metric.partition("[")[0].partition(":")[0]
        numbers = [str(d.count), f"{d.a:.3f}", f"{d.b:.3f}", interval_of(d), _number(d.smallest_detectable_change)]
        table.append([f"{row.kind}: {row.name}", marked(base), *numbers, p_text(d.p), p_text(row.adjusted)])
    return table


def ranked_slices(rows: Sequence[SliceDifference]) -> list[SliceDifference]:
    """Slices with the surest differences first, without those in which no sample differs."""
    differing = [row for row in rows if not row.difference.alike]
    return sorted(
        differing, key=lambda row: (row.adjusted if row.adjusted is not None else 2.0, row.difference.p or 0.0)
    )


def flip_counts(found: Comparison) -> str | None:
    """Say how many samples only one of them has right, where answers are right or wrong."""
    flips = found.main.flips if found.main else None
    if flips is None:
        return None
    test = f"McNemar's exact p {p_text(flips.p)}" if flips.p is not None else "no McNemar test: samples share images"
    a, b = found.names
    return f"{flips.only_a} samples only {a} has right, {flips.only_b} only {b}; {test}."


def notes_of(found: Comparison) -> list[str]:
    """Everything that must be known to read the numbers."""
    by_method: dict[str, list[str]] = {}
    for d in found.metrics:
        by_method.setdefault(d.p_method, []).append(d.metric)
    methods = list(by_method)
    notes = list(found.notes)
    if any(is_better_low(d.metric) for d in found.metrics):
        notes.append(f"{DOWN}: less is better.")
    if found.metrics:
        kind = "two intervals put together" if methods == [WELCH] else "paired bootstrap, Newcombe's for proportions"
        of = [f"{method} ({', '.join(names)})" if len(methods) > 1 else method for method, names in by_method.items()]
        notes.append(
            f"95 % intervals: {kind}{', seeds included' if len(found.seeds) > 1 else ''}; p: {'; '.join(of)}; "
            "detectable: what a true difference must be to be found at 80 % power."
        )
    if found.slices:
        alike = sum(row.difference.alike for row in found.slices)
        told = f" ({alike} in which no sample differs are not shown)" if alike else ""
        notes.append(
            f"p adjusted over {len(found.slices)} slices{told}, Benjamini & Hochberg; those of fewer than "
            f"{LEAST_IN_A_SLICE} samples are left out."
        )
    if 1 < len(found.seeds) < LEAST_SEEDS:
        notes.append(
            f"{len(found.seeds)} seeds: their variance is hardly known, so intervals are wide; take {LEAST_SEEDS}."
        )
    if len(found.seeds) > 1:
        notes.append(
            "SE samples and SE seeds: standard errors from the test set and from training; both are in [95 %]."
        )
    elif found.paired and not all(_untrained(chosen.first) for chosen in (found.a, found.b)):
        notes.append("One seed: how much another training would move these numbers is not known.")
    return notes


def _untrained(record: RunRecord) -> bool:
    """Tell whether there was nothing to train on: another seed then is the same model."""
    data = record.cell.get("training", {}).get("data", {})
    return "training_split" in data and data["training_split"] is None


def interval_of(d: Difference) -> str:
    """A difference with its interval, or why it has none."""
    if d.interval is None:
        return f"{_signed(d.difference)} ({d.note or 'no interval'})"
    return f"{_signed(d.difference)} [{_signed(d.interval[0])}, {_signed(d.interval[1])}]"


def p_text(p: float | None) -> str:
    """A p, or a dash."""
    return "–" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def _whole(found: Comparison, style: str) -> str:
    draw, bullet, plain = (markdown, "- ", markdown_text) if style == "md" else (aligned, "", one_line)
    title = f"**{plain(title_of(found))}**" if style == "md" else plain(title_of(found))
    parts = [f"{title}  {plain(subtitle_of(found))}", plain(verdict_of(found))]
    if found.metrics:
        parts.append(draw(metric_table(found)))
    if (counts := flip_counts(found)) is not None:
        parts.append(plain(counts))
    if found.refused:
        reasons: dict[str, list[str]] = {}
        for name, reason in found.refused.items():
            reasons.setdefault(reason, []).append(name)
        refused = (f"Not compared: {', '.join(names)}: {why}." for why, names in reasons.items())
        parts.append("\n".join(f"{bullet}{plain(line)}" for line in refused))
    if rows := ranked_slices(found.slices):
        parts.append(draw(slice_table(rows[:_SHOWN_SLICES])))
        if len(rows) > _SHOWN_SLICES:
            parts.append(f"{len(rows) - _SHOWN_SLICES} more slices: --format json, or --out FILE.html")
    if found.flips:
        parts.append(draw(flip_table(found)))
    if notes := notes_of(found):
        parts.append("\n".join(f"{bullet}{plain(note)}" for note in notes))
    return "\n\n".join(parts)


def flip_table(found: Comparison) -> list[list[str]]:
    """A row a sample whose score changed most."""
    table = [["sample", "A", "B", *(f"{name} says" for name in found.names), "reference"]]
    for f in found.flips:
        scores = [f"{f.score_a:.3g}", f"{f.score_b:.3g}"]
        table.append([f.sample_id, *scores, *(_short(text) for text in (f.said_a, f.said_b, f.truth))])
    return table


def _short(text: str, most: int = 40) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", MINUS)
