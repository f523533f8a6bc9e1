"""Boxes: areas, overlaps, non-maximum suppression, and the box around a pose.

Inside the program a box is x1, y1, x2, y2 in pixels, edges as lines (a width is x2 - x1, without the reference's
"+1"); in files it is x, y, width, height.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posetrack.types import Floats

__all__ = ["area", "bounds", "clip", "enlarge", "iou", "nms", "suppress", "to_xywh", "to_xyxy"]


def area(xyxy: Floats) -> Floats:
    """Areas (...,) in square pixels of boxes (..., 4); 0 for boxes that are inside out."""
    sides = np.maximum(xyxy[..., 2:] - xyxy[..., :2], 0)
    return np.asarray(sides[..., 0] * sides[..., 1], np.float32)


def iou(a: Floats, b: Floats) -> Floats:
    """Intersection over union (N, M) of boxes (N, 4) with boxes (M, 4); 0 where the union has no area."""
    upper = np.maximum(a[:, None, :2], b[None, :, :2])
    lower = np.minimum(a[:, None, 2:], b[None, :, 2:])
    common = area(np.concatenate([upper, lower], axis=-1))
    union = area(a)[:, None] + area(b)[None] - common
    return np.asarray(np.divide(common, union, out=np.zeros_like(common), where=union > 0))


def nms(xyxy: Floats, scores: Floats, threshold: float) -> NDArray[np.int64]:
    """Rows of the boxes that stay after non-maximum suppression, best score first.

    `xyxy` (N, 4) pixels, `scores` (N,). A box goes when its IoU with a better one that stays is above
    `threshold`; of equal scores the lower row is the better. The same as torchvision.ops.nms.
    """
    order = np.argsort(-np.asarray(scores), kind="stable")
    return suppress(iou(xyxy, xyxy), order, threshold)


def suppress(similarity: Floats, order: NDArray[np.int64], threshold: float) -> NDArray[np.int64]:
    """The rows of `order` (best first) whose `similarity` (N, N) to no better one is above `threshold`."""
    kept: list[int] = []
    for row in order:
        if not np.any(similarity[row, kept] > threshold):
            kept.append(int(row))
    return np.array(kept, np.int64)


def enlarge(xyxy: Floats, fraction: float) -> Floats:
    """Boxes (..., 4) grown about their centres, `fraction` of width and height in all (0.15: 7.5 % a side)."""
    half = (xyxy[..., 2:] - xyxy[..., :2]) * (fraction / 2)
    return np.asarray(np.concatenate([xyxy[..., :2] - half, xyxy[..., 2:] + half], axis=-1), np.float32)


def bounds(keypoints: Floats, threshold: float) -> Floats:
    """The tight boxes (..., 4) around the joints of (..., J, 3) whose score is above `threshold`.

    Joints that are not finite never count. A pose without such a joint has a box of NaN.
    """
    xy = keypoints[..., :2]
    seen = (keypoints[..., 2] > threshold) & np.isfinite(xy).all(axis=-1)
    low = np.where(seen[..., None], xy, np.inf).min(axis=-2, initial=np.inf)
    high = np.where(seen[..., None], xy, -np.inf).max(axis=-2, initial=-np.inf)
    boxes = np.concatenate([low, high], axis=-1)
    return np.asarray(np.where(np.isfinite(boxes), boxes, np.nan), np.float32)


def clip(xyxy: Floats, width: int, height: int) -> Floats:
    """Boxes (..., 4) cut to a picture: x within 0..width, y within 0..height."""
    limit = np.array([width, height, width, height], np.float32)
    return np.asarray(np.clip(xyxy, 0, limit), np.float32)


def to_xywh(xyxy: Floats) -> Floats:
    """Boxes (..., 4) as x, y, width, height."""
    return np.concatenate([xyxy[..., :2], xyxy[..., 2:] - xyxy[..., :2]], axis=-1)


def to_xyxy(xywh: Floats) -> Floats:
    """Boxes (..., 4) of x, y, width, height as x1, y1, x2, y2."""
    return np.concatenate([xywh[..., :2], xywh[..., :2] + xywh[..., 2:]], axis=-1)
