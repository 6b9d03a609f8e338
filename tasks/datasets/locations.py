"""Where a run's data is: `--data`, else `$BENCH_DATA`, else `./data/coco`, else the built-in Scenes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.errors import DataError, UsageError
from harness.protocols import DataContext


def refuse_settings(context: DataContext, names: Sequence[str], reason: str) -> None:
    """Raise UsageError for settings that the data has no use for, rather than leave them out unsaid."""
    for name in names:
        if context.settings.get(name) is not None:
            raise UsageError(f"The setting '{name}' ({context.settings[name]}) {reason}. Leave it out.")


def locate_data(context: DataContext) -> Path | None:
    """Find the folder that a run means, None for Scenes; raises DataError for `--data coco` where COCO is not."""
    coco = context.working_directory / "data" / "coco"
    if context.wish == "scenes":
        return None
    if context.wish == "coco":
        return _coco_by_name(context, coco)
    if context.wish is not None:
        return Path(context.wish).expanduser()
    if context.environment:
        return Path(context.environment).expanduser()
    return coco if coco.is_dir() else None


def _coco_by_name(context: DataContext, default: Path) -> Path:
    for folder in [Path(context.environment)] if context.environment else [default]:
        if folder.is_dir():
            return folder
    here = context.working_directory / "coco"
    own = f" For the folder {here} write --data ./coco." if here.is_dir() else ""
    raise DataError(
        f"--data coco: COCO is not here (looked at {context.environment or default}).{own} 'bench data get "
        "coco-2017' fetches it for --data coco-2017; else put it there, set BENCH_DATA to its folder, give its path "
        "with --data, or take --data scenes, which needs no download."
    )
