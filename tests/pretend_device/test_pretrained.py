"""Pretrained checkpoints on the pretended device, tiny ones: CLIP's models through the jobs, and detectors' waits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.sample import Batch
from tests.baselines.clip.conftest import save_open_clip
from tests.baselines.pretrained.taking import OBJECTS, REGIONS, build, classes, fitted, photographs
from tests.baselines.pretrained.tiny_networks import IMAGE_NETWORKS

from .cells import Folders, Wish, run_cells
from .device_tensor import PretendDevice
from .pretending import pretending

_CLIP = "clip-zero-shot,clip-linear-probe,clip-coop,clip-adapter,clip-tip-adapter,clip-tip-adapter-f,clip-wise-ft"
_CEILING = 4
"""So often a batch may wait whatever it holds: once for the answers, the rest within the networks of transformers."""
_OF_NETWORK = {"grounding_dino": 11}
"""Its network looks up on the host where phrases end in the text, which is the same for all images."""


def test_models_of_clip(folders: Folders, tmp_path: Path) -> None:
    wish = f"local-dir:{save_open_clip('clip', tmp_path, tmp_path)}"
    with pretending(PretendDevice(index=1)) as pretend:
        run = run_cells(Wish("zero-shot-classification", _CLIP, {}, (f"model.clip={wish}",)), folders, pretend)
    assert len(run.ran) == len(_CLIP.split(","))
    for one in run.ran:
        assert len(one.answers) == 2 and one.cell.training.device == "cuda:1"


def waits_of_a_batch(name: str, count: int, folder: Path) -> int:
    """How often the host waits while so many images of one shape, which is one pass, are answered."""
    torch.manual_seed(7)
    if not folder.exists():
        for part in IMAGE_NETWORKS[name]():
            part.save_pretrained(folder)
    with pretending(PretendDevice()) as pretend:
        learner = build(folder, classes(*(REGIONS if name == "clipseg" else OBJECTS))).to("cuda:0").eval()
        images = photographs([(96, 60)] * count)
        pixels = fitted(learner, images).to("cuda:0", non_blocking=True)
        names, sizes = tuple(map(str, range(count))), tuple(image.size for image in images)
        with torch.inference_mode():
            batch = Batch(names, learner.vision(pixels), (None,) * count, None, sizes)
            before = pretend.waits.found.copy()
            assert len(learner.predict(batch)) == count
            found = pretend.waits.found - before
    return found.total()


@pytest.mark.parametrize("name", ["detr", "conditional_detr", "rt_detr", "yolos", "owlvit", "owlv2", "grounding_dino"])
def test_detectors_wait_for_no_image_of_a_batch(name: str, tmp_path: Path) -> None:
    few, many = (waits_of_a_batch(name, count, tmp_path / name) for count in (2, 8))
    assert many == few <= _OF_NETWORK.get(name, _CEILING)
