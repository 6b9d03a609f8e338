"""Reads files of prompts: which prompts there are for a kind of answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from baselines.prompts.prompt import LETTERS, TEXTS, Prompt, slots_of
from harness.answers import form_of
from harness.errors import UsageError, nearest

BUILTIN_FILE = Path(__file__).with_name("builtin.toml")
"""The tool's own file, `--prompts builtin`; other packages offer theirs by name too (`bench.prompts`)."""
_SLOTS = {
    "captions": ("text",),
    "labels": ("options", "text"),
    "answers": ("question", "options", "text"),
    "choices": ("options", "text"),
}
"""The slots that a prompt for each form of answer may have."""
_NEEDED = {"answers": "question"}


def read_prompts(wish: str, kind: str) -> tuple[Prompt, ...]:
    """Read the prompts for a kind of answer, one at least, of a file or by the name of an installed one.

    Without a wish it is the first of the tool's own. Those of a form serve kinds that have none of their own: `labels`
    serves `labels:unseen`. Raises UsageError that names file and place for whatever is wrong anywhere in the file, and
    for a kind that it has no prompt for.
    """
    from harness.plan.installed_prompts import prompt_files

    path = prompt_files().get(wish) or Path(wish).expanduser() if wish else BUILTIN_FILE
    known = _read(path, path.stat().st_mtime_ns if path.is_file() else 0)
    found = known.get(kind) or known.get(form_of(kind))
    if not found:
        raise UsageError(
            f"{path} has no prompt for {kind} (it has: {', '.join(known) or 'none'}). Add a [[{form_of(kind)}]]; "
            "`bench list prompts --format toml` prints the tool's own."
        )
    return found if wish else found[:1]


def choose_prompt(prompts: Sequence[Prompt], name: str) -> Prompt:
    """Take the prompt of a name, the first one for ""; raises UsageError with the nearest name."""
    for prompt in prompts:
        if name in ("", prompt.name):
            return prompt
    raise UsageError(f"There is no prompt '{name}'. {nearest(name, [prompt.name for prompt in prompts])}")


@lru_cache(maxsize=16)
def _read(path: Path, changed: int) -> Mapping[str, tuple[Prompt, ...]]:
    """Read a file as it was last `changed` (ns)."""
    from harness.plan.config import read_toml  # with a reader of TOML, which `bench list` need not wait for

    content = read_toml(path)
    known: dict[str, tuple[Prompt, ...]] = {}
    for kind, entries in content.items():
        if form_of(kind) not in _SLOTS:
            raise UsageError(f"{path}: '{kind}' is no kind of answer. {nearest(kind, _SLOTS)}")
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise UsageError(
                f"{path}: '{kind}' = {entries!r:.60}; wanted tables [[{kind}]] with a name and a user text."
            )
        prompts = tuple(_prompt(entry, kind, f"{path}: [[{kind}]] {n}") for n, entry in enumerate(entries, 1))
        names = [prompt.name for prompt in prompts]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise UsageError(f"{path}: two prompts of {kind} are called '{twice}'. Give each a name of its own.")
        known[kind] = prompts
    return known


def _prompt(entry: Mapping[str, Any], kind: str, place: str) -> Prompt:
    known = {item.name: item for item in fields(Prompt)}
    for key, value in entry.items():
        if key not in known:
            raise UsageError(f"{place}: unknown key '{key}'. {nearest(key, known)}")
        wanted = bool if known[key].default is False else str
        if type(value) is not wanted:
            raise UsageError(f"{place}: {key} = {value!r:.60}; wanted {'true or false' if wanted is bool else 'text'}.")
    for key in ("name", "user"):
        if not entry.get(key, "").strip():
            raise UsageError(f"{place}: it has no {key}. Wanted a name and a user text.")
    prompt = Prompt(**entry)
    if prompt.options not in (TEXTS, LETTERS):
        raise UsageError(f"{place}: options = '{prompt.options}'. {nearest(prompt.options, (TEXTS, LETTERS))}")
    for name in ("system", "user", "without_options"):
        _check_slots(getattr(prompt, name), form_of(kind), f"{place} ({prompt.name}): {name}")
    needed = _NEEDED.get(form_of(kind))
    for name in ("user", "without_options"):
        if needed and getattr(prompt, name) and needed not in slots_of(getattr(prompt, name)):
            raise UsageError(f"{place} ({prompt.name}): {name} has no {{{needed}}}, so nothing would be asked.")
    if prompt.options == LETTERS and "options" not in slots_of(prompt.user):
        raise UsageError(f"{place} ({prompt.name}): the answers are letters, but user has no {{options}} to show them.")
    return prompt


def _check_slots(template: str, form: str, place: str) -> None:
    try:
        found = slots_of(template)
    except ValueError as error:
        raise UsageError(f"{place}: {error}. Wanted slots such as {{text}}; write a brace as {{{{ or }}}}.") from None
    for slot in sorted(found - set(_SLOTS[form])):
        raise UsageError(f"{place} has the slot {{{slot}}}. {nearest(slot, _SLOTS[form])}")
