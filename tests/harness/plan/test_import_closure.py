"""What some definitions reach, followed through small packages that are written down here."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from harness.errors import PluginError
from harness.plan.import_closure import Codebase, NamedParts
from harness.plan.parsed_sources import ParsedSources

FILES = {
    "__init__": "VERSION = 1\n",
    "model": """
        from own.fusion import build_fusion
        from own.heads import Head
        from own import tools
        def build(name):
            from own.lazy import late
            return Head(build_fusion(name), late(), tools.cut())
        def report():
            from own.tables import draw
            return draw()
    """,
    "heads": "class Head:\n    def __init__(self, *parts):\n        self.parts = parts\n",
    "lazy": "from own.far import FAR\ndef late():\n    return FAR\ndef unused():\n    return 1\n",
    "far": "FAR = 1\n",
    "tools": "def cut():\n    return 1\ndef saw():\n    return 2\n",
    "tables": "def draw():\n    return 'table'\n",
    "fusion.__init__": """
        from importlib import import_module
        JOINS = {"film": "own.fusion.film:Film", "gated": "own.fusion.gated:Gated"}
        def build_fusion(name):
            module, _, attribute = JOINS[name].partition(":")
            return getattr(import_module(module), attribute)()
    """,
    "fusion.film": "class Film:\n    def join(self):\n        return 1\n",
    "fusion.gated": "class Gated:\n    def join(self):\n        return 2\n",
    "by_form": "from importlib import import_module\ndef find(name):\n    return import_module(f'own.tuning.{name}')\n",
    "tuning.__init__": "",
    "tuning.lora": "RANK = 8\n",
    "tuning.full": "def tune():\n    return 1\n",
    "by_group": "def find(name):\n    return load_part('bench.fusion', name)\n",
    "starred": "from own.tools import *\ndef use():\n    return saw()\n",
    "task": """
        from own.base import Base
        class Task(Base):
            limit = 3
            def samples(self):
                return self._read()
            def scorer(self):
                from own.scores import Scorer
                return Scorer()
            def _read(self):
                from own.readers import read
                return read()
    """,
    "base": "class Base:\n    def scorer(self):\n        from own.tables import draw\n        return draw()\n",
    "scores": "class Scorer:\n    pass\n",
    "readers": "import own.effects\ndef read():\n    return 1\n",
    "effects": "from own.registry import register\n@register\ndef effect():\n  return 1\ndef other():\n    return 2\n",
    "registry": "TABLE = []\ndef register(function):\n    TABLE.append(function)\n    return function\n",
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import textwrap

    for name, content in FILES.items():
        path = tmp_path / "own" / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(content), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / "own"


def codebase(**more: object) -> Codebase:
    return Codebase(frozenset({"own"}), ParsedSources(), **more)  # type: ignore[arg-type]


def reached(*roots: tuple[str, str], named: NamedParts | None = None, **more: object) -> set[str]:
    found = codebase(**more).reached(roots, named or NamedParts())
    return {module for module, _ in found}


BUILD = ("own.model", "build")


def test_all_that_a_definition_uses_is_reached_and_nothing_else(root: Path) -> None:
    fusion = {"own.fusion", "own.fusion.film", "own.fusion.gated"}
    assert reached(BUILD) == {"own.model", "own.heads", "own.lazy", "own.far", "own.tools", *fusion}
    assert reached(("own.model", "report")) == {"own.model", "own.tables"}


@pytest.mark.parametrize(
    ("file", "old", "new", "changes"),
    [
        ("far", "FAR = 1", "FAR = 2", True),
        ("fusion/film", "return 1", "return 3", True),
        ("tools", "return 1", "return 3", True),
        ("tools", "return 2", "return 3", False),
        ("lazy", "return 1", "return 3", False),
        ("tables", "table", "list", False),
        ("fusion/film", "class Film:", "# of Perez 2018\nclass Film:", False),
    ],
)
def test_the_digest_follows_what_is_reached(root: Path, file: str, old: str, new: str, changes: bool) -> None:
    before = codebase().digest([BUILD])
    path = root / f"{file}.py"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    assert (codebase().digest([BUILD]) != before) is changes


def test_a_name_chooses_in_a_table_of_places_and_where_none_does_all_are_reached(root: Path) -> None:
    fusion = {"own.fusion.film", "own.fusion.gated"}
    assert fusion <= reached(BUILD)
    assert reached(BUILD, named=NamedParts(frozenset({"film", "other"}))) & fusion == {"own.fusion.film"}
    (root / "heads.py").write_text("class Head:\n    def __init__(self, *parts, matched='gated'):\n        pass\n")
    assert fusion <= reached(BUILD, named=NamedParts(frozenset({"film"}))), "a control may take another by name"


def test_the_rest_of_a_name_may_be_anything_or_what_is_named(root: Path) -> None:
    find, lora, full = ("own.by_form", "find"), "own.tuning.lora", "own.tuning.full"
    assert reached(find) == {"own.by_form", lora, full}
    assert reached(find, named=NamedParts(frozenset({"lora"}))) == {"own.by_form", lora}


def test_of_a_group_those_are_reached_that_are_named(root: Path) -> None:
    entries = {
        "bench.fusion": [EntryPoint(n, f"own.fusion.{n}:{n.title()}", "bench.fusion") for n in ("film", "gated")]
    }
    find, film, gated = ("own.by_group", "find"), "own.fusion.film", "own.fusion.gated"
    assert reached(find, entries=entries) == {"own.by_group"}
    assert reached(find, named=NamedParts(frozenset({"film"})), entries=entries) == {"own.by_group", film}
    assert reached(find, named=NamedParts(frozenset({"film", "gated"})), entries=entries) == {
        "own.by_group",
        film,
        gated,
    }


@pytest.mark.parametrize(("loader", "wanted"), [("load_part", {"film"}), ("load_parts", {"film", "gated"})])
def test_parts_of_models_are_those_that_are_named_or_all_where_all_are_loaded(
    root: Path, loader: str, wanted: set[str]
) -> None:
    (root / "by_group.py").write_text(
        f"from harness.plan.parts import {loader}\nGROUP = 'fusion'\ndef find(name):\n    return {loader}(GROUP)\n"
    )
    entries = {
        "bench.fusion": [EntryPoint(n, f"own.fusion.{n}:{n.title()}", "bench.fusion") for n in ("film", "gated")]
    }
    found = reached(("own.by_group", "find"), named=NamedParts(frozenset({"film"})), entries=entries)
    assert found == {"own.by_group", *(f"own.fusion.{name}" for name in wanted)}


def test_of_a_class_its_head_and_the_methods_that_are_wanted(root: Path) -> None:
    found = reached(("own.task", "Task."), ("own.task", "Task.samples"))
    assert found == {"own.task", "own.readers", "own.effects", "own.registry"}
    assert reached(("own.task", "Task.scorer")) == {"own.task", "own.scores"}
    assert {"own.tables", "own.scores", "own.base"} <= reached(("own.task", "Task"))


def test_what_is_imported_for_what_it_does_is_reached_whole(root: Path) -> None:
    (root / "readers.py").write_text("from own import effects\ndef read():\n    return effects.other()\n")
    parts = codebase().reached([("own.readers", "read")])
    assert len([module for module, _ in parts if module == "own.effects"]) == 2  # `other`, and what registers itself


def test_a_star_brings_what_is_not_found_here(root: Path) -> None:
    assert reached(("own.starred", "use")) == {"own.starred", "own.tools"}


def test_a_stop_is_not_looked_into(root: Path) -> None:
    assert "own.far" not in reached(BUILD, stops=frozenset({"own.lazy"}))


def test_other_packages_are_left_out(root: Path) -> None:
    (root / "far.py").write_text("import json\nfrom harness.errors import PluginError\nFAR = json.dumps(PluginError)\n")
    assert "harness.errors" not in reached(BUILD)


def test_a_root_without_source_is_an_error(root: Path) -> None:
    with pytest.raises(PluginError, match=r"source of 'own.nowhere' cannot be found"):
        reached(("own.nowhere", "build"))


def test_a_file_that_is_no_python_is_named(root: Path) -> None:
    (root / "far.py").write_text("FAR = = 1\n")
    with pytest.raises(PluginError, match=r"source of 'own.far' \(.*far.py\) cannot be read"):
        reached(BUILD)


def test_remembered_files_give_the_same_digest_and_a_broken_memory_is_left(root: Path, tmp_path: Path) -> None:
    def digest() -> str:
        sources = ParsedSources(tmp_path / "cache")
        found = Codebase(frozenset({"own"}), sources).digest([BUILD])
        sources.keep()
        return found

    fresh = digest()
    memories = sorted((tmp_path / "cache" / "code").iterdir())
    assert len(memories) == 2 and digest() == fresh
    for memory in memories:
        memory.write_bytes(memory.read_bytes().replace(b"own", b"owm"))
    assert digest() == fresh
    (root / "far.py").write_text("FAR = 2\n")
    assert (other := digest()) != fresh
    (root / "fusion/bilinear.py").write_text("class Bilinear:\n    pass\n")
    assert digest() == other
    (root / "fusion/film.py").unlink()
    assert digest() not in (fresh, other)


def test_a_module_that_comes_under_a_prefix_is_seen(root: Path, tmp_path: Path) -> None:
    def digest() -> str:
        sources = ParsedSources(tmp_path / "cache")
        found = Codebase(frozenset({"own"}), sources).digest([("own.by_form", "find")])
        sources.keep()
        return found

    before = digest()
    (root / "tuning/adapter.py").write_text("SIZE = 1\n")
    assert digest() != before
