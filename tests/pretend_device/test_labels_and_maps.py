from __future__ import annotations

from dataclasses import replace

from harness.cell import Places
from harness.jobs import named_jobs

from .cells import Folders, Wish, quiet
from .checks import answered, check_task
from .device_tensor import PretendDevice
from .pretending import pretending


def test_classifiers(folders: Folders) -> None:
    found = check_task(Wish("image-classification", "all"), "film", folders)
    assert min(answered(found, ("gaussian-noise-3", "pgd-linf-1", "typo-keyboard-3", "joint-attack-1"))) >= 1


def test_classifiers_of_unseen_classes(folders: Folders) -> None:
    found = check_task(Wish("zero-shot-classification", "all"), "dual-encoder", folders)
    assert min(answered(found, ("gaussian-noise-3", "pgd-linf-1", "typo-keyboard-3", "joint-attack-1"))) >= 1


def test_segmenters(folders: Folders) -> None:
    found = check_task(Wish("coco-segmentation", "all"), "film", folders)
    assert answered(found, ("gaussian-noise-3", "pgd-linf-1", "typo-keyboard-3", "joint-attack-1")) == [9, 9, 6, 1]


def test_the_backbone_itself(folders: Folders) -> None:
    with pretending(PretendDevice(index=1)):
        plan = Wish("image-classification", "vision-only").planned(folders, "cuda:1")[1]
        (job,) = plan.prerequisites.values()
        assert job.device == "cuda"
        short = replace(job.train, steps=1, batch_size=2, limit=4, validation_limit=2, validations=1, gate_steps=0)
        made = named_jobs.train(
            replace(job, device="cuda:1", train=short), Places(folders.cache, folders.results, None), quiet
        )
    assert made["steps"] == 1


def test_what_a_cell_costs(folders: Folders) -> None:
    with pretending(PretendDevice(index=1)):
        (cell,) = Wish("image-classification", "vision-only").planned(folders, "cuda:1")[1].cells
        places = Places(folders.cache, folders.results, folders.prerequisite)
        named_jobs.train(cell.training, places, quiet)
        costs = named_jobs.profile(cell, places, quiet)
    assert costs.parameters_total and costs.latency_p50_seconds
