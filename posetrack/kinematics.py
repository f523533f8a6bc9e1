"""Movement in numbers: the body's middle, speeds and joint angles, in physical time.

All of it is measured in the picture. A camera shows a body as a projection: an angle or a speed is the body's own only
where the movement lies in a plane parallel to the picture. Derivatives are taken over presentation times, never over
frame numbers, and never across a gap, a cut, or a frame in which a joint was not seen well.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from posetrack.skeleton import Skeleton

__all__ = [
    "ANGLES", "SMOOTHING_WINDOW", "body_height", "body_middle", "derivative", "inclination", "inner_angle",
    "joint_angles", "seen_places", "speed", "stretches",
]  # fmt: skip

Numbers = NDArray[np.float64]

SMOOTHING_WINDOW = 0.2
"""Seconds of places that a speed is made of. Joints that a network finds jitter by a pixel or two; over neighbouring
frames alone that is 50 px/s of nothing at 25 frames a second. Movements up to about 3 Hz keep their peaks."""

ANGLES: dict[str, tuple[str, str, str]] = {
    "knee": ("hip", "knee", "ankle"),
    "hip": ("shoulder", "hip", "knee"),
    "elbow": ("shoulder", "elbow", "wrist"),
    "shoulder": ("hip", "shoulder", "elbow"),
}
"""Joint angles as end, vertex and other end, all of one side. 180 is a straight knee, hip or elbow; a shoulder is at 0
with the arm along the trunk and at 180 overhead."""

_MIDDLES = (
    ("hips_middle", ("left_hip", "right_hip")),
    ("pelvis", ("pelvis",)),
    ("shoulders_middle", ("left_shoulder", "right_shoulder")),
    ("thorax", ("thorax",)),
)
_TRUNK_ENDS = (("hips_middle", "pelvis"), ("shoulders_middle", "thorax"))
_ROWS_AT_ONCE = 4096


def seen_places(keypoints: ArrayLike, threshold: float) -> Numbers:
    """Where joints are: (..., J, 2) float64 x, y in pixels of `keypoints` (..., J, 3), NaN where a joint scores under
    `threshold`."""
    joints = np.asarray(keypoints, np.float64)
    return np.where(joints[..., 2:] >= threshold, joints[..., :2], np.nan)


def body_middle(places: Numbers, boxes: ArrayLike, skeleton: Skeleton) -> tuple[str, Numbers]:
    """The point that stands for the body, by name, and where it is: (n, 2) float64 x, y, NaN where it isn't seen.

    `places` (n, J, 2) are one person's joints as `seen_places` gives them, `boxes` (n, 4) x1, y1, x2, y2. The point is
    the middle of the hips; where it is seen in less than half of the frames (or the skeleton lacks it) the middle of
    the shoulders; else the centre of the box. It is one point for all n frames: changing from one to another
    would look like movement.
    """
    for name, joints in _MIDDLES:
        middle = _mean_of(places, skeleton, joints)
        if middle is not None and 2 * np.isfinite(middle[:, 0]).sum() >= max(1, len(middle)):
            return name, middle
    corners = np.asarray(boxes, np.float64)
    return "box_centre", (corners[:, :2] + corners[:, 2:]) / 2


def _mean_of(places: Numbers, skeleton: Skeleton, joints: tuple[str, ...]) -> Numbers | None:
    """The mean (n, 2) of `joints`, None where the skeleton lacks one."""
    if not set(joints) <= set(skeleton.joints):
        return None
    return np.asarray(places[:, [skeleton.index(joint) for joint in joints]].mean(axis=1))


def body_height(boxes: ArrayLike) -> float:
    """A person's size in pixels: the median height of their `boxes` (n, 4) x1, y1, x2, y2; NaN without any.

    It is one number a person. Who comes towards the camera grows in it; who bends or is cut off by the picture's edge
    for most of the time counts as smaller than they are.
    """
    corners = np.asarray(boxes, np.float64)
    return float(np.median(corners[:, 3] - corners[:, 1])) if len(corners) else float("nan")


def inner_angle(end: ArrayLike, vertex: ArrayLike, other: ArrayLike) -> Numbers:
    """The angle at `vertex` between two limbs, in degrees from 0 (folded) to 180 (straight).

    All three are (..., 2) x, y; NaN where one is NaN or lies on the vertex. It has no sign: a knee bent forward
    and one bent backward are the same. By atan2 of cross and dot product, exact near 0 and 180 where arccos isn't.
    """
    first = np.asarray(end, np.float64) - np.asarray(vertex, np.float64)
    second = np.asarray(other, np.float64) - np.asarray(vertex, np.float64)
    cross = first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
    dot = (first * second).sum(axis=-1)
    degenerate = (first == 0).all(axis=-1) | (second == 0).all(axis=-1)
    return np.where(degenerate, np.nan, np.degrees(np.arctan2(np.abs(cross), dot)))


def inclination(lower: ArrayLike, upper: ArrayLike) -> Numbers:
    """How far the line from `lower` to `upper` leans, in degrees from vertical, -180 to 180.

    Both are (..., 2) x, y (y down). 0 is upright, positive leans to the right of the picture, +-180 is upside
    down. NaN where one is NaN or both are the same point.
    """
    line = np.asarray(upper, np.float64) - np.asarray(lower, np.float64)
    angle = np.degrees(np.arctan2(line[..., 0], -line[..., 1]))
    return np.where((line == 0).all(axis=-1), np.nan, angle)


def joint_angles(places: Numbers, skeleton: Skeleton) -> dict[str, Numbers]:
    """Joint angles of one person: (n,) float64 degrees by name, NaN where one of its joints isn't seen.

    `places` (n, J, 2) as from `seen_places`. left_knee, right_knee and so on for `ANGLES`, each an `inner_angle` on
    the person's own side; `trunk`, the `inclination` of the line from the middle of the hips (pelvis) to the middle of
    the shoulders (thorax). Only what the joints of the skeleton allow; all angles are those of the projection.
    """
    found: dict[str, Numbers] = {}
    for angle, parts in ANGLES.items():
        for side in ("left", "right"):
            names = [f"{side}_{part}" for part in parts]
            if set(names) <= set(skeleton.joints):
                end, vertex, other = (places[:, skeleton.index(name)] for name in names)
                found[f"{side}_{angle}"] = inner_angle(end, vertex, other)
    lower, upper = (_first_middle(places, skeleton, names) for names in _TRUNK_ENDS)
    if lower is not None and upper is not None:
        found["trunk"] = inclination(lower, upper)
    return found


def _first_middle(places: Numbers, skeleton: Skeleton, names: tuple[str, ...]) -> Numbers | None:
    for name in names:
        middle = _mean_of(places, skeleton, dict(_MIDDLES)[name])
        if middle is not None:
            return middle
    return None


def stretches(rows: ArrayLike, cuts: ArrayLike, times: ArrayLike) -> NDArray[np.int64]:
    """Which unbroken stretch each of a person's n frames belongs to: (n,) int64, counted from 0.

    `rows` (n,) are ascending places in the file's F frames, `cuts` (F,) bool where a new scene begins, `times` (F,)
    seconds. A stretch ends where the person is absent from a frame, at a cut, and where time does not grow (a file
    without times), since nothing can be told of movement there.
    """
    at = np.asarray(rows, np.int64)
    begins = np.asarray(cuts, np.bool_)[at] | (np.diff(at, prepend=at[:1]) > 1)
    seconds = np.asarray(times, np.float64)[at]
    begins[1:] |= np.diff(seconds) <= 0
    begins[:1] = False
    return np.asarray(np.cumsum(begins), np.int64)


def derivative(times: ArrayLike, values: ArrayLike, stretch: ArrayLike, window: float = SMOOTHING_WINDOW) -> Numbers:
    """The rate of change of `values` a second, of the same shape: (n,) or (n, D) float64.

    `times` (n,) are seconds, as uneven as they like; `stretch` (n,) as from `stretches`. Each rate is the slope, at
    its own time, of the least-squares parabola through the values within `window` / 2 seconds, at least three of them
    (Savitzky and Golay 1964, for uneven times). Where the end of a stretch leaves fewer of them on one side it is the
    slope of a line, since a parabola's is mostly noise there. With a `window` of 0 it is `np.gradient` over the times:
    the parabola through a value and its two neighbours, and a difference at the ends. NaN values end a stretch as a gap
    does; a value that stands alone has no rate (NaN).
    """
    seconds, numbers = np.asarray(times, np.float64), np.asarray(values, np.float64)
    columns = numbers[:, None] if numbers.ndim == 1 else numbers
    rates = np.full(columns.shape, np.nan)
    for piece in _whole_pieces(columns, np.asarray(stretch)):
        rates[piece] = _slopes(seconds[piece], columns[piece], window)
    return rates.reshape(numbers.shape)


def _whole_pieces(columns: Numbers, stretch: NDArray[Any]) -> Iterator[slice]:
    """The longest runs of rows of one stretch without a NaN."""
    whole = np.asarray(np.isfinite(columns).all(axis=1))
    same = whole[1:] & whole[:-1] & (stretch[1:] == stretch[:-1])
    ends = [*(np.flatnonzero(~same) + 1).tolist(), len(whole)]
    begin = 0
    for end in ends:
        if end > begin and whole[begin]:
            yield slice(begin, end)
        begin = end


def _slopes(times: Numbers, values: Numbers, window: float) -> Numbers:
    """Slopes (n, D) of values without gaps."""
    if len(times) == 1:
        return np.full_like(values, np.nan)
    if window <= 0 or len(times) == 2:
        return np.asarray(np.gradient(values, times, axis=0))
    reach = window / 2 * (1 + 1e-9)
    row = np.arange(len(times))
    nearest = np.clip(row - 1, 0, len(times) - 3)
    low = np.minimum(np.searchsorted(times, times - reach, "left"), nearest)
    high = np.maximum(np.searchsorted(times, times + reach, "right"), nearest + 3)
    before, after = row - low, high - 1 - row
    at_end = (low == 0) & (before < after) | (high == len(row)) & (after < before)
    parts = [row[begin : begin + _ROWS_AT_ONCE] for begin in range(0, len(row), _ROWS_AT_ONCE)]
    return np.concatenate([_fitted(times, values, part, low[part], high[part], at_end[part]) for part in parts])


def _fitted(
    times: Numbers, values: Numbers, rows: NDArray[np.int64], low: NDArray[np.int64], high: NDArray[np.int64],
    lines: NDArray[np.bool_],
) -> Numbers:  # fmt: skip
    """Slopes (len(rows), D) at `rows` of parabolas, or `lines`, through the values from `low` to before `high`."""
    index = low[:, None] + np.arange((high - low).max())
    inside = index < high[:, None]
    index = np.minimum(index, len(times) - 1)
    offset = times[index] - times[rows, None]
    scale = np.abs(np.where(inside, offset, 0)).max(axis=1)
    powers = np.where(inside, offset / scale[:, None], 0)[..., None] ** np.arange(3) * inside[..., None]
    normal = np.einsum("nkp,nkq->npq", powers, powers)
    right = np.einsum("nkp,nkd->npd", powers, values[index] - values[rows, None])
    normal[lines, 2, :] = normal[lines, :, 2] = right[lines, 2] = 0
    normal[lines, 2, 2] = 1
    return np.asarray(np.linalg.solve(normal, right)[:, 1] / scale[:, None])


def speed(times: ArrayLike, places: ArrayLike, stretch: ArrayLike, window: float = SMOOTHING_WINDOW) -> Numbers:
    """How fast a point moves in the picture, (n,) float64 pixels a second: the length of its `derivative`.

    `places` (n, 2) are x, y; times, stretch and window as there. NaN where there is no rate.
    """
    return np.asarray(np.hypot(*derivative(times, places, stretch, window).T))
