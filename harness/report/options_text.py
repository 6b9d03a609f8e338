"""Writes the page of all options of a run, docs/options.md, from the fields that declare them."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator

from harness.option_fields import MOST, Declared, declared
from harness.plan.config import SECTIONS
from harness.plan.run_request import PANELS, RunRequest

_HEAD = """# Options of a run

Made by `bench list options --format md` from the fields that declare them. An option of the first table is a flag of
`bench run`, a key at the top of the TOML file of `--config`, and a keyword of `harness.api.run`: `--on-bad-sample skip`
is `on_bad_sample = "skip"`. One of the later tables is a key of its section in that file or in a profile
(`runs/*.toml`, or a file of your own for `--profile`), and `--set SECTION.KEY=VALUE`. The last one given wins: profile,
file, flag, `--set`. A section `[for.TASK.SECTION]` counts for one task only.
"""
_FREE = """
## [model], [task], [vision_args]

The keys of these belong to the model, to the task (`bench list tasks`) and to timm, which refuse what they do not know.
"""


def render_options() -> str:
    """Write the page as Markdown."""
    lines = [_HEAD, "| flag | takes | default | what it is |", "|---|---|---|---|"]
    flags = [item for item in declared(RunRequest) if item.option is not None and not item.option.hidden]
    for panel in PANELS:
        shown = [item for item in flags if item.option is not None and item.option.panel == panel]
        lines += [f"| **{panel}** | | | |", *(_flag_row(item) for item in shown)]
    for name, kind in SECTIONS.items():
        words = field_docs(kind)
        lines += ["", f"## [{name}]", "", (inspect.getdoc(kind) or "").split("\n\n")[0], ""]
        lines += ["| key | takes | default | what it is |", "|---|---|---|---|"]
        lines += [_row(item.name, item, str(item.default), words[item.name]) for item in declared(kind)]
    return "\n".join(lines) + "\n" + _FREE.rstrip()


def field_docs(kind: type) -> dict[str, str]:
    """Read the string under each field of a dataclass, which documents it.

    >>> field_docs(SECTIONS["decode"])["beams"]
    'Beams of beam search; 1: greedy.'
    """
    return dict(_documented(kind))


def _documented(kind: type) -> Iterator[tuple[str, str]]:
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(body, ast.ClassDef)
    for field, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(after, ast.Expr):
            text = ast.literal_eval(after.value)
            yield field.target.id, " ".join(text.split())


def _flag_row(item: Declared) -> str:
    assert item.option is not None
    same = f" Sets `{item.option.sets}`." if item.option.sets else ""
    return _row(item.flag, item, item.shown_default, item.option.help + same)


def _row(name: str, item: Declared, default: str, words: str) -> str:
    takes = ", ".join(f"`{choice}`" for choice in item.choices) or _number(item)
    return f"| `{name}` | {takes} | {'' if default == 'None' else default} | {words.replace('|', '/')} |"


def _number(item: Declared) -> str:
    """Say which values a field takes: whole numbers from the smallest to the largest, unless that is absurdly large."""
    if item.range is None:
        alone = "nothing or " if item.option is not None and item.option.alone else ""
        return "true or false" if item.kind is bool else f"{alone}text"
    if item.is_time:
        return f"a time, {item.range}: `90` or `90s`, `30m`, `2h`, `1d`"
    if item.kind is float:
        return f"a number, {item.range}"
    least = item.range.ge if item.range.gt is None else item.range.gt + 1
    return f"a whole number from {least}" + ("" if item.range.le in (None, MOST) else f" to {item.range.le:,}")
