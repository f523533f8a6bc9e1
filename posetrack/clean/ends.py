"""The ends of tracks: where, how fast, how large and in which clothes people were first or last seen.

And the evidence that somebody last seen here is the one first seen there, as log odds against two different people:

    evidence = place + size + look       each log p(what is seen | one person) / p(what is seen | two)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posetrack.appearance import LOOK_SIZE, alike
from posetrack.results.trajectories import Trajectories, Trajectory

__all__ = ["Ends", "ends_of", "look_evidence", "place_evidence", "size_evidence"]

Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

SEEN = 0.3
"""Score from which on a joint tells where a person is."""
NOW, LATELY, LONG = 0.4, 1.0, 3.0
"""Seconds from a track's end: the best pose of so many is where it ends, so many tell its velocity, its look."""
AT_EDGE = 0.02
"""How near a box comes to the picture's edge, in picture widths, when somebody leaves or enters there."""

SLACK, WANDER = 0.35, 0.6
"""Standard deviation of where somebody is found again, in body sizes (roots of boxes' areas): at once; a second."""
COASTING = 1.5
"""Seconds for which people go on as they were going."""
RETURNS, ELSEWHERE = 0.6, 0.15
"""How likely those who left by an edge return at it, and how likely anybody turns up just anywhere."""
TRAVEL = 2.0
"""Seconds that it takes to get anywhere."""
INSIDE = 0.5
"""How likely somebody new is first seen off the picture's edges."""
CHANGE, VARIETY = 0.15, 0.5
"""Standard deviation of the logarithm of a size: of one person after a while, and among people."""


@dataclass(frozen=True, eq=False)
class Ends:
    """Ends of N tracks: all the last sights, or all the first.

    `rows` (N,) and `times` (N,) seconds of the very end; of its best pose `seen` (N,) seconds, `keypoints` (N, J, 3)
    and `boxes` (N, 4) x1, y1, x2, y2; `sizes` (N,) the root of the box's area in pixels; `velocities` (N, 2) pixels a
    second; `limbs` (N, E) logarithms of the limbs' lengths, NaN if unseen; `looks` (N, D), NaN if there are none;
    `sides` (N, 4) whether the box touches the picture's left, top, right, bottom.
    """

    rows: Integers
    times: Doubles
    seen: Doubles
    keypoints: Doubles
    boxes: Doubles
    sizes: Doubles
    velocities: Doubles
    limbs: Doubles
    looks: Doubles
    sides: Flags


def ends_of(tracks: Trajectories, people: Sequence[Trajectory], picture: tuple[float, float], first: bool) -> Ends:
    """The first or last sights of `people`, one at least, of the video of `tracks`; `picture` is (width, height)."""
    parts = [_end(tracks, person, first) for person in people]
    columns: dict[str, Any] = {name: np.array([part[name] for part in parts]) for name in parts[0]}
    inward = (columns["boxes"] - (0, 0, *picture)) * (1, 1, -1, -1)
    return Ends(**columns, sides=inward < AT_EDGE * picture[0])


def _end(tracks: Trajectories, person: Trajectory, first: bool) -> dict[str, Any]:
    """One row of `Ends`, without `sides`."""
    order = np.arange(len(person)) if first else np.arange(len(person))[::-1]
    times = tracks.times[person.rows]
    away = np.abs(times - times[order[0]])[order]
    near = order[: int(np.searchsorted(away, NOW, side="right"))]
    best = near[int(np.argmax(person.scores[near]))]
    lately = order[: int(np.searchsorted(away, LATELY, side="right"))]
    long = order[: int(np.searchsorted(away, LONG, side="right"))]
    box = person.boxes[best].astype(np.float64)
    return {
        "rows": person.rows[order[0]],
        "times": times[order[0]],
        "seen": times[best],
        "keypoints": person.keypoints[best].astype(np.float64),
        "boxes": box,
        "sizes": float(np.sqrt(np.maximum(np.prod(box[2:] - box[:2]), 1))),
        "velocities": _velocity(person, times, lately, int(best)),
        "limbs": _limbs(person.keypoints[long], tracks.skeleton.edges),
        "looks": _look(person.appearance[long]),
    }


def _velocity(person: Trajectory, times: Doubles, rows: Integers, best: int) -> Doubles:
    """Pixels a second (2,): the slope of the moves from the best pose, less where they cover little time."""
    moves = shifts(person.keypoints[[best]], person.boxes[[best]], person.keypoints[rows], person.boxes[rows])
    lapse = times[rows] - times[best]
    return np.asarray(lapse @ moves / (np.square(lapse).sum() + 0.1))


def shifts(before: NDArray[np.generic], from_boxes: NDArray[np.generic],
           after: NDArray[np.generic], to_boxes: NDArray[np.generic]) -> Doubles:  # fmt: skip
    """How far (N, 2) poses `after` (N, J, 3) are from those `before`: the median over joints seen in both.

    Of poses with fewer than three such joints the middles of the boxes (N, 4).
    """
    a, b = np.asarray(before, np.float64), np.asarray(after, np.float64)
    both = (a[..., 2] >= SEEN) & (b[..., 2] >= SEEN)
    moves = quantile(np.moveaxis(b[..., :2] - a[..., :2], 1, 0), both.T[..., None], 0.5)
    old, new = np.asarray(from_boxes, np.float64), np.asarray(to_boxes, np.float64)
    middles = (new[:, :2] + new[:, 2:] - old[:, :2] - old[:, 2:]) / 2
    return np.where(both.sum(axis=1)[:, None] >= 3, moves, middles)


