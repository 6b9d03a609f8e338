"""How the classes of Scenes are worded: in training, and in other words at test time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError, nearest
from harness.protocols import DataContext
from harness.sample import Classes, Dataset

if TYPE_CHECKING:
    from tasks.scenes.factors import Kind


def lexicon_options(context: DataContext) -> dict[str, Any]:
    """Read `lexicon` and `test_lexicon`, which is there only where it differs; raises UsageError for an unknown one."""
    from tasks.scenes.class_texts import CLASS_LEXICONS

    found: dict[str, Any] = {"lexicon": "transparent"}
    for name in ("lexicon", "test_lexicon"):
        given = context.settings.get(name)
        if given is None:
            continue
        if given not in CLASS_LEXICONS:
            raise UsageError(f"--{name.replace('_', '-')} {given}: unknown. {nearest(str(given), CLASS_LEXICONS)}")
        found[name] = given
    if found.get("test_lexicon") == found["lexicon"]:
        del found["test_lexicon"]
    return found


def lexicon_name(data_options: Mapping[str, Any]) -> str:
    """Name a data set by its lexicons: `scenes:transparent`, or `scenes:transparent>synonym` where they differ."""
    tested = data_options.get("test_lexicon")
    return f"scenes:{data_options['lexicon']}" + (f">{tested}" if tested else "")


def worded_kinds(data: Dataset, kinds: Sequence[Kind]) -> Classes:
    """The classes of these kinds, worded by the lexicons and the templates of a data set."""
    from tasks.datasets.prompts import fill, read_templates
    from tasks.scenes.class_texts import class_texts
    from tasks.scenes_data.labels import kind_classes

    templates = read_templates(data.options["templates"])

    def worded(lexicon: str) -> tuple[tuple[str, ...], ...]:
        texts = class_texts(lexicon)
        return tuple(fill(templates, texts[kind.name]) for kind in kinds)

    tested = data.options.get("test_lexicon")
    return kind_classes(kinds, worded(data.options["lexicon"]), worded(tested) if tested else ())
