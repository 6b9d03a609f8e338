"""The card of an exported model: what it is, what it was trained on, how it scored, what it needs; in Markdown."""

from __future__ import annotations

from harness.serve.bundle import Bundle

_SHOWN = 8


def card_text(bundle: Bundle) -> str:
    """Write the card."""
    lines = [
        f"# {bundle.name} for {bundle.task}",
        "",
        f"Exported from the cell `{bundle.record}` (seed {bundle.seed}), trained on {bundle.data} (digest "
        f"`{bundle.data_digest[:16]}`), evaluated on its split {bundle.split}.",
        "",
        "## Scores",
        "",
        "| metric | value | 95 % interval | samples |",
        "|---|---|---|---|",
    ]
    for name, estimate in bundle.metrics.items():
        if estimate is not None and "[" not in name and ":" not in name:
            ends = "–" if estimate["low"] is None else f"{estimate['low']:.3f} to {estimate['high']:.3f}"
            lines.append(f"| {name} | {estimate['value']:.3f} | {ends} | {estimate['count']} |")
    lines += ["", "## Contract", "", f"A request brings: {', '.join(bundle.needs) or 'nothing'}."]
    if bundle.preprocessing is not None:
        seen = bundle.preprocessing
        lines.append(
            f"Images are decoded to RGB, turned upright, fitted by {seen.fit} to {seen.size} x {seen.size} px "
            f"({seen.interpolation}), and normalised by mean {list(seen.mean)} and std {list(seen.std)}."
        )
    names = bundle.spec.classes.names
    if names:
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        lines.append(f"Classes: {', '.join(names[:_SHOWN])}{more}.")
    lines += [
        "",
        f"`golden/` holds {len(bundle.golden)} samples of {bundle.data}, under its licence; a server starts only when "
        "their answers come out as they were. Weights that were not trained are not here: they come from where the "
        "training took them, by name.",
        "",
        "## Packages",
        "",
        "| package | version or digest |",
        "|---|---|",
    ]
    lines += [f"| {name} | {version} |" for name, version in sorted(bundle.packages.items())]
    return "\n".join(lines) + "\n"
