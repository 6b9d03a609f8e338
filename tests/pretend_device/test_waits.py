"""How often the host may wait for the device in each step of a training and each batch of answers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from harness.cell import Places
from harness.jobs import named_jobs

from .cells import Folders, Wish
from .device_tensor import PretendDevice
from .pretending import pretending

REMARKS = {"scenes_track": "context"}
SETTINGS = (
    "train.steps=3",
    "train.batch_size=4",
    "evaluate.batch_size=4",
    "evaluate.limit=8",
    "evaluate.emap=0",
    "decode.max_tokens=8",
)


@dataclass
class WaitsOfSteps:
    """Takes a job's progress; remembers what was waited for between a step's report and the one before it."""

    pretend: PretendDevice
    steps: list[tuple[str, Counter[Any]]] = field(default_factory=list)
    _before: Counter[Any] = field(default_factory=Counter)
    _last: str = ""

    def __call__(self, phase: str, done: int, total: int) -> None:
        if phase == self._last:
            self.steps.append((phase, self.pretend.waits.found - self._before))
        self._before, self._last = self.pretend.waits.found.copy(), phase

    def most(self, phase: str) -> Counter[Any]:
        """The step with most waits."""
        return max((waits for name, waits in self.steps if name == phase), key=Counter.total)


def waits_of(wish: Wish, folders: Folders) -> tuple[Counter[Any], Counter[Any]]:
    """The waits of a step of training, and of a batch of answers."""
    with pretending(PretendDevice()) as pretend:
        (cell,) = replace(wish, settings=(*SETTINGS, *wish.settings)).planned(folders, "cuda:0")[1].cells
        prerequisite = None if cell.training.prerequisite is None else folders.prerequisite
        places = Places(folders.cache, folders.results, prerequisite)
        watch = WaitsOfSteps(pretend)
        named_jobs.train(cell.training, places, watch)
        named_jobs.predict(cell, places, watch)
    return watch.most("training"), watch.most("predicting")


@pytest.mark.parametrize(
    ("wish", "ceiling"),
    [
        (Wish("coco-detection", "film"), 4),
        (Wish("coco-detection", "class-embedding[C3]", {}, ("model.box_head=set",)), 4),
        (Wish("coco-segmentation", "class-embedding[C4]"), 4),
        (Wish("zero-shot-classification", "dual-encoder"), 4),
        (Wish("image-classification", "film[C4]", REMARKS), 4),
        (Wish("image-classification", "concat[C6]", REMARKS), 5),  # transformers looks once at the mask of new texts
        (Wish("coco-caption", "cnn-lstm"), 4),
    ],
    ids=lambda value: value.model if isinstance(value, Wish) else "",
)
def test_steps_and_batches(wish: Wish, ceiling: int, folders: Folders) -> None:
    training, predicting = waits_of(wish, folders)
    assert training.total() <= ceiling, training  # the loss and its gradient's norm must be finite: these are two
    assert predicting.total() <= ceiling - 3, predicting  # what was found comes to the host at once


@pytest.mark.parametrize("beams", [1, 2])
def test_one_wait_in_eight_words(beams: int, folders: Folders) -> None:
    settings = ("decode.max_tokens=16", f"decode.beams={beams}")
    _, predicting = waits_of(Wish("coco-caption", "cross-attention", {}, settings), folders)
    assert predicting.total() <= 2, predicting  # one after eight words, and the answers
