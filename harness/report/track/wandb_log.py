"""Weights & Biases: as its own environment says (WANDB_MODE, WANDB_DIR, WANDB_PROJECT, WANDB_ENTITY …)."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.report.track.tracker import LoggedValue, TrackedRun


@dataclass(frozen=True)
class Wandb:
    """Logs to a project; `folder` is where its run folders go, None as its environment says."""

    project: str
    folder: Path | None
    destination: str
    where: str
    name: str = "wandb"

    def start(self, run: TrackedRun) -> WandbLog:
        """Open a run of its own; raises wandb's errors, and UsageError where wandb is switched off."""
        import wandb

        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
        opened = wandb.init(
            project=self.project, name=run.name, group=run.group, config={**run.config, "key": run.key},
            dir=self.folder, reinit="create_new", settings=_settings(),
        )  # fmt: skip
        if opened.disabled:
            raise UsageError("wandb is switched off (WANDB_MODE=disabled), so nothing is logged.")
        return WandbLog(opened)


@dataclass(frozen=True)
class WandbLog:
    """One run."""

    run: Any

    def curve(self, step: int, values: Mapping[str, float]) -> None:
        """Log values at a step."""
        self.run.log(dict(values), step=step)

    def summary(self, values: Mapping[str, float]) -> None:
        """Set the run's summary."""
        self.run.summary.update(dict(values))

    def table(self, name: str, header: Sequence[str], rows: Sequence[Sequence[LoggedValue]]) -> None:
        """Log a table."""
        import wandb

        self.run.log({name: wandb.Table(columns=list(header), data=[list(row) for row in rows])})

    def file(self, path: Path) -> None:
        """Show a page in the run, save any other file with it."""
        import wandb

        if path.suffix == ".html":
            self.run.log({path.stem: wandb.Html(path.read_text(encoding="utf-8"), inject=False)})
        else:
            copy = Path(self.run.dir) / path.name  # of a file elsewhere wandb makes a link, and warns of it
            shutil.copyfile(path, copy)
            self.run.save(str(copy), base_path=self.run.dir, policy="now")

    def finish(self, *, ok: bool) -> None:
        """End the run and wait until everything is written or sent."""
        self.run.finish(exit_code=0 if ok else 1)


def require_login() -> None:
    """Log in before anything is trained, where runs are to be sent; raises UsageError when that cannot be done."""
    import wandb

    if wandb.setup().settings.mode in ("offline", "dryrun", "disabled"):
        return
    try:
        wandb.login()
    except (wandb.Error, wandb.errors.UsageError) as error:
        raise UsageError(
            f"--log wandb: {error} Log in with 'wandb login', set WANDB_API_KEY, or log to disk with "
            "WANDB_MODE=offline."
        ) from None


def _settings() -> Any:
    """Send what was measured and no more: this process is not the one that trained.

    The record holds the commit, the versions and the machine of the training; wandb would add those of the logging.
    """
    import wandb

    return wandb.Settings(
        console="off", silent=True, save_code=False, disable_git=True, symlink=False, x_disable_stats=True,
        x_disable_meta=True, x_disable_machine_info=True, x_save_requirements=False,
    )  # fmt: skip
