"""How other machines are named: `SCHEME://PLACE?gpus=N&…`, of which `gpus` is read alike everywhere."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from harness.errors import UsageError

GPUS = "gpus"


@dataclass(frozen=True)
class ExecutorAddress:
    """A place where cells run, and its options; `gpus` is what a cell takes of them, None where nothing was said."""

    wish: str
    place: str
    options: Mapping[str, str]

    @staticmethod
    def parse(wish: str, known: Collection[str] | None = None) -> ExecutorAddress:
        """Take `--executor` apart; raises UsageError for an option that is none of `known`, where these are given."""
        place, _, query = wish.partition("://")[2].partition("?")
        try:
            options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
        except ValueError:
            options = {query: ""}
        if known is not None and (unknown := [name for name in options if name not in known]):
            raise UsageError(
                f"--executor {wish}: '{unknown[0]}' is not known after the question mark. Known: "
                f"{', '.join(f'{name}=…' for name in known)}, with & between."
            )
        return ExecutorAddress(wish, place.rstrip("/"), options)

    @property
    def gpus(self) -> float | None:
        """GPUs a cell: a whole number, or a part of one below 1; raises UsageError for anything else."""
        text = self.options.get(GPUS)
        if text is None:
            return None
        try:
            gpus = float(text)
        except ValueError:
            gpus = -1.0
        if not (0 < gpus < 1 or gpus in range(65)):
            raise UsageError(
                f"--executor {self.wish}: gpus={text}; wanted a part of a GPU, as 0.5, or 0, 1, 2 and so on."
            )
        return gpus

    def gpus_a_cell(self, processes: int, *, spreads: bool) -> float:
        """How many GPUs a cell of so many processes asks for, of which models may be spread over all that it has.

        Raises UsageError where that cannot be, or must be said.
        """
        gpus = self.gpus
        if gpus is None:
            if spreads:
                raise UsageError(
                    f"--executor {self.wish}: model.device_map spreads a network over the GPUs of its cell. Say how "
                    f"many these are: {self.wish}{'&' if self.options else '?'}gpus=2."
                )
            return float(processes)
        if processes > 1 and gpus < processes:
            raise UsageError(
                f"--executor {self.wish}: train.processes={processes} takes a GPU for each process, and gpus={gpus:g} "
                f"gives a cell fewer. Take gpus={processes}, or leave it out."
            )
        return gpus

    @property
    def gpu_part(self) -> float:
        """How much of a GPU's memory a cell may fill."""
        gpus = self.gpus
        return gpus if gpus is not None and 0 < gpus < 1 else 1.0

    def whole(self, name: str, default: int) -> int:
        """Read an option that is a whole number above 0; raises UsageError for anything else."""
        text = self.options.get(name, str(default))
        if not (text.isdecimal() and int(text)):
            raise UsageError(f"--executor {self.wish}: {name}={text}; wanted a whole number above 0.")
        return int(text)
