"""A Python file as the parts that a name can reach: functions, classes, methods, constants, each with a digest.

The digest is of the syntax tree, without comments, formatting, docstrings, annotations and the words of exceptions:
none of these can move a number. It names no module, so that code which is only moved to another file keeps it, and
nothing in it depends on the version of Python.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

WHOLE = ""
"""Stands for all of a module where the name of one of its parts would stand."""
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+(:[A-Za-z_]\w*)?|([A-Za-z_]\w*\.)+")
_WORD = re.compile(r"\w[\w.+-]{0,39}")
_RELATIVE = re.compile(r"\.+\w*(\.\w+)*")
_LEFT_OUT = ("type_comment", "type_params", "kind", "ctx")
"""Fields of nodes that say nothing of what is computed, or that not all versions of Python have."""
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class SourcePart:
    """A top-level statement, the head of a class, or a method.

    `uses` are the names that it reads, `a` or `a.b`; `imports` what it imports when it runs, as (module, name);
    `places` the strings that may say where code is, each after the key under which it stands in a table ("" for none):
    `package.module:Name`, `package.module`, or `package.` where the rest is put together. `words` are all other short
    strings of a function, which may choose among such places.
    """

    digest: str
    uses: tuple[str, ...] = ()
    imports: tuple[tuple[str, str], ...] = ()
    places: tuple[tuple[str, str], ...] = ()
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Module:
    """The parts of a file by name, methods as `Class.method`, and where its imported names come from.

    `loose` are the parts that run whenever the module is imported, `registered` the definitions with the names of
    their decorators, which may put them into a table; `idle` are imports that no part reads, made for what they do.
    """

    parts: Mapping[str, tuple[SourcePart, ...]]
    imports: Mapping[str, tuple[str, str]]
    loose: tuple[SourcePart, ...] = ()
    registered: tuple[tuple[str, str], ...] = ()
    stars: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()

    def members(self, name: str) -> list[str]:
        """Name the methods of a class of this module."""
        return [other for other in self.parts if other.startswith(f"{name}.")]


def read_module(source: bytes, name: str, *, package: bool) -> Module:
    """Take a file apart; raises SyntaxError (a ValueError for a zero byte) for what is no Python."""
    tree = ast.parse(source)
    found = _Module(name if package else name.rpartition(".")[0])
    for statement in _without_texts(tree.body):
        found.take(statement)
    read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} | found.offered
    idle = () if package else tuple(bound for bound in found.imports if bound not in read)
    return Module(
        {name: tuple(parts) for name, parts in found.parts.items()},
        found.imports, tuple(found.loose), tuple(found.registered), tuple(found.stars), idle,
    )  # fmt: skip


@dataclass
class _Module:
    """What has been found of a module so far."""

    package: str
    parts: dict[str, list[SourcePart]] = field(default_factory=dict)
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)
    loose: list[SourcePart] = field(default_factory=list)
    registered: list[tuple[str, str]] = field(default_factory=list)
    stars: list[str] = field(default_factory=list)
    offered: set[str] = field(default_factory=set)

    def take(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            self._take_import(statement)
        elif isinstance(statement, ast.ClassDef):
            self._take_class(statement)
        elif isinstance(statement, _FUNCTIONS):
            self._put([statement.name], _part(statement, self.package))
            self._note_decorators(statement)
        elif isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
            self._take_assignment(statement)
        elif not (isinstance(statement, ast.If) and _is_for_types(statement.test)):
            self._take_compound(statement)

    def _put(self, names: Iterable[str], part: SourcePart) -> None:
        for name in names:
            self.parts.setdefault(name, []).append(part)

    def _take_import(self, statement: ast.Import | ast.ImportFrom) -> None:
        if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
            return
        for bound, target in _imported(statement, self.package):
            if target[1] == "*":
                self.stars.append(target[0])
            else:
                self.imports[bound] = target

    def _take_class(self, statement: ast.ClassDef) -> None:
        """The head is everything but the methods, and apart from it stands what the class is derived from."""
        methods = [each for each in statement.body if isinstance(each, _FUNCTIONS)]
        rest = [each for each in statement.body if not isinstance(each, _FUNCTIONS)]
        head = ast.ClassDef(statement.name, [], [], rest, statement.decorator_list)
        self._put([statement.name], _part(head, self.package))
        self._put([statement.name], _part(ast.ClassDef("", statement.bases, statement.keywords, [], []), self.package))
        for method in methods:
            self._put([f"{statement.name}.{method.name}"], _part(method, self.package))
        self._note_decorators(statement)

    def _note_decorators(self, statement: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in statement.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if (path := _path(called)) is not None:
                self.registered.append((statement.name, path))

    def _take_assignment(self, statement: ast.Assign | ast.AnnAssign | ast.AugAssign) -> None:
        targets: list[ast.expr] = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        names = [name for target in targets for name in _bound(target)]
        if names == ["__all__"]:
            self.offered |= {str(node.value) for node in ast.walk(statement) if isinstance(node, ast.Constant)}
            return
        if isinstance(statement, ast.AnnAssign):
            if statement.value is None:
                return
            statement = ast.Assign(targets, statement.value)
        part = _part(statement, self.package)
        if isinstance(statement.value, ast.Constant) and isinstance(statement.value.value, str):
            part = replace(part, words=(statement.value.value,))
        if names:
            self._put(names, part)
        else:
            self.loose.append(part)

    def _take_compound(self, statement: ast.stmt) -> None:
        """What is bound under a condition, or an expression that is run for what it does."""
        if type(statement).__name__ == "TypeAlias":
            return
        part = _part(statement, self.package)
        self.loose.append(part)
        for node in ast.walk(statement):
            if isinstance(node, ast.Import | ast.ImportFrom):
                self._take_import(node)
            elif isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                self._put([node.name], part)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                self._put([node.id], part)


def _bound(target: ast.expr) -> list[str]:
    """Names that an assignment binds; none where it changes a thing that has a name already."""
    if isinstance(target, ast.Name):
        return [target.id]
    if isinstance(target, ast.Tuple | ast.List):
        return [name for each in target.elts for name in _bound(each)]
    return _bound(target.value) if isinstance(target, ast.Starred) else []


def _part(node: ast.AST, package: str) -> SourcePart:
    walk = _Walk(package)
    walk.node(node)
    return SourcePart(
        hashlib.sha256("\0".join(walk.told).encode("utf-8", "surrogatepass")).hexdigest()[:16],
        tuple(dict.fromkeys(walk.uses)),
        tuple(dict.fromkeys(walk.imports)),
        tuple(dict.fromkeys(walk.places)),
        tuple(dict.fromkeys(walk.words)),
    )


@dataclass
class _Walk:
    """Writes a syntax tree down and gathers what it reaches."""

    package: str
    told: list[str] = field(default_factory=list)
    uses: list[str] = field(default_factory=list)
    imports: list[tuple[str, str]] = field(default_factory=list)
    places: list[tuple[str, str]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    key: str = ""
    functions: int = 0

    def node(self, node: ast.AST) -> None:
        """Take in a node and all below it."""
        if isinstance(node, ast.Raise):
            self._raise(node)
            return
        if isinstance(node, ast.Import | ast.ImportFrom):
            found = _imported(node, self.package)
            self.imports += [(module, WHOLE if name == "*" else name) for _, (module, name) in found]
            self.told += ["import", *(part for bound, (_, name) in found for part in (bound, name))]
            return
        if isinstance(node, ast.If) and _is_for_types(node.test):
            return
        if self._note(node):
            return
        self.functions += isinstance(node, _FUNCTIONS)
        self.told.append(type(node).__name__)
        for name in node._fields:
            if name not in _LEFT_OUT and not self._is_annotation(node, name):
                self._field(name, getattr(node, name, None))
        self.told.append(")")
        self.functions -= isinstance(node, _FUNCTIONS)

    def _is_annotation(self, node: ast.AST, name: str) -> bool:
        """Whether a field holds types alone; a class keeps those of its own, which dataclasses and pydantic read."""
        if name == "returns":
            return isinstance(node, _FUNCTIONS)
        return name == "annotation" and (isinstance(node, ast.arg) or self.functions > 0)

    def _field(self, name: str, value: object) -> None:
        if value is None or value == []:
            return
        self.told.append(name)
        for each in _without_texts(value) if isinstance(value, list) else [value]:
            if isinstance(each, ast.AST):
                self.node(each)
            else:
                self.told.append(ascii(each))  # `repr` follows the Unicode tables of this version of Python

    def _raise(self, node: ast.Raise) -> None:
        """Keep what is raised, but not the words that it is told in."""
        self.told.append("Raise")
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        if (path := None if raised is None else _path(raised)) is not None:
            self.told.append(path)

    def _note(self, node: ast.AST) -> bool:
        """Gather what a node names; tells whether that is all of it."""
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            self.uses.append(f"{node.value.id}.{node.attr}")
            self.told += [node.value.id, node.attr]
            return True
        if isinstance(node, ast.Dict):
            self._table(node)
            return True
        if isinstance(node, ast.Name):
            self.uses.append(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            self._text(node.value)
        elif isinstance(node, ast.Call) and (_path(node.func) or "").endswith("import_module"):
            self._relative(node)
        return False

    def _table(self, node: ast.Dict) -> None:
        """Remember beside each value the key that it stands under."""
        self.told.append("Dict")
        before = self.key
        for key, value in zip(node.keys, node.values, strict=True):
            text = key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else None
            self.told.append("key" if text is None else ascii(text))  # such a key chooses nothing by itself
            if key is not None and text is None:
                self.node(key)
            self.key = before if text is None else text
            self.node(value)
        self.told.append(")")
        self.key = before

    def _text(self, text: str) -> None:
        if _DOTTED.fullmatch(text):
            self.places.append((self.key, text))
        elif self.functions and _WORD.fullmatch(text):
            self.words.append(text)

    def _relative(self, call: ast.Call) -> None:
        """Of `import_module(".name", __package__)`, name also in braces or added."""
        for node in ast.walk(call):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _RELATIVE.fullmatch(node.value):
                self.places.append((self.key, _absolute(node.value, self.package)))


def _path(node: ast.AST) -> str | None:
    """The first two names of `a.b.c`; None for what is no chain of names."""
    if isinstance(node, ast.Name):
        return node.id
    if not isinstance(node, ast.Attribute):
        return None
    if isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return _path(node.value)


def _is_for_types(test: ast.expr) -> bool:
    """Whether a condition is `TYPE_CHECKING`, which is never true where code runs."""
    return (_path(test) or "").rpartition(".")[2] == "TYPE_CHECKING"


def _without_texts(body: Sequence[ast.stmt]) -> list[ast.stmt]:
    """Leave out constants that stand alone, the docstrings among them, and `pass`."""
    return [each for each in body if not isinstance(each, ast.Pass) and not _is_constant(each)]


def _is_constant(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _imported(statement: ast.Import | ast.ImportFrom, package: str) -> list[tuple[str, tuple[str, str]]]:
    """Pair the names that an import binds with where they come from: (module, name), or all of a module."""
    if isinstance(statement, ast.Import):
        return [(alias.asname or alias.name, (alias.name, WHOLE)) for alias in statement.names]
    source = _absolute("." * statement.level + (statement.module or ""), package).removesuffix(".")
    return [(alias.asname or alias.name, (source, alias.name)) for alias in statement.names]


def _absolute(name: str, package: str) -> str:
    """Spell a relative module name out: in `a.b`, `.c` is `a.b.c` and `..` is `a.`."""
    rest = name.lstrip(".")
    level = len(name) - len(rest)
    parts = package.split(".")
    return f"{'.'.join(parts[: len(parts) - level + 1])}.{rest}" if level else name
