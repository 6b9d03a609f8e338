"""What was published for ImageNet-C: AlexNet's errors, and other names of the same corruptions.

The errors are those of torchvision's AlexNet on the 50,000 validation images of ImageNet-1k in ImageNet-C, top-1, the
mean over severities 1 to 5. They stand, six digits long, in `ALEXNET_ERR` of google-research/augmix, imagenet.py, which
took them from hendrycks/robustness; mmpretrain's and others' `get_ce_alexnet` hold the same. The clean error is the
one that torchvision's documentation of 2017 gives for the same weights (43.45 %; a later one prints 43.478).
"""

from __future__ import annotations

from harness.judge.robustness.reference import ReferenceScope, ReferenceTable
from harness.perturb.grids import STANDARD_CORRUPTIONS

EXTRA_CORRUPTIONS = ("speckle-noise", "gaussian-blur", "spatter", "saturate")
"""The four of ImageNet-C beside the 15, which no mean is taken over."""

_ALEXNET_ERRORS = (
    0.886428, 0.894468, 0.922640, 0.819880, 0.826268, 0.785948, 0.798360, 0.866816, 0.826572, 0.819324, 0.564592,
    0.853204, 0.646056, 0.717840, 0.606500,
)  # fmt: skip

ALEXNET = ReferenceTable(
    name="alexnet",
    errors=dict(zip(STANDARD_CORRUPTIONS, _ALEXNET_ERRORS, strict=True)),
    clean_error=0.4345,
    source="Hendrycks & Dietterich 2019, arXiv 1903.12261; google-research/augmix, imagenet.py; torchvision's models",
    scope=ReferenceScope(task="image-classification", metric="top-1", shortest_px=224, chance=0.001),
)
"""Only for top-1 over the 1,000 classes of ImageNet-1k."""

_OTHER_NAMES = {"jpeg-compression": "jpeg", "elastic": "elastic-transform"}


def canonical_name(name: str) -> str:
    """Turn a published name of a corruption into ours.

    >>> canonical_name("JPEG Compression"), canonical_name("gaussian_noise")
    ('jpeg', 'gaussian-noise')
    """
    plain = "-".join(name.strip().lower().replace("_", " ").replace("-", " ").split())
    return _OTHER_NAMES.get(plain, plain)
