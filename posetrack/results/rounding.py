"""How numbers are rounded in every file that posetrack writes: hundredths of a pixel, four decimals of a
score."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["rounded", "rounded_box", "rounded_joints"]

_SCALES = np.array([100.0, 100.0, 10_000.0])


def rounded(value: float, decimals: int) -> float:
    """The nearest decimal fraction, never -0.0."""
    return round(float(value), decimals) + 0.0


def rounded_box(xyxy: ArrayLike) -> NDArray[np.float64]:
    """x, y, width, height (4,) of a box x1, y1, x2, y2; its corners are what is rounded."""
    corners = np.rint(np.asarray(xyxy, np.float64) * 100)
    return np.asarray(np.concatenate([corners[:2], corners[2:] - corners[:2]]) / 100 + 0.0)


def rounded_joints(keypoints: ArrayLike) -> NDArray[np.float64]:
    """x, y, score (J, 3); a joint without a place is (NaN, NaN, 0), a score that isn't a number 0."""
    values = np.array(keypoints, np.float64)
    absent = ~np.isfinite(values[:, :2]).all(axis=1)
    values[absent] = (np.nan, np.nan, 0)
    values[~np.isfinite(values[:, 2]), 2] = 0
    return np.asarray(np.rint(values * _SCALES) / _SCALES + 0.0)
