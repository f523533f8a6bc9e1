"""From boxes to the crops that a pose network sees, and back to the image.

A crop is told by its centre and size in the image. Two conventions tie it to a grid of `width` x `height`
pixels, be that the network's input or its heatmaps:

    biased     grid point width / 2       lies on the box centre; the reference implementation (REFERENCE 2.2)
    unbiased   grid point (width - 1) / 2 lies on the box centre, so that the outer edges of the grid's pixels
    are
               the crop's edges and a mirrored crop is the crop of the mirrored image

Both scale by width / crop width. So with a stride of 4 the biased heatmap pixel is x_input / 4, the unbiased
one (x_input + 0.5) / 4 - 0.5: the middle of the four input pixels that it covers.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from posetrack.types import Floats, Image

__all__ = ["PADDING", "Affines", "crop_affines", "fit_boxes", "invert", "transform", "warp"]

Affines = NDArray[np.float64]
"""(N, 2, 3) float64: each takes (x, y, 1) to (x', y')."""

PADDING = 1.25
"""How much wider and higher than the fitted box a crop is."""

_SMALLEST = 1.0
"""Pixels below which a crop's width does not go, so that an empty box has a crop too."""


def fit_boxes(xyxy: Floats, height: int, width: int, padding: float = PADDING) -> tuple[Floats, Floats]:
    """Centres and sizes of the crops of boxes: the shorter side grows to the network's aspect, then padding.

    `xyxy` is (N, 4) in pixels; centres (x, y) and sizes (width, height) come as (N, 2) float32. ValueError
    where a box is not finite. REFERENCE 2.2, `_xywh2cs` (whose scale is size / 200).
    """
    boxes = np.asarray(xyxy, np.float64).reshape(-1, 4)
    if not np.isfinite(boxes).all():
        raise ValueError(f"boxes want finite corners, not {boxes[~np.isfinite(boxes).all(1)][0]}")
    aspect = width / height
    sides = boxes[:, 2:] - boxes[:, :2]
    wide = np.maximum(np.maximum(sides[:, 0], sides[:, 1] * aspect), _SMALLEST)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    sizes = np.stack([wide, wide / aspect], 1) * padding
    return centres.astype(np.float32), sizes.astype(np.float32)


def crop_affines(
    centres: Floats,
    sizes: Floats,
    height: int,
    width: int,
    *,
    rotations: ArrayLike = 0.0,
    unbiased: bool = False,
) -> Affines:
    """Affines (N, 2, 3) from image pixels to a grid of `width` x `height`.

    `centres`, `sizes` (N, 2) are those of `fit_boxes`; only the crop's width tells the scale. `rotations`,
    (N,) or one number, are degrees by which the picture turns counter-clockwise about the box centre.
    REFERENCE 2.2, `get_affine_transform`, in closed form.
    """
    angles = np.deg2rad(np.broadcast_to(np.asarray(rotations, np.float64), len(centres)))
    scales = width / np.asarray(sizes, np.float64)[:, 0]
    cosines, sines = scales * np.cos(angles), scales * np.sin(angles)
    linear = np.stack([cosines, sines, -sines, cosines], 1).reshape(-1, 2, 2)
    middle = np.array([width, height], np.float64) / 2 - (0.5 if unbiased else 0.0)
    offsets = middle - np.einsum("nij,nj->ni", linear, np.asarray(centres, np.float64))
    return np.concatenate([linear, offsets[:, :, None]], 2)


def invert(affines: Affines) -> Affines:
    """The inverse (N, 2, 3) of each of `affines` (N, 2, 3)."""
    linear = np.linalg.inv(affines[:, :, :2])
    return np.concatenate([linear, -linear @ affines[:, :, 2:]], 2)


def transform(affines: Affines, points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Points (N, J, 2), each row through its own of `affines` (N, 2, 3)."""
    moved = points.astype(np.float64) @ affines[:, :, :2].transpose(0, 2, 1)
    return np.asarray(moved + affines[:, None, :, 2])


def warp(image: Image, affines: Affines, height: int, width: int, out: Image | None = None) -> Image:
    """Crops (N, height, width, 3) uint8 of `image` (H, W, 3) uint8, bilinear, black outside the image.

    `affines` (N, 2, 3) lead from the image to the crop, the centres of pixels being whole numbers on both
    sides. `out`, where given, is filled and returned. OpenCV 4 rounds positions to 1/32 pixel, OpenCV 5 does
    not.
    """
    if out is None:
        out = np.empty((len(affines), height, width, 3), np.uint8)
    for affine, crop in zip(affines, out, strict=True):
        cv2.warpAffine(image, affine, (width, height), dst=crop, flags=cv2.INTER_LINEAR)
    return out
