"""Object keypoint similarity (OKS): one implementation for tracking and for scoring.

    OKS(a, b) = mean over the joints that count of exp(-d^2 / (2 area k^2)),  k = 2 sigma

The formula is that of COCO's evaluation (cocoapi, computeOks) and of the reference's OKS NMS (lib/nms/nms.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from posetrack.geometry import suppress
from posetrack.types import Floats

__all__ = ["crop_areas", "oks", "oks_nms", "oks_to_box"]

_TINY = float(np.spacing(1))
"""Added to areas as both references do: a pose without extent is similar to itself alone."""


def oks(
    a: Floats,
    b: Floats,
    areas: ArrayLike,
    sigmas: Sequence[float],
    weights: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Similarity (N, M), 0..1, of poses `a` (N, J, 2 or more) with `b` (M, J, 2 or more), x, y in pixels.

    `areas` in square pixels: one number, (N, 1) of `a`, (1, M) of `b`, or (N, M); `sigmas` one a joint.
    `weights`, broadcast to (N, M, J), says how much a joint counts (a mask for joints seen or labelled); None
    counts all alike. Joints that are not finite never count; where nothing counts the similarity is 0.
    """
    return oks_of_pairs(np.asarray(a)[:, None], np.asarray(b)[None], areas, sigmas, weights)


def oks_of_pairs(
    a: NDArray[np.floating[Any]],
    b: NDArray[np.floating[Any]],
    areas: ArrayLike,
    sigmas: Sequence[float],
    weights: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Similarity (...) of each pose of `a` (..., J, 2 or more) with the one beside it in `b`; as `oks` otherwise."""
    x, y = (np.subtract(a[..., axis], b[..., axis], dtype=np.float64) for axis in (0, 1))
    closeness = _closeness(x * x + y * y, areas, sigmas)
    weight = np.isfinite(closeness) * (1.0 if weights is None else np.asarray(weights, np.float64))
    total = weight.sum(axis=-1)
    summed = (weight * np.nan_to_num(closeness)).sum(axis=-1)
    return np.asarray(np.divide(summed, total, out=np.zeros_like(total), where=total > 0))


def oks_to_box(boxes: Floats, poses: Floats, areas: ArrayLike, sigmas: Sequence[float]) -> NDArray[np.float64]:
    """Similarity (N, M) of true people without a labelled joint, known by `boxes` (N, 4) x1, y1, x2, y2.

    COCO measures each joint's distance to the box grown to three times its width and height; all joints of
    `poses` (M, J, 2 or more) count. `areas` as for `oks`.
    """
    box = np.asarray(boxes, np.float64)[:, None, None, :]
    sides = box[..., 2:] - box[..., :2]
    xy = np.asarray(poses, np.float64)[None, :, :, :2]
    outside = np.maximum(box[..., :2] - sides - xy, 0) + np.maximum(xy - box[..., 2:] - sides, 0)
    return np.asarray(_closeness(np.square(outside).sum(axis=-1), areas, sigmas).mean(axis=-1))


def crop_areas(xyxy: Floats) -> Floats:
    """Areas (...,) in square pixels that the reference's OKS NMS uses for poses on boxes (..., 4).

    Those of the crops that its networks see: the box grown to 3:4, padded by a quarter (REFERENCE 2.2, 2.6).
    """
    sides = np.maximum(xyxy[..., 2:] - xyxy[..., :2], 0)
    width = np.maximum(sides[..., 0], sides[..., 1] * 0.75)
    return np.asarray(np.square(1.25 * width) / 0.75, np.float32)


def _closeness(squared: NDArray[np.float64], areas: ArrayLike, sigmas: Sequence[float]) -> NDArray[np.float64]:
    """exp(-d^2 / (2 area k^2)) of squared distances (N, M, J)."""
    variances = np.square(2 * np.asarray(sigmas, np.float64))
    area = np.asarray(areas, np.float64)[..., None] + _TINY
    return np.asarray(np.exp(-squared / (2 * area * variances)))


def oks_nms(
    keypoints: Floats,
    scores: Floats,
    areas: Floats,
    sigmas: Sequence[float],
    threshold: float,
    weights: ArrayLike | None = None,
) -> NDArray[np.int64]:
    """Rows of the poses (N, J, 3) that stay, best score first, when poses of one person are thinned out.

    `scores` (N,); `areas` (N,) in square pixels: two poses are compared over the mean of theirs. A pose goes when
    its OKS with a better one that stays is above `threshold`; of equal scores the lower row is the better (the
    reference's unstable sort takes the last). `weights` as for `oks`.
    """
    area = np.asarray(areas, np.float64)
    similarity = oks(keypoints, keypoints, (area[:, None] + area[None]) / 2, sigmas, weights)
    return suppress(similarity.astype(np.float32), np.argsort(-np.asarray(scores), kind="stable"), threshold)
