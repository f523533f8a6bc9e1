"""From heatmaps to joints: the reference's quarter pixel, DARK's Taylor step, and the merging of a flip test.

Heatmaps are (N, J, H, W) float32; positions are x, y in heatmap pixels, whole numbers at pixel centres.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from posetrack.types import Floats

__all__ = ["DECODERS", "decode", "merge_flipped", "peaks", "to_image"]


def decode(heatmaps: Floats, method: str = "quarter") -> Floats:
    """Joints (N, J, 3) float32: x, y in heatmap pixels, and the maximum of the map as score, unclipped.

    `method` is one of DECODERS: `quarter` is the reference's, `dark` the second-order Taylor step of Zhang et
    al. 2020. Where a map has no positive value the position is (0, 0) (REFERENCE 2.4).
    """
    joints = peaks(heatmaps)
    DECODERS[method](heatmaps, joints)
    return joints


def peaks(heatmaps: Floats) -> Floats:
    """The maximum of each map: (N, J, 3) float32 x, y, value; of equal ones the first in row-major order."""
    people, joints, height, width = heatmaps.shape
    maps = heatmaps.reshape(people * joints, height * width)
    where = maps.argmax(1)
    out = np.empty((people * joints, 3), np.float32)
    out[:, 2] = maps[np.arange(len(maps)), where]
    out[:, 1], out[:, 0] = np.divmod(where, width)
    out[out[:, 2] <= 0, :2] = 0
    return out.reshape(people, joints, 3)


def _quarter(heatmaps: Floats, joints: Floats) -> None:
    """Moves `joints` a quarter pixel toward the higher neighbour.

    Column 1 stays and column W - 2 moves: the reference's condition is 1 < x < W - 1, and the same for y,
    both at once.
    """
    height, width = heatmaps.shape[2:]
    x, y = joints[..., 0].astype(np.intp), joints[..., 1].astype(np.intp)
    n, j = np.nonzero((x > 1) & (x < width - 1) & (y > 1) & (y < height - 1))
    x, y = x[n, j], y[n, j]
    joints[n, j, 0] += 0.25 * np.sign(heatmaps[n, j, y, x + 1] - heatmaps[n, j, y, x - 1])
    joints[n, j, 1] += 0.25 * np.sign(heatmaps[n, j, y + 1, x] - heatmaps[n, j, y - 1, x])


def _dark(heatmaps: Floats, joints: Floats) -> None:
    """Moves `joints` to the top of the parabola through the logarithm of the smoothed map.

    DARK's derivatives (its equations 4 to 8) need the smoothed map only two pixels about the maximum, so only
    these are smoothed. Where they don't tell a maximum within one pixel, the joint stays.
    """
    height, width = heatmaps.shape[2:]
    x, y = joints[..., 0].astype(np.intp), joints[..., 1].astype(np.intp)
    n, j = np.nonzero((x > 1) & (x < width - 2) & (y > 1) & (y < height - 2) & (joints[..., 2] > 0))
    smooth = _smoothing(width / 24)
    reach = smooth.shape[1] // 2
    logs = np.log(np.maximum(smooth @ _patches(heatmaps, n, j, x[n, j], y[n, j], reach) @ smooth.T, 1e-10))
    dx, dy = (logs[:, 2, 3] - logs[:, 2, 1]) / 2, (logs[:, 3, 2] - logs[:, 1, 2]) / 2
    dxx = (logs[:, 2, 4] - 2 * logs[:, 2, 2] + logs[:, 2, 0]) / 4
    dyy = (logs[:, 4, 2] - 2 * logs[:, 2, 2] + logs[:, 0, 2]) / 4
    dxy = (logs[:, 3, 3] - logs[:, 1, 3] - logs[:, 3, 1] + logs[:, 1, 1]) / 4
    determinant = dxx * dyy - dxy * dxy
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], 1) / determinant[:, None]
    good = (dxx < 0) & (determinant > 0) & (np.abs(step) <= 1).all(1)
    joints[n[good], j[good], :2] += step[good]


def _smoothing(sigma: float) -> NDArray[np.float64]:
    """(5, K): the rows smooth a line of K pixels with a Gaussian at the five pixels in its middle.

    The Gaussian is as wide as the one that the paper trains with, 2 pixels on a map of 48, 3 on 72; it is cut
    off at 2.5 sigma as DARK's kernels of 11 and 17 pixels are.
    """
    radius = max(1, round(2.5 * sigma))
    kernel = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    rows = np.zeros((5, 2 * radius + 5))
    for i in range(5):
        rows[i, i : i + 2 * radius + 1] = kernel / kernel.sum()
    return rows


def _patches(
    heatmaps: Floats,
    n: NDArray[np.intp],
    j: NDArray[np.intp],
    x: NDArray[np.intp],
    y: NDArray[np.intp],
    reach: int,
) -> NDArray[np.float64]:
    """Squares (M, K, K) of maps n, j about x, y, K = 2 reach + 1; zero outside the map."""
    height, width = heatmaps.shape[2:]
    steps = np.arange(-reach, reach + 1)
    rows, columns = y[:, None] + steps, x[:, None] + steps
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    rows, columns = rows.clip(0, height - 1), columns.clip(0, width - 1)
    found = heatmaps[n[:, None, None], j[:, None, None], rows[:, :, None], columns[:, None, :]]
    return np.where(inside, found, 0).astype(np.float64)


DECODERS: dict[str, Callable[[Floats, Floats], None]] = {"quarter": _quarter, "dark": _dark}
"""By name: what moves (N, J, 3) whole-pixel maxima of (N, J, H, W) maps to where the joints are, in place."""


def merge_flipped(heatmaps: Floats, mirrored: Floats, flip_order: Sequence[int], *, shift: bool) -> Floats:
    """The mean of heatmaps and those of the mirrored crops, mirrored back with left and right joints swapped.

    Both are (N, J, H, W). `flip_order` says which joint each becomes in a mirror. `shift` moves the second
    one pixel to the right, as biased crops want it; its first column then stays as well (REFERENCE 2.5).
    """
    back = mirrored[:, list(flip_order), :, ::-1]
    if shift:
        back = np.concatenate([back[..., :1], back[..., :-1]], -1)
    return np.asarray((heatmaps + back) * np.float32(0.5))


def to_image(
    joints: Floats, centres: Floats, sizes: Floats, height: int, width: int, *, unbiased: bool = False
) -> Floats:
    """`joints` (N, J, 3) of heatmaps of `width` x `height` in pixels of the image, float32; scores stay.

    `centres` and `sizes` (N, 2) are the crops' in the image, `unbiased` their convention: the inverse of
    posetrack.pose.crop.crop_affines without rotation.
    """
    out = joints.astype(np.float32)
    middle = np.array([width, height]) / 2 - (0.5 if unbiased else 0.0)
    scale = np.asarray(sizes, np.float64)[:, None, :1] / width
    out[..., :2] = (joints[..., :2] - middle) * scale + np.asarray(centres, np.float64)[:, None]
    return out
