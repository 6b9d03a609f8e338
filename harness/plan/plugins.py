"""Finds tasks and models by entry point and checks that they fit their protocols when they load.

Built-in plugins are found exactly as a third party's are: groups `bench.tasks`, `bench.models`, and
`bench.model_families` for names with a prefix such as `hf:NAME`, `bench.perturbations`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib.metadata import EntryPoint
from typing import Any, TypeVar

from harness.answers import ATTRIBUTES
from harness.entry_points import Entries, as_plugin_error, entries_of, entry_of, import_entry, owner_of
from harness.errors import PluginError, UsageError, nearest
from harness.perturb.attack.request import Attack
from harness.perturb.perturbation import (
    IMAGE,
    TEXT,
    Exchange,
    GeometricPerturbation,
    ImagePerturbation,
    Perturbation,
    TextPerturbation,
)
from harness.plan.modifiers import trained_name
from harness.protocols import ListsModels, Model, NamesTasks, Task, serves

Plugin = TypeVar("Plugin", Task, Model)
INTERNAL_TASKS = frozenset({"scene-attributes"})
"""Tasks that only train prerequisites; they are not listed and cannot be run by name."""
_WANTED_ANSWERS = (
    'a model says which kinds of answer it gives, such as answers = ("captions",); see harness.answers',
    'a task says which kind of answer it wants, such as answers = "captions"; see harness.answers',
)


def load_task(name: str) -> Task:
    """Load a task by name; raises UsageError for an unknown one, PluginError for a broken one."""
    return _load(entries_of("bench.tasks"), name, Task, "task")  # type: ignore[type-abstract]


def load_model(name: str) -> Model:
    """Load a model by name, or by `FAMILY:NAME`; raises UsageError or PluginError.

    Of a compressed variant, such as `film+int8`, this is the model that it is made of.
    """
    name = trained_name(name)
    family, colon, _ = name.partition(":")
    if colon:
        with as_plugin_error(f"The model family '{family}:' failed on '{name}'"):
            return _load_family(family)(name)
    return _load(entries_of("bench.models"), name, Model, "model")  # type: ignore[type-abstract]


def load_all(kind: str) -> tuple[list[Any], list[PluginError]]:
    """Load every installed plugin of a kind (tasks or models), and what went wrong with the others."""
    protocol: Any = Task if kind == "tasks" else Model
    loaded, broken = [], []
    entries = entries_of(f"bench.{kind}")
    for name in entries:
        try:
            loaded.append(_load(entries, name, protocol, kind[:-1]))
        except PluginError as error:
            error.plugin = name
            broken.append(error)
    for name in _family_members() if kind == "models" else ():
        try:
            loaded.append(load_model(name))
        except PluginError as error:
            error.plugin = name
            broken.append(error)
    return loaded, broken


def _family_members() -> list[str]:
    """Name the models that families list; one that cannot be imported lists none, and says so where it is named."""
    found: list[str] = []
    for family in entries_of("bench.model_families"):
        with suppress(PluginError):
            parse = _load_family(family)
            found += parse.names() if isinstance(parse, ListsModels) else ()
    return found


def is_internal(model: Model) -> bool:
    """Tell whether a model is nothing but a prerequisite of others: it is not listed and serves no task of its own."""
    return tuple(getattr(model, "answers", ())) == (ATTRIBUTES,)


def models_for(task: str) -> tuple[list[Model], list[PluginError]]:
    """List the installed models that serve a task, in the order in which they are worth running."""
    models, broken = load_all("models")
    wanted = load_task(task)
    return [model for model in models if serves(model, wanted)], broken


def model_names() -> list[str]:
    """Name every installed model, whether it works or not."""
    return [*entries_of("bench.models"), *_family_members()]


def task_names() -> list[str]:
    """Name every installed task that can be run."""
    return [name for name in entries_of("bench.tasks") if name not in INTERNAL_TASKS]


def load_summaries() -> tuple[dict[str, str], list[PluginError]]:
    """Load the line that every kind of data says of itself (group `bench.data`), and what went wrong."""
    summaries, broken = {}, []
    entries = entries_of("bench.data")
    for name in entries:
        try:
            summaries[name] = str(import_entry(entry_of(entries, name), "data"))
        except PluginError as error:
            broken.append(error)
    return summaries, broken


def load_writer(name: str) -> Callable[..., None]:
    """Load the function that writes a built-in data set to disk (group `bench.data_writers`)."""
    entries = entries_of("bench.data_writers")
    if name not in entries:
        raise UsageError(f"No built-in data '{name}'. {nearest(name, entries)}")
    writer: Callable[..., None] = import_entry(entry_of(entries, name), "data writer")
    return writer


def load_perturbations() -> dict[str, Perturbation]:
    """Load every perturbation that works, by name (group `bench.perturbations`: objects, or tuples of them)."""
    return load_all_perturbations()[0]


def load_all_perturbations() -> tuple[dict[str, Perturbation], list[PluginError]]:
    """Load every perturbation by name, and what went wrong with those that do not fit or have another's name."""
    protocol = "the protocol harness.perturb.perturbation.Perturbation"
    return load_named("bench.perturbations", "perturbation", protocol, _misfit_of_perturbation)


