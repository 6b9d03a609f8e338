from __future__ import annotations

import pytest
import torch

from .measure import main


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device here")
@pytest.mark.timeout(480)
def test_what_only_a_gpu_can_show() -> None:
    assert main([]) == 0


def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main([]) == 0
    told = capsys.readouterr()
    assert not told.out and "torch finds no CUDA device here" in told.err
