"""A prompt with named slots, and what becomes of it for one sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from string import Formatter, ascii_uppercase
from typing import Any

from harness.errors import UsageError
from harness.text.said_option import parse_option

TEXTS, LETTERS = "texts", "letters"


@dataclass(frozen=True)
class Prompt:
    """What is asked, with the slots {question}, {options} and {text}; braces themselves are doubled.

    `without_options` takes the place of `user` where there are no options. `options` says how they are listed and
    answered: `texts` with commas between, or `letters`, one a line; `reversed` lists them from the last to the first.
    """

    name: str
    user: str
    system: str = ""
    without_options: str = ""
    options: str = TEXTS
    reversed: bool = False

    def to_json(self) -> dict[str, Any]:
        """What is not as it is by default, for a recipe."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {item.name: values[item.name] for item in fields(self) if values[item.name] != item.default}


@dataclass(frozen=True)
class RenderedPrompt:
    """What is asked of one sample, and how each of its options would be said, in the options' own order."""

    system: str
    user: str
    answers: tuple[str, ...] = ()


def render(prompt: Prompt, *, question: str = "", options: Sequence[str] = (), text: str = "") -> RenderedPrompt:
    """Fill a prompt's slots; a line with a slot that has nothing to hold is left out. Raises UsageError.

    >>> render(Prompt("p", "{text}\\nWhich? {options}", options="letters"), options=("cat", "dog"))
    RenderedPrompt(system='', user='Which? (A) cat\\n(B) dog', answers=('A', 'B'))
    """
    shown = list(enumerate(options))[:: -1 if prompt.reversed else 1]
    lettered = prompt.options == LETTERS
    if lettered and len(shown) > len(ascii_uppercase):
        raise UsageError(
            f"The prompt '{prompt.name}' gives options letters, and there are {len(shown)} of them; wanted at most "
            f'{len(ascii_uppercase)}. Take a prompt with options = "{TEXTS}".'
        )
    letters = {place: letter for (place, _), letter in zip(shown, ascii_uppercase, strict=False)}
    listed = "\n".join(f"({letters[place]}) {option}" for place, option in shown) if lettered else ", ".join(
        option for _, option in shown
    )  # fmt: skip
    values = {"question": question.strip(), "options": listed, "text": text.strip()}
    user = prompt.user if options or not prompt.without_options else prompt.without_options
    answers = tuple(letters[place] for place in range(len(options))) if lettered else tuple(options)
    return RenderedPrompt(_filled(prompt.system, values), _filled(user, values), answers)


def said_in_own_order(prompt: Prompt, said: str, options: Sequence[str]) -> str:
    """Put an option's text in the place of its letter where the prompt lists options from the last to the first.

    Whoever reads the answer later knows the options' own order, in which the letter is another's.

    >>> said_in_own_order(Prompt("p", "{options}", options="letters", reversed=True), "(A).", ("cat", "dog"))
    'dog'
    """
    if not (options and prompt.reversed and prompt.options == LETTERS):
        return said
    shown = tuple(reversed(options))
    place = parse_option(said, shown)
    return said if place is None else shown[place]


def slots_of(template: str) -> set[str]:
    """Name the slots of a template; raises ValueError for braces that are none."""
    found = set()
    for _, name, form, conversion in Formatter().parse(template):
        if name is not None:
            if form or conversion or not name.isidentifier():
                raise ValueError(f"{{{name}{':' if form else ''}{form}}} is no slot")
            found.add(name)
    return found


def _filled(template: str, values: dict[str, str]) -> str:
    """Fill the lines of a template; what stands in a slot is never read as a template itself."""
    lines = (line.format_map(values) for line in template.splitlines() if all(values[s] for s in slots_of(line)))
    return "\n".join(lines).strip()
