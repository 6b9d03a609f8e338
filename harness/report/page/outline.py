"""The one numbering of the page: sections by task and data, tables and figures through the whole page."""

from __future__ import annotations

from dataclasses import dataclass

from harness.plan.installed_metrics import marked
from harness.report.page.contents import PagePart

_ABSENT = {
    "slices": "scores on slices (the data has none)",
    "controls": "comparison with controls (no model was run with --controls)",
    "robustness": "robustness (nothing was run with --perturb)",
    "calibration": "calibration (no metric of it here)",
    "classes": "scores by class (the task has none)",
    "examples": "examples (bench run --perturb leaves some)",
}


@dataclass(frozen=True)
class Section:
    """A section: its kind, its number such as 1.2.3, the id of its heading, and its title."""

    kind: str
    number: str
    anchor: str
    title: str


@dataclass(frozen=True)
class PartOutline:
    """The sections of one data set of a task that have content, and a line on those that have none."""

    number: str
    anchor: str
    sections: tuple[Section, ...]
    left_out: str


def outline_part(part: PagePart, task: int, place: int, *, has_charts: bool) -> PartOutline:
    """Number the sections of a part that have content; `task` and `place` count from 1."""
    titles = {
        "leaderboard": f"Leaderboard, ranked by {marked(part.board.main)}" if part.leaderboard.rows else None,
        "costs": "Score against cost" if has_charts else None,
        "variants": "Compressed variants" if part.variants else None,
        "services": "Services" if part.services else None,
        "together": "; ".join(table.title for table in part.together) or None,
        "slices": "Scores on slices" if part.slices else None,
        "prompts": "Scores by prompt" if part.prompts else None,
        "trials": "Trials" if part.trials else None,
        "sequences": "Forgetting" if part.sequences else None,
        "controls": "Comparison with matched controls" if part.ladders else None,
        "robustness": "Robustness" if part.sweeps else None,
        "explanations": "Explanations" if part.explanations else None,
        "calibration": "Calibration" if part.calibration else None,
        "classes": "Scores by class" if part.classes else None,
        "examples": "Examples" if part.examples.shown else None,
        "failures": "Failed and skipped" if part.failures else None,
    }
    shown = [(kind, title) for kind, title in titles.items() if title]
    anchor = f"t{task}-{place}"
    sections = tuple(
        Section(kind, f"{task}.{place}.{number}", f"{anchor}-{kind}", title)
        for number, (kind, title) in enumerate(shown, start=1)
    )
    missing = [told for kind, told in _ABSENT.items() if not titles[kind]]
    return PartOutline(f"{task}.{place}", anchor, sections, _left_out(missing, part))


def _left_out(missing: list[str], part: PagePart) -> str:
    if part.examples.left_out and not part.examples.shown:
        missing = [*missing[:-1], f"examples ({part.examples.left_out} would make the page too large)"]
    return f"Left out, having no content: {'; '.join(missing)}." if missing else ""


class Captions:
    """Counts tables and figures in the order in which the page shows them."""

    def __init__(self) -> None:
        self.tables = self.figures = 0

    def table(self) -> str:
        """Name the next table."""
        self.tables += 1
        return f"Table {self.tables}"

    def figure(self) -> str:
        """Name the next figure."""
        self.figures += 1
        return f"Figure {self.figures}"
