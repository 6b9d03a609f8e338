"""Files are UTF-8 wherever they are written or read: no call leaves the encoding to the locale."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
_FOLDERS = ("harness", "tasks", "baselines")
_BY_NAME = {"read_text", "write_text", "NamedTemporaryFile", "fdopen", "TextIOWrapper"}


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            yield getattr(function, "attr", getattr(function, "id", "")), node


def leaves_it_to_the_locale(name: str, call: ast.Call) -> bool:
    given = {keyword.arg for keyword in call.keywords}
    if "encoding" in given:
        return False
    if name in ("run", "Popen", "check_output"):
        return "text" in given or "universal_newlines" in given
    words = [arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
    words += [k.value.value for k in call.keywords if k.arg == "mode" and isinstance(k.value, ast.Constant)]
    modes = [word for word in words if word and set(word) <= set("rwabx+t")]
    if name in ("open", "fdopen", "NamedTemporaryFile"):
        own = getattr(getattr(call.func, "value", None), "id", "")
        if own in ("Image", "os", "tarfile", "zipfile", "zipped", "gzip"):
            return False
        default = "w+b" if name == "NamedTemporaryFile" else "r"
        return "b" not in (modes[0] if modes else default)
    if name == "read_text":
        return not call.args
    return name == "write_text" and len(call.args) < 2


def test_no_file_is_opened_in_the_encoding_of_the_locale() -> None:
    found = [
        f"{path.relative_to(REPOSITORY)}:{call.lineno} {name}"
        for folder in _FOLDERS
        for path in sorted((REPOSITORY / folder).rglob("*.py"))
        for name, call in calls(ast.parse(path.read_text(encoding="utf-8")))
        if name in _BY_NAME | {"open", "run", "Popen", "check_output"} and leaves_it_to_the_locale(name, call)
    ]
    assert found == []
