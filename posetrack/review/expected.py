"""Where people of a window are expected, from where they were last seen, and how far from there something is found."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posetrack.review.presence import Numbers
from posetrack.review.windows import Window

__all__ = ["CARRIED", "Doubles", "Expected"]

Doubles = NDArray[np.float64]

CARRIED = 0.35
"""Seconds for which somebody unseen goes on at their speed; then they stay where they are."""
SPEED_OVER, SPEED_WITHIN = 4, 12
"""Frames over which a speed is taken, and the most where somebody was not seen in between."""
SIZE_ROWS = 16
"""Frames whose mean is the size of a person."""
LEAST_SIZE = 0.25
"""And the least that a size is, in sizes of the people around: a box of one joint has none of its own."""
EDGE = 0.01
"""How near to the edge of the picture a box is cut off, in heights of the picture."""
UNSURE = 0.05
"""What a joint without a score counts."""


class Expected:
    """People of a window, carried along from where they were last seen.

    `since` (F, P) is the row where somebody was last seen before each row, -1 where never or before a cut. Distances
    are means over the joints known on both sides, by their scores, in sizes (root of the area of the box) of the person
    expected. `picture` is its width and height in pixels, where they are known.
    """

    def __init__(self, window: Window, picture: tuple[float, float] | None = None) -> None:
        self.window = window
        self._picture = picture
        self._xy = np.nan_to_num(window.keypoints[..., :2].astype(np.float64))
        known = np.isfinite(window.keypoints[..., 0])
        self._weight = np.where(known, np.clip(window.keypoints[..., 2], 0, 1) + UNSURE, 0).astype(np.float64)
        rows = np.arange(len(window.frames))[:, None]
        self._last = np.maximum.accumulate(np.where(window.here, rows, -1), axis=0)
        self._begin = np.searchsorted(window.scenes, window.scenes)
        since = np.concatenate([np.full((1, len(window.ids)), -1), self._last[:-1]])
        self.since = np.where(since >= self._begin[:, None], since, -1)
        self._sizes = self._mean_sizes()
        boxes = window.boxes.astype(np.float64)
        self._corners = np.stack([boxes[..., :2], boxes[..., :2] + boxes[..., 2:]], axis=2)
        jointless = ~known.any(axis=-1, keepdims=True)
        self.centres = np.where(jointless, self._corners.mean(axis=2), self._weighted(self._xy, self._weight))

    def _mean_sizes(self) -> Doubles:
        """Sizes (F, P) in pixels: mean of the last frames that hold them."""
        here = self.window.here
        area = np.where(here, np.prod(self.window.boxes[..., 2:].astype(np.float64), axis=-1), 0)
        total = np.cumsum(np.sqrt(np.maximum(area, 0)), axis=0)
        count = np.cumsum(here, axis=0, dtype=np.int64)
        total[SIZE_ROWS:] -= total[:-SIZE_ROWS].copy()
        count[SIZE_ROWS:] -= count[:-SIZE_ROWS].copy()
        sizes = total / np.maximum(count, 1)
        around = sizes[here].mean() if here.any() else 0.0
        return np.asarray(np.maximum(sizes, max(LEAST_SIZE * around, 1.0)))

    @staticmethod
    def _weighted(xy: Doubles, weight: Doubles) -> Doubles:
        total = np.maximum(weight.sum(axis=-1), 1e-9)
        return np.asarray((xy * weight[..., None]).sum(axis=-2) / total[..., None])

    def at_edge(self, rows: Numbers, people: Numbers) -> NDArray[np.bool_]:
        """Whose box (n,) touches the edge of the picture in `rows` (n,): they are there in part only."""
        if self._picture is None:
            return np.zeros(len(rows), np.bool_)
        margin = EDGE * min(self._picture)
        corners = self._corners[rows, people]
        return np.asarray(
            ((corners[:, 0] < margin) | (corners[:, 1] > np.subtract(self._picture, margin))).any(axis=-1)
        )

    def age(self, rows: Numbers, people: Numbers) -> Doubles:
        """Seconds (n,) since `people` (n,) were seen before `rows` (n,); infinite where never."""
        since = self.since[rows, people]
        times = self.window.times
        return np.asarray(np.where(since >= 0, times[rows] - times[since], np.inf))

    def speeds(self, rows: Numbers, people: Numbers) -> Doubles:
        """Pixels a second (n, 2) of `people` (n,) up to `rows` (n,), which hold them; 0 where nothing tells."""
        before = np.full(len(rows), -1)
        for back in (1, SPEED_OVER):
            place = rows - back
            found = np.where(place >= 0, self._last[np.maximum(place, 0), people], -1)
            before = np.where(found >= np.maximum(rows - SPEED_WITHIN, self._begin[rows]), found, before)
        before = np.where(before >= 0, before, rows)
        weight = self._weight[rows, people] * self._weight[before, people]
        moved = self._weighted(self._xy[rows, people] - self._xy[before, people], weight)
        seconds = self.window.times[rows] - self.window.times[before]
        return np.asarray(moved / np.where(seconds > 0, seconds, np.inf)[:, None])

    def carried(self, rows: Numbers, people: Numbers) -> tuple[Doubles, Doubles]:
        """How far (n, 2) `people` (n,), last seen before `rows` (n,), went on since, in pixels, and their size (n,)."""
        since = self.since[rows, people]
        seconds = np.minimum(self.window.times[rows] - self.window.times[since], CARRIED)
        return self.speeds(since, people) * seconds[:, None], self._sizes[since, people]

    def distances(self, rows: Numbers, people: Numbers, others: Numbers, shift: Doubles | None = None) -> Doubles:
        """Distance (n,) of where `people` (n,) are expected in `rows` (n,) from where `others` (n,) are found there.

        They are expected where they were seen last and where they would have got to; the nearer counts. `shift` (n, 2)
        says in pixels how far the picture moved instead.
        """
        carried, sizes = self.carried(rows, people)
        since = self.since[rows, people]
        weight = self._weight[since, people] * self._weight[rows, others]
        gap = self._xy[rows, others] - self._xy[since, people]
        strangers = ~weight.any(axis=-1)  # they have no joint in common
        gap[strangers] = (self.centres[rows, others] - self.centres[since, people])[strangers, None]
        weight[strangers] = 1
        ways = (np.zeros_like(carried), carried) if shift is None else (shift,)
        total = weight.sum(axis=-1)
        far = [(weight * np.linalg.norm(gap - way[:, None], axis=-1)).sum(axis=-1) / total for way in ways]
        return np.asarray(np.minimum.reduce(far) / sizes)

    def box_distances(self, rows: Numbers, people: Numbers, shift: Doubles) -> Doubles:
        """How far (n,) in sizes the corners of the boxes of `people` (n,) went since they were seen before `rows` (n,).

        The least of: as they are, less what they were carried, less how far the picture moved, `shift` (n, 2).
        """
        since = self.since[rows, people]
        carried, sizes = self.carried(rows, people)
        gap = self._corners[rows, people] - self._corners[since, people]
        far = [
            np.linalg.norm(gap - way[:, None], axis=-1).mean(axis=-1)
            for way in (np.zeros_like(carried), carried, shift)
        ]
        return np.asarray(np.minimum.reduce(far) / sizes)
