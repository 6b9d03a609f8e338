"""What every model of every task must stand on the pretended device."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from .cells import Folders, RunOnDevice, Wish, perturbed, run_cells
from .device_tensor import PretendDevice
from .pretending import pretending

_OF_ALL = ("gaussian-noise:3", "typo-keyboard:3", "pgd-linf:1")
"""Of every model: images that were changed on the device, changed words, and an attack through its gradients."""
_OF_ONE = (
    "rotate:2", "gaussian-noise:3+typo-keyboard:3", "text-attack:1",
    "glass-blur:5", "fog:3", "jpeg:5", "flip:1", "blank-image:1", "wrong-image:1", "wrong-text:1", "pgd-l2:1",
    "apgd-l2:1", "square-linf:1", "joint-attack:1",
)  # fmt: skip
"""Of one model of a task, as they do not depend on it: each other way to perturb, and each attack with its gates."""


def check_task(wish: Wish, representative: str, folders: Folders) -> Counter[str]:
    """Run all models of a task in bf16 on a second device, then perturb and attack them; counts answers by status.

    The representative runs once more on a first and only device that is older than bf16 and fp16 (Pascal).
    """
    with pretending(PretendDevice(index=1)) as pretend:
        run = run_cells(wish, folders, pretend)
        _check_answers(run, "cuda:1", "bf16")
        found = perturbed(run, ",".join(_OF_ALL), folders, gates=False)
        chosen = [one for one in run.ran if one.cell.training.model == representative]
        found += perturbed(run, ",".join(_OF_ONE), folders, chosen)
    alone = Wish(wish.task, representative, wish.flags, wish.settings)
    with pretending(PretendDevice(index=0, bf16=False)) as pretend:
        _check_answers(run_cells(alone, folders, pretend), "cuda:0", "fp32")
    return found


def answered(found: Counter[str], labels: Iterable[str]) -> list[int]:
    """How many models have answered under each of these conditions."""
    return [found[f"{label} ok"] for label in labels]


def _check_answers(run: RunOnDevice, device: str, precision: str) -> None:
    for one in run.ran:
        assert one.cell.training.device == device and one.cell.training.train.precision == precision
        assert len(one.answers) == 2, one.cell.label
