"""Image corruptions against `imagecorruptions` 1.1.2: CPU time of the 15 x 5 grid at 224 px on one core.

Run by hand: `python tests/benchmarks/bench_corruptions.py`. The package is made to run by
`tests/harness/perturb/published.py`. Both sides corrupt the same photographs (of coco-mini where it is there, else
pictures made by code) in turn, one thread each. A figure is the median over photographs of the process's CPU
milliseconds for one photograph, summed over the five severities. Fails when a target is missed: all 75 cells at most
1/12 of the package's total, and at most 1/4 without glass blur.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image
from threadpoolctl import threadpool_limits

from harness.perturb.image.blur import BLURS
from harness.perturb.image.corruption import Corruption
from harness.perturb.image.digital import DIGITAL
from harness.perturb.image.extra import EXTRA
from harness.perturb.image.noise import NOISES
from harness.perturb.image.weather import WEATHER

PHOTOGRAPHS = Path(__file__).parents[3] / "shared/data/coco-mini/val2017"
IMAGES, SIDE_PX, SEVERITIES = 8, 224, (1, 2, 3, 4, 5)
TARGET, TARGET_WITHOUT_GLASS = 1 / 12, 1 / 4
STANDARD = (*NOISES, *BLURS, *WEATHER, *DIGITAL)
Pixels = npt.NDArray[np.uint8]
Milliseconds = npt.NDArray[np.float64]
Both = tuple[float, float]


def main() -> int:
    cv2.setNumThreads(1)
    source, images = find_images()
    print(f"{len(images)} {source}, {SIDE_PX} x {SIDE_PX} px, OpenCV {cv2.__version__}, NumPy {np.__version__}")
    with threadpool_limits(1):
        times = measure((*STANDARD, *EXTRA), images)
    median = {name: (float(np.median(theirs)), float(np.median(ours))) for name, (theirs, ours) in times.items()}
    print(f"\nCPU ms an image, sum of severities 1-5\n{'':20}{'published':>12}{'ours':>10}{'ratio':>9}")
    for name, both in median.items():
        print(row(name, both))
    everything = total(median, [c.name for c in STANDARD])
    without_glass = total(median, [c.name for c in STANDARD if c.name != "glass-blur"])
    print(f"{row('all 75 cells', everything)}   target 1/12 = {TARGET:.3f}")
    print(f"{row('without glass blur', without_glass)}   target 1/4 = {TARGET_WITHOUT_GLASS:.3f}")
    met = everything[1] <= TARGET * everything[0] and without_glass[1] <= TARGET_WITHOUT_GLASS * without_glass[0]
    print("targets met" if met else "TARGET MISSED")
    return 0 if met else 1


def find_images() -> tuple[str, list[Pixels]]:
    paths = sorted(PHOTOGRAPHS.glob("*.jpg"))[:IMAGES]
    if paths:
        return f"photographs of {PHOTOGRAPHS}", [centre(Image.open(path).convert("RGB")) for path in paths]
    make_picture = load("conftest").make_picture
    return "pictures made by code", [make_picture(seed, SIDE_PX, SIDE_PX) for seed in range(IMAGES)]


def centre(image: Image.Image) -> Pixels:
    scale = SIDE_PX / min(image.size)
    small = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BILINEAR)
    left, top = (small.width - SIDE_PX) // 2, (small.height - SIDE_PX) // 2
    return np.asarray(small.crop((left, top, left + SIDE_PX, top + SIDE_PX)))


def load(name: str) -> ModuleType:
    path = Path(__file__).parents[1] / "harness" / "perturb" / f"{name}.py"
    specification = importlib.util.spec_from_file_location(f"corruptions_{name}", path)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


def measure(corruptions: tuple[Corruption, ...], images: list[Pixels]) -> dict[str, tuple[Milliseconds, Milliseconds]]:
    """Time both sides by corruption, `[images]` each; the first image is done once before, to fill caches."""
    peer = load("published")
    peer.load()
    times = {corruption.name: (np.zeros(len(images)), np.zeros(len(images))) for corruption in corruptions}
    for corruption in corruptions:
        for severity in SEVERITIES:
            for seed in range(20):  # all the frost textures
                corruption.apply(images[0][:64, :64], severity, np.random.default_rng(seed))
            peer.published(corruption.name, images[0][:64, :64], severity, np.random)
    for number, pixels in enumerate(images):
        for corruption in corruptions:
            for severity in SEVERITIES:
                rng = np.random.default_rng(number)
                times[corruption.name][0][number] += timed(
                    lambda: peer.published(corruption.name, pixels, severity, np.random)  # noqa: B023
                )
                times[corruption.name][1][number] += timed(lambda: corruption.apply(pixels, severity, rng))  # noqa: B023
        print(".", end="", flush=True)
    print()
    return times


def timed(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return 1000 * (time.process_time() - start)


def total(median: dict[str, Both], names: list[str]) -> Both:
    theirs, ours = (sum(median[name][side] for name in names) for side in (0, 1))
    return theirs, ours


def row(name: str, both: Both) -> str:
    return f"{name:20}{both[0]:12.1f}{both[1]:10.2f}{both[1] / both[0]:9.3f}"


if __name__ == "__main__":
    sys.exit(main())
