"""What does not fit is folded first and dropped last, the least important first, and is named."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from harness.report.tables.document import Heading, document_text
from harness.report.tables.layout import folded, laid_out
from harness.report.tables.table import ALWAYS, Table, TableCell, TableColumn, TableRow, name_column, text_column
from harness.report.tables.terminal import print_document


def table(*columns: TableColumn, cells: tuple[float | str, ...], level: str = "model") -> Table:
    return Table("t", "", columns, (TableRow(tuple(map(TableCell, cells)), level),))


NUMBERS = table(
    name_column("model"),
    TableColumn("main", importance=ALWAYS),
    TableColumn("second", importance=60),
    TableColumn("third", importance=70),
    TableColumn("p50 latency", direction=-1, importance=80),
    cells=("film", 0.5, 0.25, 0.125, 12.0),
)


def test_all_columns_stand_side_by_side_where_there_is_room() -> None:
    assert document_text([NUMBERS], "text", 100).splitlines() == [
        "model   main  second  third  p50 latency ↓",
        "------------------------------------------",
        "film   0.500   0.250  0.125         12.000",
    ]


@pytest.mark.parametrize(
    ("width", "shown", "dropped"),
    [
        (42, ["main", "second", "third", "p50 latency ↓"], ()),
        (38, ["main", "second", "third", "p50 latency ↓"], ()),  # the heading stands on two lines
        (37, ["main", "third", "p50 latency ↓"], ("second",)),
        (29, ["main", "p50 latency ↓"], ("second", "third")),
        (22, ["main"], ("second", "third", "p50 latency")),
        (1, ["main"], ("second", "third", "p50 latency")),
    ],
)
def test_the_least_important_columns_go_first(width: int, shown: list[str], dropped: tuple[str, ...]) -> None:
    layout = laid_out(NUMBERS, width)
    assert list(layout.texts[0][1:]) == shown
    assert layout.dropped == dropped
    told = document_text([NUMBERS], "text", width)
    assert ("--wide" in told) == bool(dropped)


def test_equally_important_columns_go_from_the_right() -> None:
    columns = [replace(column, importance=min(column.importance, 60)) for column in NUMBERS.columns[2:]]
    layout = laid_out(replace(NUMBERS, columns=(*NUMBERS.columns[:2], *columns)), 30)
    assert layout.dropped == ("p50 latency",)


def test_wide_drops_and_folds_nothing() -> None:
    long = table(name_column("model"), text_column("why", least=10), cells=("m" * 200, "word " * 100))
    lines = document_text([long], "text", None).splitlines()
    assert len(lines) == 3 and len(lines[2]) == 200 + 2 + 499


def test_words_are_folded_before_names_and_only_at_blanks() -> None:
    words = "a dozen words that have to be folded as there is no room for all of them"
    both = table(
        name_column("model"), text_column("why", importance=ALWAYS, least=12), cells=("some-model [C2]", words)
    )
    lines = document_text([both], "text", 40).splitlines()
    assert max(map(len, lines)) <= 40
    assert [line[:15].strip() for line in lines[2:]] == ["some-model [C2]", "", "", ""]
    assert " ".join(line[17:] for line in lines[2:]) == words


def test_reasons_of_columns_that_were_dropped_are_not_listed() -> None:
    first, second = (TableCell(reason=f"reason {n}") for n in (1, 2))
    columns = (name_column("model"), TableColumn("a" * 30, importance=10), TableColumn("b", importance=90))
    both = Table("t", "", columns, (TableRow((TableCell("film"), first, second)),))
    assert "(2) reason 2" in document_text([both], "text", 100)
    narrow = document_text([both], "text", 20)
    assert "(1) reason 2" in narrow and "reason 1" not in narrow


def test_what_the_row_above_says_is_left_out_of_text_alone() -> None:
    columns = (replace(text_column("claim"), once=True), text_column("model"))
    rows = tuple(TableRow((TableCell(claim), TableCell(name))) for claim, name in (("a", "x"), ("a", "y"), ("b", "y")))
    text, markdown = (document_text([Table("t", "", columns, rows)], style) for style in ("text", "md"))
    assert [line.split() for line in text.splitlines()[2:]] == [["a", "x"], ["y"], ["b", "y"]]
    assert markdown.count("| a |") == 2


@given(st.text("ab cd-", max_size=60), st.integers(4, 30))
def test_folding_loses_no_letter_and_no_line_is_too_long(text: str, width: int) -> None:
    lines = folded(text, width)
    assert all(len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


NAMES = st.text(st.characters(blacklist_categories=("Cc", "Cs")), min_size=1, max_size=50)


@given(st.lists(NAMES, min_size=1, max_size=8), st.integers(30, 120))
def test_a_table_of_any_names_fits_the_width_where_it_can(names: list[str], width: int) -> None:
    columns = (name_column("model", least=8), *(TableColumn(f"metric-{n}", importance=n) for n in range(9)))
    rows = tuple(TableRow((TableCell(name), *[TableCell(0.5)] * 9)) for name in names)
    layout = laid_out(Table("t", "", columns, rows), width)
    assert sum(layout.widths) + 2 * (len(layout.widths) - 1) <= max(width, 32)
    assert {column.name for column in layout.table.columns} | set(layout.dropped) >= {f"metric-{n}" for n in range(9)}


def drawn(blocks: list[object], width: int, *, wide: bool = False) -> list[str]:
    stream = io.StringIO()
    print_document(blocks, Console(file=stream, width=width, force_terminal=True, color_system=None), wide=wide)  # type: ignore[arg-type]
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_a_terminal_gets_the_columns_that_a_pipe_of_its_width_gets() -> None:
    for width in (42, 37, 22):
        lines = drawn([NUMBERS], width)
        assert max(map(len, lines)) <= width
        assert [line for line in lines if "film" in line] == [
            line for line in document_text([NUMBERS], "text", width).splitlines() if line.startswith("film")
        ]
    assert "left out" in " ".join(drawn([NUMBERS], 22))


def test_a_wide_table_goes_over_the_edge_of_the_terminal_in_one_line_a_row() -> None:
    lines = drawn([Heading("title"), NUMBERS], 20, wide=True)
    assert "film   0.500   0.250  0.125         12.000" in lines and lines[0] == "title"


def test_the_terminal_obeys_no_markup_of_a_name() -> None:
    evil = table(name_column("model"), TableColumn("main"), cells=("[red]x[/red] :smile: \x1b[2J", 0.5))
    assert "[red]x[/red] :smile: \\u001b[2J" in " ".join(drawn([evil], 60))
