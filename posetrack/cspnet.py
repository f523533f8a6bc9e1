"""NanoDet-g's body and path aggregation: plain 3x3 convolutions, which CPUs and GPUs with matrix units do fast.

After RangiLyu/nanodet (Apache-2.0), `CspNet` with `PAN`: cross-stage blocks whose convolutions have a bias and a leaky
ReLU in place of norms (folded in the published weights), and a pyramid of 128 channels that is summed down, then up.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["CSP_CHANNELS", "CspBody", "CspPyramid"]

CSP_CHANNELS = (128, 256, 512)
"""Channels of the body at strides 8, 16 and 32."""

SLOPE = 0.1


def conv(channels: int, filters: int, stride: int = 1) -> nn.Sequential:
    """A 3x3 convolution with a bias and its leaky ReLU."""
    return nn.Sequential(nn.Conv2d(channels, filters, 3, stride, 1), nn.LeakyReLU(SLOPE, inplace=True))


class CspUnit(nn.Module):
    """Two convolutions to half the channels each, side by side in the result."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv(channels, channels // 2)
        self.second = conv(channels // 2, channels // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) of the same."""
        a = self.first(x)
        return torch.cat([self.second(a), a], 1)


class CspBlock(nn.Module):
    """Units between two convolutions; the first one's maps go around them: twice the channels come out."""

    def __init__(self, channels: int, units: int, stride: int) -> None:
        super().__init__()
        self.entry = conv(channels, channels, stride)
        self.units = nn.Sequential(*(CspUnit(channels) for _ in range(units)))
        self.exit = conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 2 x channels, H / stride, W / stride) of (N, channels, H, W)."""
        a = self.entry(x)
        return torch.cat([self.exit(self.units(a)), a], 1)


class CspBody(nn.Sequential):
    """The body: modules 0 to 5, of which the last three end at strides 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__(
            conv(3, 32, 2),
            nn.MaxPool2d(3, 2, 1),
            CspBlock(32, 1, 1),
            CspBlock(64, 2, 2),
            CspBlock(128, 2, 2),
            CspBlock(256, 3, 2),
        )


class CspPyramid(nn.Module):
    """The body under a pyramid summed down and up again, with a fourth level by max-pooling."""

    def __init__(self, channels: int = 128) -> None:
        super().__init__()
        self.out_channels = channels
        self.body = CspBody()
        self.laterals = nn.ModuleList(nn.Conv2d(c, channels, 1) for c in CSP_CHANNELS)
        self.outputs = nn.ModuleList(conv(channels, channels) for _ in CSP_CHANNELS)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Maps "0", "1", "2", "pool" (N, channels, H/s, W/s), s = 8, 16, 32, 64, of images (N, 3, H, W)."""
        x = images
        levels = []
        for i, module in enumerate(self.body):
            x = module(x)
            if i >= len(self.body) - len(CSP_CHANNELS):
                levels.append(x)
        return self.merge(levels)

    def merge(self, levels: list[Tensor]) -> dict[str, Tensor]:
        """The pyramid of the body's maps at strides 8, 16 and 32."""
        fine, middle, coarse = (lateral(level) for lateral, level in zip(self.laterals, levels, strict=True))
        middle = middle + _resized_to(coarse, middle)
        fine = fine + _resized_to(middle, fine)
        middle = middle + _resized_to(fine, middle)
        coarse = coarse + _resized_to(middle, coarse)
        maps = [output(x) for output, x in zip(self.outputs, (fine, middle, coarse), strict=True)]
        result = {str(i): x for i, x in enumerate(maps)}
        result["pool"] = functional.max_pool2d(maps[-1], 1, 2)
        return result


def _resized_to(x: Tensor, other: Tensor) -> Tensor:
    return functional.interpolate(x, size=other.shape[-2:], mode="bilinear", align_corners=False)
