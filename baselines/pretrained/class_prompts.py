"""The texts that a model reads for a task's classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.errors import UsageError
from harness.sample import Classes


@dataclass(frozen=True)
class ClassPrompts:
    """Texts, and for each the index of the class that it describes; a class may have several."""

    texts: tuple[str, ...]
    class_of_text: tuple[int, ...]


def reworded(classes: Classes, texts: Sequence[Sequence[str]]) -> Classes:
    """Give classes other texts."""
    return replace(classes, texts=tuple(tuple(group) for group in texts))


def class_prompts(classes: Classes) -> ClassPrompts:
    """Take the task's own texts, or the names where it has none; raises UsageError for a task without classes."""
    texts = classes.texts or tuple((name,) for name in classes.names)
    pairs = [(text, number) for number, several in enumerate(texts) for text in several]
    if not pairs:
        raise UsageError("The task has no classes to be looked for. Take data with class names.")
    return ClassPrompts(tuple(text for text, _ in pairs), tuple(number for _, number in pairs))
