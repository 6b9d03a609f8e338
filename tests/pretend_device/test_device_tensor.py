from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn

from .device_tensor import DeviceTensor, PretendDevice
from .pretending import pretending


@pytest.fixture
def pretend() -> Iterator[PretendDevice]:
    with pretending(PretendDevice(1)) as device:
        yield device


def test_what_cuda_refuses_is_refused(pretend: PretendDevice) -> None:
    there, here = torch.ones(3, device="cuda:1"), torch.ones(3)
    for mixed in (lambda: there + here, lambda: torch.cat([there, here]), lambda: there @ here):
        with pytest.raises(RuntimeError, match="at least two devices, cpu, cuda:1!"):
            mixed()
    with pytest.raises(RuntimeError, match="cuda:0, cuda:1"):
        there + torch.ones(3, device="cuda")
    with pytest.raises(TypeError, match=r"Use Tensor.cpu\(\)"):
        there.numpy()
    with pytest.raises(TypeError, match=r"Use Tensor.cpu\(\)"):
        np.asarray(there)
    with pytest.raises(RuntimeError, match="Expected a 'cuda' device type for generator"):
        torch.randn(3, device="cuda:1", generator=torch.Generator())
    with pytest.raises(RuntimeError, match="indices should be either on cpu"):
        here[there.long()]
    with pytest.raises(RuntimeError, match="is moved to cuda:0"):
        there.to("cuda:0")


def test_what_cuda_takes_is_taken(pretend: PretendDevice) -> None:
    there = torch.arange(6, device="cuda:1").float().reshape(2, 3)
    assert (there + torch.tensor(1.0)).tolist() == [[1, 2, 3], [4, 5, 6]]  # a scalar of the host
    assert there[torch.tensor([1])].tolist() == [[3, 4, 5]]  # an index of the host
    assert there[[0], 1].device == torch.device("cuda:1")
    there[there > 3] = 0.0
    assert there.cpu().numpy().tolist() == [[0, 1, 2], [3, 0, 0]]
    assert torch.where(there > 1, there, 7.0).is_cuda and torch.zeros_like(there).get_device() == 1


def test_waits_are_counted(pretend: PretendDevice) -> None:
    def waits() -> list[tuple[str, int]]:
        found = sorted((wait.kind, count) for wait, count in pretend.waits.found.items())
        pretend.waits.found.clear()
        return found

    there = torch.arange(4.0).to("cuda:1", non_blocking=True)
    view = (there * 2).view(2, 2).sum(dim=0)
    assert waits() == []
    assert float(view[0]) == 4.0 and bool(there.any()) and view.cpu().tolist() == [4, 8]
    assert waits() == [("copy to host", 1), ("scalar", 2)]
    assert there[there > 1].tolist() == [2, 3] and there.nonzero().shape == (3, 1)
    assert waits() == [("copy to host", 1), ("size", 2)]
    torch.tensor([1.0, 2.0], device="cuda:1")
    torch.ones(2).to("cuda:1")
    there[[0, 1]]
    assert waits() == [("copy to device", 3)]


def test_a_training_step_is_that_of_the_cpu() -> None:
    def trained(device: str) -> list[float]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 4), nn.LayerNorm(4)).to(device)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
        ids = torch.tensor([[1, 2], [3, 0]], device=device)
        for _ in range(3):
            model(ids)[ids > 0].square().mul(torch.arange(4, device=device)).sum().backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
        return [value for parameter in model.parameters() for value in parameter.detach().cpu().flatten().tolist()]

    expected = trained("cpu")
    with pretending(PretendDevice()):
        assert trained("cuda") == expected
    assert not torch.cuda.is_available() or torch.cuda.get_device_name() != "Pretended GPU"
    assert type(torch.ones(1)) is torch.Tensor and not issubclass(torch.Tensor, DeviceTensor)
