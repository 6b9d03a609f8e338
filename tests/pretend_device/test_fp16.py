"""Where `auto` is fp16, as on T4: the first step looks for the scale of losses, so that a single step learns."""

from __future__ import annotations

import json
from functools import partial

import pytest
import torch

from .cells import Folders, Wish, run_cells
from .device_tensor import PretendDevice
from .pretending import pretending


@pytest.mark.parametrize(
    "wish",
    [Wish("image-classification", "film"), Wish("zero-shot-classification", "dual-encoder")],
    ids=lambda wish: wish.model,
)
def test_one_step_is_made_at_the_scale_that_holds_its_gradients(
    wish: Wish, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torch begins at 2**16, where gradients above 1 overflow: whether a first step has those depends on the processor.

    So it begins at 2**30 here, where all gradients of an untrained model's size do: fp16 ends at 65504.
    """
    monkeypatch.setattr(torch.amp, "GradScaler", partial(torch.amp.GradScaler, init_scale=2.0**30))
    with pretending(PretendDevice()) as pretend:
        asked = Wish(wish.task, wish.model, {}, ("train.precision=fp16", "evaluate.emap=0"))
        (ran,) = run_cells(asked, folders, pretend).ran
    lines = [json.loads(line) for line in (ran.places.training / "log.jsonl").read_text().splitlines()]
    told = [line["warning"] for line in lines if "warning" in line]
    assert told and all(f"the step is made again, losses are scaled by {2**30 / 2**n:g} from here" in what
                        for n, what in enumerate(told, start=1))  # fmt: skip
    assert [line["step"] for line in lines if "loss" in line] == [1]
