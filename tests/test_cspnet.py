"""The CSP body and pyramid: the published network's size and strides."""

from __future__ import annotations

import pytest
import torch

from posetrack.cspnet import CSP_CHANNELS, CspBody, CspPyramid


def test_parameters_are_those_of_nanodet_g_without_its_outputs():
    """3.81 M in all, of which 3 x (128 x 124 + 124) are the outputs for 80 classes and 44 distances."""
    assert sum(p.numel() for p in CspPyramid().parameters()) == 3_738_080
    assert sum(p.numel() for p in CspPyramid().parameters()) + 3 * (128 * 124 + 124) == pytest.approx(3.81e6, rel=0.01)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (96, 160)])
@torch.inference_mode()
def test_levels_have_their_strides(height, width):
    maps = CspPyramid(16)(torch.zeros(2, 3, height, width))
    assert list(maps) == ["0", "1", "2", "pool"]
    for (_, x), stride in zip(maps.items(), (8, 16, 32, 64), strict=True):
        assert x.shape == (2, 16, -(-height // stride), -(-width // stride))


@torch.inference_mode()
def test_channels_of_the_body():
    x = torch.zeros(1, 3, 64, 64)
    channels = []
    for module in CspBody():
        x = module(x)
        channels.append(x.shape[1])
    assert tuple(channels[-3:]) == CSP_CHANNELS
