"""Answers to N questions as they were judged: what the metrics of questions are computed of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True)
class JudgedQuestion:
    """One question: whether its answer was `right`, and whether any was given (`answered`).

    `yes` says whether yes is right of a yes/no question, None for others; `said_yes` what was answered, None for no
    answer; `yes_score` how much likelier yes is than no, None where no scores were given. `agreement` is the VQA
    accuracy, None where one person answered. `group` names a group of images and questions, with `image` and `question`
    within it. `is_prior` says whether the answer is the commonest of such questions in training, None where none is.
    """

    right: bool
    answered: bool = True
    yes: bool | None = None
    said_yes: bool | None = None
    yes_score: float | None = None
    agreement: float | None = None
    group: str = ""
    image: str = ""
    question: str = ""
    is_prior: bool | None = None


@dataclass(frozen=True)
class JudgedQuestions:
    """Questions in the order of their samples."""

    rows: Sequence[JudgedQuestion]

    def __len__(self) -> int:
        return len(self.rows)

    def marks(self, name: str) -> npt.NDArray[np.bool_]:
        """[N] where a member is true."""
        import numpy as np

        return np.array([getattr(row, name) is True for row in self.rows], dtype=np.bool_)

    def known(self, name: str) -> npt.NDArray[np.bool_]:
        """[N] where a member is not None."""
        import numpy as np

        return np.array([getattr(row, name) is not None for row in self.rows], dtype=np.bool_)

    def numbers(self, name: str) -> npt.NDArray[np.float64]:
        """[N] a member; NaN where it is None."""
        import numpy as np

        values = [getattr(row, name) for row in self.rows]
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
