"""Fused activations give what the plain modules give."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from posetrack.backbone import MobileNetBody
from posetrack.fused import FusedConv2d, can_fuse, fuse_activations
from posetrack.pose.network import fold_batch_norms


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.inference_mode()
def test_a_fused_body_gives_the_plain_maps(dtype):
    torch.manual_seed(0)
    plain = fold_batch_norms(MobileNetBody()).to(dtype).to(memory_format=torch.channels_last)
    fused = copy.deepcopy(plain)
    if can_fuse(dtype):
        fuse_activations(fused)
    x = torch.randn(1, 3, 64, 96).to(dtype).contiguous(memory_format=torch.channels_last)
    for a, b in zip(plain.levels(x), fused.levels(x), strict=True):
        assert torch.allclose(a, b, rtol=1e-5 if dtype == torch.float32 else 1e-2, atol=1e-6)


@pytest.mark.skipif(not can_fuse(), reason="this PyTorch has no fused convolutions")
@pytest.mark.parametrize(
    ("modules", "fused"),
    [
        ([nn.Conv2d(3, 4, 3), nn.ReLU()], True),
        ([nn.Conv2d(3, 4, 3), nn.Identity(), nn.ReLU6()], True),
        ([nn.Conv2d(3, 4, 3), nn.LeakyReLU(0.1)], True),
        ([nn.Conv2d(3, 4, 3, bias=False), nn.ReLU()], False),
        ([nn.Conv2d(3, 4, 3, dilation=2), nn.ReLU()], False),
        ([nn.Conv2d(3, 4, 3), nn.Sigmoid()], False),
        ([nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()], False),
    ],
)
def test_only_a_convolution_with_bias_and_its_own_activation_is_fused(modules, fused):
    network = nn.Sequential(*modules).eval()
    x = torch.randn(1, 3, 9, 9)
    with torch.inference_mode():
        before = network(x)
        fuse_activations(network)
        after = network(x)
    assert isinstance(network[0], FusedConv2d) == fused
    assert torch.allclose(before, after, atol=1e-6)


@pytest.mark.skipif(not can_fuse(), reason="this PyTorch has no fused convolutions")
def test_order_is_known_in_sequences_only():
    class Other(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 3), nn.ReLU()

    network = fuse_activations(Other())
    assert isinstance(network.first, nn.Conv2d)
