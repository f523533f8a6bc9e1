"""Smoother joints: each person's curves filtered in time, joints that were hardly seen held back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from posetrack.clean.filters import Filter
from posetrack.clean.regression import local_polynomial
from posetrack.clean.stretches import LONGEST_GAP, Doubles, Integers, Stretch, body_size, frame_step, scenes, split
from posetrack.results.trajectories import Trajectories, Trajectory

__all__ = ["lean", "smooth", "weights_of"]

_LEAST, _POWER = 0.02, 4
"""The smallest weight, and the power of the score that weights go by."""

_AROUND, _DEGREE = 0.8, 2
"""Seconds of the curve that a joint leans on, and its degree."""


def smooth(
    tracks: Trajectories, filter: Filter, *, by_score: bool = True, longest_gap: int = LONGEST_GAP
) -> Trajectories:
    """The same people with their joints' x and y filtered over time.

    With `by_score` joints that were hardly seen first lean on the others (`lean`). Never across a scene cut, nor across
    more than `longest_gap` frames without the joint. Scores, boxes and joints without a place stay as they are, and
    `raw` as it was. Raises InputError when the filter does not fit the frame rate, FormatError when time stands still.
    """
    step = frame_step(tracks)
    if not step:
        return tracks
    filter.check(step)
    scene = scenes(tracks)
    people = []
    for person in tracks.people:
        keypoints = person.keypoints.copy()
        size = float(np.median(body_size(person.boxes)))
        for rows, joints in _curves(person, tracks.times, scene, step, longest_gap):
            values = person.keypoints[np.ix_(rows, joints)].astype(np.float64)
            stretch = Stretch(tracks.times[person.rows[rows]], values[..., :2], step, size)
            if by_score:
                stretch = lean(stretch, values[..., 2])
            keypoints[rows[:, None], joints, :2] = filter(stretch)
        people.append(replace(person, keypoints=keypoints))
    return replace(tracks, people=tuple(people))


def lean(stretch: Stretch, scores: Doubles) -> Stretch:
    """The stretch with joints of low `scores` (n, J) moved towards the curve through the others around them.

    The curve is a weighted local parabola (0.8 s); a joint of weight w keeps w of its own place. Joints seen as well as
    ever stay where they are, so that a filter after this one is the textbook's for them.
    """
    weights = weights_of(scores)
    if (weights == 1).all():
        return stretch
    curve = local_polynomial(stretch.times, stretch.points, weights, _DEGREE, _AROUND, stretch.step)
    own = weights[..., None]
    return replace(stretch, points=own * stretch.points + (1 - own) * curve)


def weights_of(scores: Doubles) -> Doubles:
    """What joints are worth (n, J), 0.02 to 1: the fourth power of their score as a part of what it usually is.

    From its median score in the stretch on a joint counts in full: networks differ in how sure they call themselves.
    """
    positive = np.clip(scores, 0, None)
    usual = np.median(positive, axis=0)
    relative = np.where(usual > 0, positive / np.where(usual > 0, usual, 1), 1)
    return np.asarray(np.clip(np.minimum(relative, 1) ** _POWER, _LEAST, 1.0))


def _curves(
    person: Trajectory, times: Doubles, scene: Integers, step: float, longest_gap: int
) -> Iterator[tuple[Integers, Integers]]:
    """Rows (n,) of the person, 2 or more, and joints (m,) whose places in them make one uninterrupted curve each."""
    placed = np.isfinite(person.keypoints[..., :2]).all(axis=2)
    patterns, pattern_of = np.unique(placed, axis=1, return_inverse=True)
    for number in range(patterns.shape[1]):
        here = np.flatnonzero(patterns[:, number])
        rows = person.rows[here]
        for part in split(times[rows], scene[rows], step, longest_gap):
            if part.stop - part.start > 1:
                yield here[part], np.flatnonzero(pattern_of.ravel() == number)
