"""Names of models with modifiers behind them: `film+int8`, `film+prune:0.5+int8`, `hf:NAME+int8`.

A modifier is a plugin of the group `bench.modifiers`. What stands behind its name after a colon is its argument.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.entry_points import as_plugin_error, entries_of, entry_of, import_entry
from harness.errors import PluginError, UsageError, nearest
from harness.protocols.compression import Compression

GROUP = "bench.modifiers"


@dataclass(frozen=True)
class Modifier:
    """A modifier as it was asked for: what it is, and the argument behind its colon, "" for none."""

    plugin: Any
    argument: str

    @property
    def word(self) -> str:
        """As it stands in the name of a model."""
        return f"{self.plugin.name}:{self.argument}" if self.argument else str(self.plugin.name)


def split_modifiers(name: str) -> tuple[str, tuple[str, ...]]:
    """Take the modifiers off a model's name, in their order; nothing is looked up but which modifiers there are.

    Of a name with a prefix, which may hold a plus of its own, only known modifiers are taken off.

    >>> split_modifiers("film+prune:0.5+int8"), split_modifiers("hf:org/a+b"), split_modifiers("film")
    (('film', ('prune:0.5', 'int8')), ('hf:org/a+b', ()), ('film', ()))
    """
    if "+" not in name or name in entries_of("bench.models"):
        return name, ()
    base, *words = name.split("+")
    if ":" not in base:
        return base, tuple(words)
    known, taken = entries_of(GROUP), len(words)
    while taken and words[taken - 1].partition(":")[0] in known:
        taken -= 1
    return "+".join([base, *words[:taken]]), tuple(words[taken:])


def load_modifier(word: str) -> Modifier:
    """Load a modifier by the word in a model's name; raises UsageError for an unknown one or a wrong argument."""
    name, _, argument = word.partition(":")
    entries = entries_of(GROUP)
    if name not in entries:
        raise UsageError(f"Unknown modifier '+{word}'. {nearest(name, entries)} See 'bench list modifiers'.")
    entry = entry_of(entries, name)
    plugin = import_entry(entry, "modifier")
    with as_plugin_error(f"The modifier plugin '{name}' ({entry.value}) failed while it was looked at"):
        if plugin.name != name:
            raise PluginError(f"The modifier plugin '{name}' ({entry.value}) calls itself '{plugin.name}'.")
        plugin.check(argument)
    return Modifier(plugin, argument)


def compressions_of(name: str) -> tuple[str, tuple[Modifier, ...]]:
    """Split a model's name into the model that is trained and what is done to it once it is.

    Raises UsageError for an unknown modifier, and for one of training behind a compression.
    """
    base, words = split_modifiers(name)
    modifiers = [load_modifier(word) for word in words]
    count = next((place for place, each in enumerate(modifiers) if _compresses(each)), len(modifiers))
    for late in modifiers[count:]:
        if not _compresses(late):
            raise UsageError(f"'{name}': '+{late.word}' changes the training and must stand before '+{words[count]}'.")
    return "+".join([base, *words[:count]]), tuple(modifiers[count:])


def trained_name(name: str) -> str:
    """Name the model that is trained where a variant of it may be named; of others the name itself.

    >>> trained_name("film"), trained_name("film+int8")
    ('film', 'film')
    """
    return split_modifiers(compressions_of(name)[0])[0] if "+" in name else name


def installed_modifiers() -> Mapping[str, Any]:
    """Load every modifier that works, by name."""
    return {name: load_modifier_plugin(name) for name in sorted(entries_of(GROUP))}


def load_modifier_plugin(name: str) -> Any:
    """Import a modifier by its name alone."""
    return import_entry(entry_of(entries_of(GROUP), name), "modifier")


def _compresses(modifier: Modifier) -> bool:
    return isinstance(modifier.plugin, Compression)
