"""Shows documents: drawn by rich on a terminal, plain in a pipe, whose tables fit 100 columns, and in files."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from harness.cli.flags import in_output
from harness.cli.options import write

if TYPE_CHECKING:
    from harness.report.tables.document import Block

Wide = Annotated[bool, in_output("--wide", help="Show all columns of text, however wide.")]


def show_document(blocks: Sequence[Block], style: str = "text", out: Path | None = None, *, wide: bool = False) -> None:
    """Print or write as text or md; text leaves out columns that do not fit, unless it is `wide`."""
    from harness.report.tables.document import document_text
    from harness.report.tables.layout import PIPE_WIDTH

    if style == "text" and out is None and sys.stdout.isatty():
        from rich.console import Console

        from harness.report.tables.terminal import print_document

        print_document(blocks, Console(), wide=wide)
    else:
        width = PIPE_WIDTH if out else shutil.get_terminal_size((PIPE_WIDTH, 0)).columns  # $COLUMNS, where it is set
        write(document_text(blocks, style, None if wide else width), out)