def load_named(
    group: str, kind: str, protocol: str, misfit: Callable[[Any], str | None]
) -> tuple[dict[str, Any], list[PluginError]]:
    """Load a group whose entry points are objects with a name, or tuples of them; by name, and what went wrong.

    `misfit` says how an object differs from what `protocol` names, None where it fits. The tool's own come first, so
    that another package cannot take a name of theirs away.
    """
    found: dict[str, Any] = {}
    broken = []
    entries = entries_of(group)
    for name in sorted(entries, key=lambda name: not _is_own(entries[name][0])):
        try:
            entry = entry_of(entries, name)
            loaded = import_entry(entry, kind)
            with as_plugin_error(f"The {kind} plugin '{entry.name}' ({entry.value}) failed while it was looked at"):
                found |= _named(entry, loaded, kind, protocol, misfit, found)
        except PluginError as error:
            broken.append(error)
    return found, broken


def _named(
    entry: EntryPoint, loaded: Any, kind: str, protocol: str, misfit: Callable[[Any], str | None], known: Iterable[str]
) -> dict[str, Any]:
    """The objects of one entry point by name; raises PluginError where one of them does not fit."""
    found: dict[str, Any] = {}
    for each in loaded if isinstance(loaded, tuple) else (loaded,):
        wrong = misfit(each)
        if wrong is None and each.name in {*known, *found}:
            wrong = f"another one is called '{each.name}' too"
        if wrong:
            raise PluginError(
                f"The {kind} plugin '{entry.name}' ({entry.value}) does not fit {protocol}: {wrong}. "
                f"Mend {owner_of(entry)}."
            )
        found[each.name] = each
    return found


def package_of(plugin: object) -> str:
    """Name the top-level package that a plugin comes from."""
    return type(plugin).__module__.partition(".")[0]


def _load(entries: Entries, name: str, protocol: type[Plugin], kind: str) -> Plugin:
    if name not in entries:
        known = [other for other in entries if other not in INTERNAL_TASKS]
        raise UsageError(f"Unknown {kind} '{name}'. {nearest(name, known)} See 'bench list {kind}s'.")
    entry = entry_of(entries, name)
    loaded = import_entry(entry, kind)
    with as_plugin_error(f"The {kind} plugin '{name}' ({entry.value}) failed while it was looked at"):
        return _checked(entry, loaded, protocol, kind)


def _load_family(family: str) -> Callable[[str], Model]:
    entries = entries_of("bench.model_families")
    if family not in entries:
        raise UsageError(f"Unknown model family '{family}:'. {nearest(family, entries)}")
    parse: Callable[[str], Model] = import_entry(entry_of(entries, family), "model family")
    return parse


def _checked(entry: EntryPoint, plugin: Any, protocol: type[Plugin], kind: str) -> Plugin:
    misfit = _misfit(plugin, protocol)
    if misfit:
        raise PluginError(
            f"The {kind} plugin '{entry.name}' ({entry.value}) does not fit the protocol "
            f"harness.protocols.{protocol.__name__}: {misfit}. Mend {owner_of(entry)}."
        )
    if plugin.name != entry.name:
        raise PluginError(
            f"The {kind} plugin '{entry.name}' ({entry.value}) calls itself '{plugin.name}'; "
            f"its name and its entry point must be equal. Mend {owner_of(entry)}."
        )
    return plugin  # type: ignore[no-any-return]


def _misfit(plugin: Any, protocol: type) -> str | None:
    """Say how a plugin differs from its protocol: a class, a missing member, a wrong kind of member."""
    if isinstance(plugin, type):
        return f"it is the class {plugin.__name__}; the entry point must name an object"
    members = {*_members(protocol), *(("tasks",) if protocol is Model and isinstance(plugin, NamesTasks) else ())}
    lacking = [member for member in sorted(members) if not hasattr(plugin, member)]
    if lacking == ["answers"] and "tasks" not in members:
        return f"it has no answers: {_WANTED_ANSWERS[protocol is Task]}"
    if lacking not in ([], ["answers"]):
        return f"it has no {', '.join(lacking)}"
    for member in sorted(members.difference(lacking)):
        value = getattr(plugin, member)
        if callable(getattr(protocol, member, None)) and not callable(value):
            return f"its {member} is not a method"
        if member == "answers" and protocol is Task:
            if not isinstance(value, str):
                return f"its answers are {value!r}; {_WANTED_ANSWERS[True]}"
        elif member in ("answers", "tasks", "settings", "metrics") and not isinstance(value, tuple | list):
            return f"its {member} is {value!r}, not a tuple of names"
    if not getattr(plugin, "metrics", ("any",)):
        return "its metrics are empty; the first one ranks"
    return None


def _misfit_of_perturbation(perturbation: Any) -> str | None:
    """Say how a perturbation differs from the protocol, and from every kind that there is of its modality."""
    if misfit := _misfit(perturbation, Perturbation):
        return misfit
    kinds = {IMAGE: (ImagePerturbation, GeometricPerturbation), TEXT: (TextPerturbation,)}
    if isinstance(perturbation, (*kinds.get(perturbation.modality, ()), Exchange, Attack)):
        return None
    former = " (`movement` is called `affine` now)" if hasattr(perturbation, "movement") else ""
    wanted = {IMAGE: f"`apply` or `affine`{former}", TEXT: "`apply` and `keeps_meaning`"}
    return (
        f"of modality '{perturbation.modality}' is wanted one with {wanted.get(perturbation.modality, '`predict`')}, "
        "or with `exchanged`"
    )


def _members(protocol: type) -> Iterable[str]:
    methods = {name for name in vars(protocol) if not name.startswith("_")}
    return methods | set(getattr(protocol, "__annotations__", {}))


def _is_own(entry: EntryPoint) -> bool:
    return entry.dist is not None and entry.dist.name == "fusemark"
