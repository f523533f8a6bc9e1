"""What the pose network shall give: a Gaussian at every joint, and the loss that compares.

`reference_heatmaps` is the reference's target to the last rounding (REFERENCE 2.7); `heatmaps` puts the Gaussian at
the sub-pixel joint and is what our own networks learn.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from posetrack.types import Floats

__all__ = ["heatmaps", "joints_mse", "reference_heatmaps", "sigma_for", "to_heatmap"]


def sigma_for(height: int) -> float:
    """The Gaussian's deviation for heatmaps `height` pixels high: the paper's 2 at 64 and 3 at 96."""
    return height / 32


def to_heatmap(joints: Floats, stride: int) -> Floats:
    """Input pixels (..., 2) in heatmap pixels, pixel centres aligned: (x + 0.5) / stride - 0.5."""
    return np.asarray((joints + 0.5) / stride - 0.5, np.float32)


def heatmaps(joints: Floats, size: tuple[int, int], sigma: float) -> tuple[Floats, Floats]:
    """Gaussians with peak 1 at `joints` (N, J, 3: x, y in heatmap pixels, weight) on maps of `size` (height, width).

    Returns the maps (N, J, H, W) and the weights (N, J); a joint outside the map by more than half a pixel
    weighs nothing, since nothing there could be right.
    """
    height, width = size
    x, y, weight = joints[..., 0], joints[..., 1], joints[..., 2]
    across = np.exp(-((np.arange(width, dtype=np.float32) - x[..., None]) ** 2) / (2 * sigma**2))
    down = np.exp(-((np.arange(height, dtype=np.float32) - y[..., None]) ** 2) / (2 * sigma**2))
    inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    maps = down[..., :, None] * across[..., None, :]
    return maps.astype(np.float32), (weight * inside).astype(np.float32)


def reference_heatmaps(
    joints: Floats, visible: Floats, size: tuple[int, int], stride: tuple[float, float], sigma: float
) -> tuple[Floats, Floats]:
    """The reference's targets of one person (REFERENCE 2.7), its rounding and its border cases included.

    `joints` (J, 2) in input pixels, `visible` (J,), `size` (height, width), `stride` (x, y). Returns maps (J, H, W)
    and weights (J,).
    """
    height, width = size
    maps = np.zeros((len(joints), height, width), np.float32)
    weights = np.asarray(visible, np.float32).copy()
    reach = int(3 * sigma)
    offsets = np.arange(-reach, reach + 1, dtype=np.float32)
    patch = np.exp(-(offsets[:, None] ** 2 + offsets[None, :] ** 2) / (2 * sigma**2))
    for j, joint in enumerate(joints):
        x, y = int(joint[0] / stride[0] + 0.5), int(joint[1] / stride[1] + 0.5)
        left, top, right, bottom = x - reach, y - reach, x + reach + 1, y + reach + 1
        if left >= width or top >= height or right < 0 or bottom < 0:
            weights[j] = 0
        elif weights[j] > 0.5:
            rows, columns = (
                slice(max(0, top), max(0, min(bottom, height))),
                slice(max(0, left), max(0, min(right, width))),
            )
            maps[j, rows, columns] = patch[
                rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
            ]
    return maps, weights


def joints_mse(output: Tensor, target: Tensor, weight: Tensor, foreground: float = 0.0) -> Tensor:
    """The paper's joint-wise mean squared error, 0.5 * mean((w (output - target))^2) over all joints and pixels.

    `output` and `target` (N, J, H, W), `weight` (N, J). `foreground` multiplies a pixel's error by 1 + foreground *
    target: on small maps the few pixels of a joint are otherwise outvoted by the empty rest.
    """
    error = ((output - target) * weight[..., None, None]) ** 2
    if foreground:
        error = error * (1 + foreground * target)
    return 0.5 * error.mean()
