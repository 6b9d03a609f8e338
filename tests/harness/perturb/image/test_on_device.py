from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch

from harness.errors import DataError, UsageError
from harness.perturb.image.blur import BLURS
from harness.perturb.image.digital import DIGITAL
from harness.perturb.image.extra import EXTRA
from harness.perturb.image.noise import NOISES
from harness.perturb.image.on_device import ON_DEVICE, corrupt_on_device
from harness.perturb.image.weather import WEATHER

Pixels = npt.NDArray[np.uint8]
CORRUPTIONS = {corruption.name: corruption for corruption in (*NOISES, *BLURS, *WEATHER, *DIGITAL, *EXTRA)}


def assert_equal(name: str, pictures: list[Pixels], device: str) -> None:
    """Within one level, few values apart; where there is only a look-up, to the bit."""
    batch = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).to(device)
    before = batch.clone()
    for severity in (1, 2, 3, 4, 5):
        result = corrupt_on_device(name, batch, severity, [np.random.default_rng(n) for n in range(len(pictures))])
        assert result.dtype == torch.uint8 and result.device == batch.device and result.shape == batch.shape
        expected = [CORRUPTIONS[name].apply(p, severity, np.random.default_rng(n)) for n, p in enumerate(pictures)]
        apart = np.abs(result.permute(0, 2, 3, 1).cpu().numpy().astype(int) - np.stack(expected))
        assert apart.max() <= (0 if name in ("brightness", "impulse-noise", "shot-noise") else 1), severity
        assert apart.mean() < 0.1, severity
    assert torch.equal(batch, before)


@pytest.mark.parametrize("size", [(8, 8), (31, 17), (64, 64), (90, 40), (1, 5)], ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize("name", ON_DEVICE)
def test_equals_the_one_for_numpy(name: str, size: tuple[int, int], picture: Callable[..., Pixels]) -> None:
    assert_equal(name, [picture(1, *size), picture(2, *size), np.full((*size, 3), 90, np.uint8)], "cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_equals_the_one_for_numpy_on_a_gpu(picture: Callable[..., Pixels]) -> None:
    for name in ON_DEVICE:
        assert_equal(name, [picture(1, 90, 120), picture(2, 90, 120)], "cuda")


def test_what_it_refuses() -> None:
    batch, rngs = torch.zeros((1, 3, 9, 9), dtype=torch.uint8), [np.random.default_rng(0)]
    with pytest.raises(UsageError, match="Did you mean 'fog'"):
        corrupt_on_device("fogg", batch, 1, rngs)
    with pytest.raises(UsageError, match="no severity 0"):
        corrupt_on_device("fog", batch, 0, rngs)
    for images, generators in ((batch.float(), rngs), (batch[0], rngs), (batch[:, :1], rngs), (batch, rngs * 2)):
        with pytest.raises(DataError, match=r"wanted uint8 \[B, 3, H, W\] and B generators"):
            corrupt_on_device("fog", images, 1, generators)
