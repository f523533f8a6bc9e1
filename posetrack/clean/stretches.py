"""Where tracks may be looked at as curves in time: stretches without a scene cut and without a long gap."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from posetrack.errors import FormatError
from posetrack.results.trajectories import Trajectories, Trajectory
from posetrack.types import Floats

__all__ = ["LONGEST_GAP", "Doubles", "Integers", "Stretch", "body_size", "frame_step", "jitter", "scenes", "split"]

Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]

LONGEST_GAP = 3
"""Frames in which a joint may be absent without its curve ending there."""

_SEEN = 0.2
"""Joints scoring less don't count in the jitter: nobody draws them."""


@dataclass(frozen=True, eq=False)
class Stretch:
    """Joints of one person over n frames in which nothing interrupts them.

    `times` (n,) seconds, growing; `points` (n, J, 2) pixels; `step` the usual time from frame to frame in the video;
    `size` the person's size in pixels.
    """

    times: Doubles
    points: Doubles
    step: float
    size: float


def frame_step(tracks: Trajectories) -> float:
    """The usual seconds from one frame to the next, 0 where there is only one; FormatError when time stands still."""
    if len(tracks.times) < 2:
        return 0.0
    steps = np.diff(tracks.times)
    if not (steps > 0).any():
        raise FormatError("all frames have the same time: how people move can't be told; track the video again")
    return float(np.median(steps[steps > 0]))


def scenes(tracks: Trajectories) -> Integers:
    """The number of the scene that each frame is in: (F,), growing by one at every cut."""
    return np.cumsum(tracks.cuts, dtype=np.int64)


def split(times: Doubles, scene: Integers, step: float, longest_gap: int) -> list[slice]:
    """The stretches of growing `times` (n,) within one `scene` (n,), gaps at most `longest_gap` frames long."""
    if not len(times):
        return []
    passed = np.diff(times)
    ends = (passed > (longest_gap + 1.5) * step) | (passed <= 0) | (np.diff(scene) != 0)
    edges = [0, *(np.flatnonzero(ends) + 1).tolist(), len(times)]
    return [slice(a, b) for a, b in pairwise(edges)]


def body_size(boxes: Floats) -> Doubles:
    """The root of the area of `boxes` (n, 4), at least one pixel: (n,)."""
    sides = np.maximum(boxes[:, 2:].astype(np.float64) - boxes[:, :2], 0)
    return np.asarray(np.maximum(np.sqrt(sides.prod(axis=1)), 1.0))


def jitter(tracks: Trajectories) -> float:
    """The mean acceleration of the joints seen, in body sizes per second squared; NaN where nothing moves on.

    Seen are joints scoring 0.2 or more in three frames in a row of one scene; the size is the root of the box's area.
    """
    step, scene = frame_step(tracks), scenes(tracks)
    parts = [np.zeros(0)]
    for person in tracks.people:
        for part in split(tracks.times[person.rows], scene[person.rows], step, 0):
            parts.append(_accelerations(person[part], tracks.times))
    values = np.concatenate(parts)
    return float(values.mean()) if len(values) else float("nan")


def _accelerations(person: Trajectory, times: Doubles) -> Doubles:
    """Sizes of the accelerations of joints seen in three frames in a row, all in one row."""
    if len(person) < 3:
        return np.zeros(0)
    passed = np.diff(times[person.rows])[:, None, None]
    velocity = np.diff(person.keypoints[..., :2].astype(np.float64), axis=0) / passed
    acceleration = 2 * np.diff(velocity, axis=0) / (passed[1:] + passed[:-1])
    seen = person.keypoints[..., 2] >= _SEEN
    size = body_size(person.boxes)[1:-1, None]
    return np.asarray((np.linalg.norm(acceleration, axis=2) / size)[seen[2:] & seen[1:-1] & seen[:-2]])
