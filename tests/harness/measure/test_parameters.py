"""Parameter counts: shared tensors once, and trainable as the learner says."""

from __future__ import annotations

import torch
from torch import nn

from harness.measure.parameters import ParameterCount, count_parameters


def tied() -> nn.Module:
    network = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 10, bias=False), nn.BatchNorm1d(10))
    network[1].weight = network[0].weight
    return network


def test_a_shared_tensor_counts_once_and_buffers_do_not() -> None:
    assert count_parameters(tied()) == ParameterCount(total=40 + 20, trainable=60)


def test_frozen_parameters_are_not_trainable() -> None:
    network = tied()
    network[0].weight.requires_grad_(False)
    assert count_parameters(network) == ParameterCount(total=60, trainable=20)


def test_what_the_learner_trains_overrides_requires_grad() -> None:
    network = tied()
    assert count_parameters(network, []) == ParameterCount(total=60, trainable=0)
    outside = nn.Parameter(torch.zeros(5))
    count = count_parameters(network, [network[0].weight, network[1].weight, outside])
    assert count == ParameterCount(total=65, trainable=45)
