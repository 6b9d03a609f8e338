"""Colours of the page, light and dark, as CSS variables; contrasts after WCAG 2.2."""

from __future__ import annotations

from collections.abc import Mapping

LIGHT: Mapping[str, str] = {
    "page": "#f6f7f9", "panel": "#ffffff", "sunken": "#eef1f5", "ink": "#16191d", "muted": "#545c66",
    "line": "#d5dae1", "strong": "#868f9a", "accent": "#0a5ca8", "on-accent": "#ffffff", "warn-back": "#fdf3d7",
    "warn-ink": "#5e4300", "faint": "#b4bcc6", "series-1": "#0a5ca8", "series-2": "#b5430a", "series-3": "#0b7355",
    "series-4": "#97317a", "series-5": "#6f5a00", "series-6": "#4b4e9e",
}  # fmt: skip
DARK: Mapping[str, str] = {
    "page": "#101316", "panel": "#181c20", "sunken": "#22272d", "ink": "#e8ebee", "muted": "#a3adb8",
    "line": "#343b43", "strong": "#7b8691", "accent": "#7fbaf5", "on-accent": "#0b1a29", "warn-back": "#382d10",
    "warn-ink": "#f2d98c", "faint": "#525c67", "series-1": "#7fbaf5", "series-2": "#ff9a62", "series-3": "#4ecfa4",
    "series-4": "#ec93cf", "series-5": "#dcc04f", "series-6": "#aeb1ff",
}  # fmt: skip
STEPS = 11
"""Of the heat maps, 0 for nothing to 10 for all."""
_HEAT = {"light": ("#eef4fb", "#0b4a86"), "dark": ("#1e262f", "#9bd0ff")}


def contrast_ratio(a: str, b: str) -> float:
    """Contrast ratio of two colours, 1 to 21 (WCAG 2.2, 1.4.3).

    >>> round(contrast_ratio("#000000", "#ffffff"), 1)
    21.0
    """
    brighter, darker = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in _rgb(colour))]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[place : place + 2], 16) for place in (1, 3, 5))


def heat_colours(theme: str) -> list[tuple[str, str]]:
    """Give each step of a heat map its background and the text colour, black or white, that reads best on it."""
    low, high = (_rgb(colour) for colour in _HEAT[theme])
    steps = []
    for step in range(STEPS):
        share = step / (STEPS - 1)
        mixed = [round(a + (b - a) * share) for a, b in zip(low, high, strict=True)]
        back = "#" + "".join(f"{value:02x}" for value in mixed)
        steps.append((back, max(("#000000", "#ffffff"), key=lambda ink: contrast_ratio(ink, back))))
    return steps


def palette_css() -> str:
    """Write the variables for both themes: by the system's wish, and by the page's own switch."""
    light, dark = _variables("light"), _variables("dark")
    return (
        f":root{{color-scheme:light;{light}}}\n"
        f"@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}\n"
        f"@media screen{{:root[data-theme=dark]{{color-scheme:dark;{dark}}}}}\n" + _heat_rules()
    )


def _variables(theme: str) -> str:
    named = LIGHT if theme == "light" else DARK
    heat: dict[str, str] = {}
    for step, (back, ink) in enumerate(heat_colours(theme)):
        heat |= {f"heat-{step}": back, f"heat-ink-{step}": ink}
    return "".join(f"--{name}:{colour};" for name, colour in {**named, **heat}.items())


def _heat_rules() -> str:
    """Colour a cell by its class for the mode that is chosen: absolute, relative or above chance."""
    rules = []
    for step in range(STEPS):
        chosen = ",".join(f"[data-mode={mode}] .{mode}{step}" for mode in ("a", "r", "c"))
        rules.append(f"{chosen}{{background:var(--heat-{step});color:var(--heat-ink-{step})}}")
    return "\n".join(rules)
