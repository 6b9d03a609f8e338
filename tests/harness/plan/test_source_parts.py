"""The digest of a part follows what is computed, and nothing of how it is written down."""

from __future__ import annotations

import textwrap

import pytest

from harness.plan.source_parts import Module, read_module

PLAIN = """
from __future__ import annotations
import math
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from own.types import Wide

SCALE = 3.0

def area(width: float, height: float) -> float:
    if width < 0:
        raise ValueError(f"{width} is negative")
    return math.floor(SCALE * width * height)

class Box:
    side: int = 4

    def area(self) -> float:
        return area(self.side, self.side)
"""
SAME = """
'''A docstring.'''
from __future__ import annotations
import math


SCALE = (
    3.0   # a comment
)

def area(
    width,
    height: int,
):
    '''Says what it does.'''
    if (width < 0):
        raise ValueError("Wanted a width of 0 or more.")
    return math.floor( SCALE*width*height )

class Box:
    '''A square.'''

    side: int = 4
    '''Its side in pixels.'''

    def area(self):
        pass
        return area(self.side, self.side)
"""


def module(source: str, name: str = "own.shapes", *, package: bool = False) -> Module:
    return read_module(textwrap.dedent(source).encode(), name, package=package)


def digests(found: Module) -> dict[str, list[str]]:
    return {name: [part.digest for part in parts] for name, parts in found.parts.items()}


def test_words_and_form_change_no_digest() -> None:
    assert digests(module(PLAIN)) == digests(module(SAME)) and list(digests(module(PLAIN))) == [
        "SCALE", "area", "Box", "Box.area",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("SCALE = 3.0", "SCALE = 3.5", {"SCALE"}),
        ("SCALE * width", "SCALE + width", {"area"}),
        ("width < 0", "width <= 0", {"area"}),
        ("ValueError", "TypeError", {"area"}),
        ("side: int = 4", "side: int = 5", {"Box"}),
        ("area(self.side, self.side)", "area(self.side, 1)", {"Box.area"}),
        ("class Box:", "class Box(dict):", {"Box"}),
    ],
)
def test_what_is_computed_changes_its_own_part_alone(old: str, new: str, changed: set[str]) -> None:
    before, after = digests(module(PLAIN)), digests(module(PLAIN.replace(old, new)))
    assert {name for name in before if before[name] != after[name]} == changed


def test_a_part_knows_what_it_reads_imports_and_names() -> None:
    found = module(
        """
        from own import tools
        import own.deep.inside
        def build(name):
            from ..beside import helper as used
            import own.heavy
            tools.cut(used, TABLE[name])
        TABLE = {"film": "own.film:Film", "gated": "no code"}
        def load(name):
            return import_module(f"own.tuning.{name}"), import_module(f".{name}", __package__)
        """,
        "own.room.shapes",
    )
    (build,), (table,), (load,) = (found.parts[name] for name in ("build", "TABLE", "load"))
    assert build.imports == (("own.beside", "helper"), ("own.heavy", ""))
    assert {"tools.cut", "used", "TABLE"} <= set(build.uses) and "tools" not in build.uses
    assert table.places == (("film", "own.film:Film"),) and table.words == ()
    assert set(load.places) == {("", "own.tuning."), ("", "own.room.")}
    assert found.imports["tools"] == ("own", "tools") and found.idle == ("own.deep.inside",)


def test_imports_for_types_alone_are_no_imports() -> None:
    found = module(PLAIN)
    assert "Wide" not in found.imports and found.idle == ()


def test_what_runs_on_import_is_loose() -> None:
    found = module(
        """
        from own.registry import register
        register("film", 1)
        TABLE = {}
        TABLE["a"] = 2
        try:
            import fast as engine
        except ImportError:
            engine = None
        @register
        def film(): ...
        """
    )
    assert len(found.loose) == 3 and "engine" in found.parts and found.registered == (("film", "register"),)


def test_a_digest_stays_through_a_move_to_another_module() -> None:
    lazily = "def build():\n    from own.{} import helper\n    return helper()\n"
    assert digests(module(lazily.format("before"))) == digests(module(lazily.format("after.move")))


def test_the_digests_are_the_same_on_every_version_of_python() -> None:
    found = digests(module("def f(a, *, b=1):\n    return f'{a!r:>{b}} ✓'\nTEXT = '\\u2713'\n"))
    assert found == {"f": ["f9ef584b3ecde021"], "TEXT": ["ab585d4bc734e953"]}
