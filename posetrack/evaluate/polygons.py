"""Points in polygons: PoseTrack's ignore regions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from posetrack.evaluate.people import Doubles

__all__ = ["inside_any"]


def inside_any(points: Doubles, polygons: Sequence[Doubles]) -> NDArray[np.bool_]:
    """Which points (..., 2) lie strictly inside one of the polygons (V, 2), x and y in pixels.

    A point on a border is outside, as shapely's `contains` has it. Points of NaN are outside; polygons of fewer
    than three corners hold nothing.
    """
    inside = np.zeros(points.shape[:-1], bool)
    for polygon in polygons:
        if len(polygon) >= 3:
            inside |= _strictly_inside(points, polygon)
    return inside


def _strictly_inside(points: Doubles, polygon: Doubles) -> NDArray[np.bool_]:
    x, y = points[..., 0], points[..., 1]
    odd = np.zeros(x.shape, bool)
    border = np.zeros(x.shape, bool)
    for (x1, y1), (x2, y2) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        side = (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1)
        between = (np.minimum(x1, x2) <= x) & (x <= np.maximum(x1, x2))
        between &= (np.minimum(y1, y2) <= y) & (y <= np.maximum(y1, y2))
        border |= (side == 0) & between
        # a ray to the right crosses the edge: it spans the point's height and lies to its right
        odd ^= ((y1 > y) != (y2 > y)) & ((side > 0) == (y2 > y1)) & (side != 0)
    return odd & ~border
