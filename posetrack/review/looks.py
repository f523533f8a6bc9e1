"""How people of a window look before and after a frame, and what that says of who is who."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posetrack.appearance import LOOK_SIZE, alike
from posetrack.review.expected import Doubles
from posetrack.review.presence import Numbers
from posetrack.review.windows import Window

__all__ = ["Looks"]

BEFORE, AFTER = 48, 32
"""Frames whose looks count."""
LEAST = 2
"""Looks that are wanted on either side: one may be of somebody who passes."""
SUREST = 4.0
"""Most that looks say, as log odds."""


class Looks:
    """The mean looks of people up to a frame, and from it on.

    Where looks are not known, of too few frames, or of another kind than this posetrack's, they say nothing.
    """

    def __init__(self, window: Window) -> None:
        frames, people = window.here.shape
        width = LOOK_SIZE if window.looks.shape[2] == LOOK_SIZE else 0
        looks = window.looks[..., :width]
        seen = np.isfinite(looks).any(axis=-1)
        self._total = np.zeros((frames + 1, people, width), np.float32)  # sums of whole numbers: exact
        np.cumsum(np.nan_to_num(looks), axis=0, out=self._total[1:])
        self._count = np.zeros((frames + 1, people), np.int64)
        np.cumsum(seen, axis=0, out=self._count[1:])
        self.any = bool(seen.any())

    def _means(self, begin: Numbers, end: Numbers, people: Numbers) -> tuple[Doubles, NDArray[np.bool_]]:
        """Mean looks (n, D) of `people` in rows from `begin` to before `end`, and of whom there are enough."""
        count = self._count[end, people] - self._count[begin, people]
        total = self._total[end, people] - self._total[begin, people]
        return (total / np.maximum(count, 1)[:, None]).astype(np.float64), count >= LEAST

    def before(self, rows: Numbers, people: Numbers) -> tuple[Doubles, NDArray[np.bool_]]:
        """How `people` (n,) look (n, D) in the frames before `rows` (n,), and of whom that is known (n,)."""
        return self._means(np.maximum(rows - BEFORE, 0), rows, people)

    def after(self, rows: Numbers, people: Numbers) -> tuple[Doubles, NDArray[np.bool_]]:
        """The same from `rows` on."""
        return self._means(rows, np.minimum(rows + AFTER, len(self._count) - 1), people)

    def same(self, row: int, people: Numbers, others: Numbers) -> Doubles:
        """Log odds (N, M) that `people` before `row` are `others` from it on, as far as looks tell; 0: nothing."""
        if not self.any:
            return np.zeros((len(people), len(others)))
        was, known = self.before(np.full(len(people), row), people)
        now, found = self.after(np.full(len(others), row), others)
        odds = np.zeros((len(people), len(others)))
        if known.any() and found.any():
            chance = np.clip(alike(was[known], now[found]), 1e-9, 1 - 1e-9)
            odds[np.ix_(known, found)] = np.clip(np.log(chance / (1 - chance)), -SUREST, SUREST)
        return odds