def quantile(values: Doubles, known: Flags, share: float) -> Doubles:
    """The quantile over the first axis of the `known` values, NaN where there are none; quicker than nanquantile."""
    if not len(values):
        return np.full(values.shape[1:], np.nan)
    known = np.broadcast_to(known, values.shape)
    some = known.any(axis=0)
    ordered = np.where(some, np.sort(np.where(known, values, np.inf), axis=0), 0)
    place = share * np.maximum(known.sum(axis=0) - 1, 0)
    below = np.floor(place).astype(np.intp)
    low, high = (np.take_along_axis(ordered, at[None], 0)[0] for at in (below, np.ceil(place).astype(np.intp)))
    return np.where(some, low + (high - low) * (place - below), np.nan)


def _limbs(keypoints: NDArray[np.float32], edges: Sequence[tuple[int, int]]) -> Doubles:
    """Logarithms (E,) of how long limbs show at most (the ninth tenth): those in the picture's plane do."""
    if not edges:
        return np.zeros(0)
    a, b = (keypoints[:, [edge[side] for edge in edges]].astype(np.float64) for side in (0, 1))
    seen = (a[..., 2] >= SEEN) & (b[..., 2] >= SEEN)
    lengths = np.hypot(*np.moveaxis(a[..., :2] - b[..., :2], -1, 0))
    return np.log(np.maximum(quantile(lengths, seen, 0.9), 1))


def _look(looks: NDArray[np.float32]) -> Doubles:
    """The median look (D,): a few frames in which something stood before the person change nothing."""
    known = ~np.isnan(looks).any(axis=1) if looks.shape[1] == LOOK_SIZE else np.zeros(len(looks), np.bool_)
    if not known.any():
        return np.full(LOOK_SIZE, np.nan)
    return np.asarray(np.median(looks[known].astype(np.float64), axis=0))


def look_evidence(ends: Ends, begins: Ends, a: Integers, b: Integers) -> Doubles:
    """Log odds (P,) that pairs of `ends` a (P,) and `begins` b (P,) look like one person; NaN where one has no look."""
    odds = np.full(len(a), np.nan)
    known = ~np.isnan(ends.looks[a, 0]) & ~np.isnan(begins.looks[b, 0])
    for end in np.unique(a[known]):
        here = np.flatnonzero(known & (a == end))
        same = np.clip(alike(ends.looks[[end]], begins.looks[b[here]])[0], 1e-3, 1 - 1e-3)
        odds[here] = np.log(same / (1 - same))
    return odds


def place_evidence(ends: Ends, begins: Ends, a: Integers, b: Integers, picture: tuple[float, float]) -> Doubles:
    """Log odds (P,) of where and when pairs begin, in one scene.

    One person is found again near where the motion leads (ever less sure), or where he left the picture, or just
    anywhere if there was time to get there; somebody else anywhere in the picture, but seldom in its midst.
    """
    lapse = begins.seen[b] - ends.seen[a]
    sizes = np.sqrt(ends.sizes[a] * begins.sizes[b])
    gone = shifts(ends.keypoints[a], ends.boxes[a], begins.keypoints[b], begins.boxes[b])
    led = (ends.velocities[a] + begins.velocities[b]) / 2 * (COASTING * (1 - np.exp(-lapse / COASTING)))[:, None]
    spread = sizes * (SLACK + WANDER * lapse)
    off = np.square(gone - led).sum(axis=1) / np.square(spread)
    near = np.exp(-off / 2) * picture[0] * picture[1] / (2 * np.pi * np.square(spread))
    anywhere = ELSEWHERE * np.clip(lapse / TRAVEL, 0.01, 1)
    back = RETURNS * _returns(ends, begins, a, b, lapse, picture)
    inside = ~(ends.sides[a] | begins.sides[b])[:, :3].any(axis=1)
    return np.asarray(np.log((1 - ELSEWHERE) * near + back + anywhere) - np.where(inside, np.log(INSIDE), 0))


def _returns(ends: Ends, begins: Ends, a: Integers, b: Integers, lapse: Doubles,
             picture: tuple[float, float]) -> Doubles:  # fmt: skip
    """How much likelier (P,) than anywhere along the edges somebody enters where the one before left."""
    gone = shifts(ends.keypoints[a], ends.boxes[a], begins.keypoints[b], begins.boxes[b])
    spread = ends.sizes[a] * (SLACK + WANDER / 2 * lapse)
    best = np.zeros(len(a))
    for side in range(3):  # nobody leaves through the bottom: that is where people are cut off
        along = np.abs(gone[:, 1 - side % 2])
        both = ends.sides[a, side] & begins.sides[b, side]
        density = np.exp(-np.square(along / spread) / 2) * sum(picture) / (np.sqrt(np.pi / 2) * spread)
        best = np.maximum(best, np.where(both, density, 0))
    return best * np.clip(lapse / (TRAVEL / 4), 0, 1)


def size_evidence(ends: Ends, begins: Ends, a: Integers, b: Integers) -> Doubles:
    """Log odds (P,) of the bodies' sizes: of limbs seen in both, or else of boxes wholly within the picture."""
    lapse = begins.seen[b] - ends.seen[a]
    limbs = begins.limbs[b] - ends.limbs[a]
    enough = np.isfinite(limbs).sum(axis=1) >= 3
    change = np.log(begins.sizes[b] / ends.sizes[a])
    change = np.where(enough, quantile(limbs.T, np.isfinite(limbs.T), 0.5), change)
    cut = (ends.sides[a] | begins.sides[b]).any(axis=1)
    spread = CHANGE * (1 + 0.2 * np.minimum(lapse, 10)) * np.where(enough, 1, 2)
    odds = np.log(VARIETY / spread) - np.square(change) * (1 / np.square(spread) - 1 / VARIETY**2) / 2
    return np.where(enough | ~cut, np.clip(odds, -4, 2), 0)
