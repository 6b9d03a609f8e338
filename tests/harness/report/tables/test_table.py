"""A table's values, words and frame say the same; what is missing says why."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from dataclasses import replace

import pytest

from harness.record import Estimate
from harness.report.tables.document import Heading, Notes, document_text, markdown_table
from harness.report.tables.layout import laid_out
from harness.report.tables.table import (
    ALWAYS,
    MINUS,
    VALUE_ONLY,
    Table,
    TableCell,
    TableColumn,
    TableRow,
    name_column,
    score_cell,
    text_column,
    with_footnotes,
    without_empty_columns,
)
from harness.report.tables.values import table_csv

COLUMNS = (
    name_column("model"),
    TableColumn("top-1", importance=ALWAYS, interval=True, ends=("low", "high", "count")),
    TableColumn("NLL", direction=-1, ends=("reason",)),
    TableColumn("seconds", "latency", "cost", "seconds", "{:.1f} ms", 1e3, direction=-1),
    TableColumn("hidden", importance=VALUE_ONLY),
    text_column("note"),
)
ROWS = (
    TableRow(
        (
            TableCell("film", word="film [C1]"), score_cell(Estimate(0.5, 0.4, 0.6, 48)), TableCell(1.25),
            TableCell(0.0123), TableCell(7), TableCell("a|b"),
        ),
        level="control",
    ),
    TableRow(
        (
            TableCell("probe"), score_cell(None), TableCell(reason="it broke"), TableCell(word="–"), TableCell(),
            TableCell(),
        )
    ),
    TableRow((TableCell("ceiling: both"), TableCell(0.9), *[TableCell()] * 4), level="ceiling"),
)  # fmt: skip
TABLE = Table("t", "A table", COLUMNS, ROWS, ("a note",))


def test_readers_see_words_with_units_intervals_and_arrows() -> None:
    assert TABLE.texts() == [
        ["model", "top-1", "NLL ↓", "latency ↓", "note"],
        ["film [C1]", "0.500 [0.400, 0.600]", "1.250", "12.3 ms", "a|b"],
        ["probe", "absent", "", "–", ""],
        ["ceiling: both", "0.900", "", "", ""],
    ]


def test_a_ceiling_known_in_no_shown_column_is_no_line() -> None:
    table = replace(
        TABLE.only([0, 1, 2]),
        columns=(name_column("model"), TableColumn("wide " * 4, importance=10), TableColumn("NLL", importance=ALWAYS)),
        rows=(*(TableRow(row.cells[:3], level=row.level) for row in ROWS),),
    )
    assert [texts[0] for texts in laid_out(table, None).texts][-1] == "ceiling: both"
    narrow = laid_out(table, 20)
    assert narrow.dropped and [texts[0] for texts in narrow.texts] == ["model", "film [C1]", "probe"]


def test_a_frame_holds_raw_values_and_says_how_they_are_read() -> None:
    frame = TABLE.frame()
    assert list(frame.columns) == [
        "model", "top-1", "top-1 low", "top-1 high", "top-1 count", "NLL", "NLL reason", "seconds", "hidden", "note",
    ]  # fmt: skip
    assert list(frame["model"]) == ["film", "probe"], "ceilings are no rows of a frame"
    assert frame["seconds"][0] == 0.0123 and frame["top-1 low"][0] == 0.4
    assert frame["top-1"].isna().tolist() == [False, True] and frame["NLL reason"][1] == "it broke"
    assert frame.attrs["columns"]["seconds"] == {"title": "latency", "unit": "seconds", "direction": -1}
    assert (frame.attrs["title"], frame.attrs["notes"]) == ("A table", ["a note"])


def test_csv_holds_what_the_frame_holds_and_tables_share_one_heading() -> None:
    other = Table("o", "", (TableColumn("model"), TableColumn("mAP")), (TableRow((TableCell("=x"), TableCell(1.0))),))
    film, probe, last = csv.DictReader(io.StringIO(table_csv([TABLE, other])))
    assert (film["top-1"], film["hidden"], film["mAP"]) == ("0.5", "7", "")
    assert (probe["top-1"], probe["NLL reason"]) == ("", "it broke")
    assert (last["model"], last["mAP"]) == ("'=x", "1.0"), "no cell is a formula"
    assert table_csv([Table("e", "", COLUMNS[:2], ())]) == "model,top-1,top-1 low,top-1 high,top-1 count"


def test_a_reason_gets_one_number_however_often_it_turns_up() -> None:
    cells = (TableCell(reason="b"), TableCell(reason="a", word="failed"), TableCell(reason="b"), TableCell(2.0))
    numbered = with_footnotes(Table("t", "", (TableColumn("x"),), tuple(TableRow((cell,)) for cell in cells), ("n",)))
    assert [row.cells[0].word for row in numbered.rows] == ["– (1)", "failed (2)", "– (1)", None]
    assert numbered.notes == ("n", "(1) b", "(2) a")


def test_columns_without_content_are_left_out_and_numbers_among_them_named() -> None:
    empty = TABLE.only(range(6))
    rows = tuple(TableRow((row.cells[0], score_cell(None), *[TableCell()] * 4), row.level) for row in empty.rows)
    shown, absent = without_empty_columns(Table("t", "", COLUMNS, rows))
    assert [column.name for column in shown.columns] == ["model", "hidden"]
    assert absent == ("top-1", "NLL", "latency")


def test_markdown_cannot_be_broken_by_a_cell() -> None:
    lines = markdown_table(TABLE).splitlines()
    assert lines[:3] == [
        "| model | top-1 | NLL ↓ | latency ↓ | note |",
        "|---|---:|---:|---:|---|",
        "| film [C1] | 0.500 [0.400, 0.600] | 1.250 | 12.3 ms | a\\|b |",
    ]
    assert "| probe | absent | – (1) | – |  |" in lines and lines[-2:] == ["- a note", "- (1) it broke"]


def test_a_document_is_text_or_markdown() -> None:
    blocks = [Heading("What", "on what"), "A sentence.", Notes(()), "", Notes(("one", "two"))]
    assert document_text(blocks, "text") == "What  on what\n\nA sentence.\n\none\ntwo"
    assert document_text(blocks, "md") == "**What**  on what\n\nA sentence.\n\n- one\n- two"


@pytest.mark.parametrize(
    ("estimate", "shown"),
    [
        (Estimate(-0.5, -0.75, 0.25, 9), f"{MINUS}0.500 [{MINUS}0.750, +0.250]"),
        (Estimate(0.5, None, None, 1, "too few: 1 image"), "+0.500 (too few: 1 image)"),
    ],
)
def test_differences_carry_their_signs(estimate: Estimate, shown: str) -> None:
    column = TableColumn("gap", style="{:+.3f}", minus=MINUS, interval=True)
    assert column.whole(TableCell(estimate.value, estimate)) == shown


def test_drawing_needs_no_pandas() -> None:
    program = (
        "import sys\n"
        "from harness.plan.installed import catalogue\n"
        "from harness.report.installed_tables import catalogue_table\n"
        "from harness.report.tables.document import document_text\n"
        "assert 'film' in document_text([catalogue_table(catalogue('models')[0])], 'text')\n"
        "assert not {'pandas', 'numpy', 'rich'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
