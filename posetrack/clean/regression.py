"""Weighted local polynomials over time (Savitzky and Golay 1964; Cleveland 1979), for frames at any times."""

from __future__ import annotations

import numpy as np

from posetrack.clean.stretches import Doubles, Integers

__all__ = ["half_window", "local_polynomial"]

_ROWS = 2048
"""Frames fitted at once, so that memory stays small."""


def half_window(window: float, step: float) -> int:
    """Whole frames on either side of the middle of a `window` in seconds, at `step` seconds a frame."""
    return int(window / 2 / step + 0.05)


def local_polynomial(
    times: Doubles, points: Doubles, weights: Doubles, degree: int, window: float, step: float
) -> Doubles:
    """The values (n, J, 2) at `times` of polynomials of `degree`, each fitted to the `window` seconds around its time.

    `points` (n, J, 2), `weights` (n, J) above 0. At the ends the window stays inside. Where it has too few frames for
    the degree (long steps, a short stretch) the degree is lower.
    """
    half = half_window(window, step) * step
    if times[-1] - times[0] > 2 * half:
        centres = np.clip(times, times[0] + half, times[-1] - half)
    else:
        centres = np.full(len(times), (times[0] + times[-1]) / 2)
        half = (times[-1] - times[0]) / 2
    reach = half + step / 4  # times are rounded
    first, last = np.searchsorted(times, centres - reach), np.searchsorted(times, centres + reach)
    degrees = np.minimum(degree, last - first - 1)
    fitted = points.copy()
    for lower in np.unique(degrees):
        rows = np.flatnonzero(degrees == lower)
        for part in np.array_split(rows, -(-len(rows) // _ROWS)):
            window_of = _Windows(centres[part], first[part], last[part])
            fitted[part] = window_of.fit(times, points, weights, part, int(lower))
    return fitted


class _Windows:
    """m windows: around `centres` (m,) seconds, with the frames from `first` (m,) to before `last` (m,)."""

    def __init__(self, centres: Doubles, first: Integers, last: Integers) -> None:
        self.centres = centres
        frames = first[:, None] + np.arange((last - first).max())
        self.inside = frames < last[:, None]
        self.frames = np.where(self.inside, frames, first[:, None])

    def fit(
        self, times: Doubles, points: Doubles, weights: Doubles, at: Integers, degree: int
    ) -> Doubles:
        """Polynomials fitted to each window, at the time of its frame `at` (m,): (m, J, 2)."""
        away = times[self.frames] - self.centres[:, None]
        scale = np.maximum(np.abs(away).max(axis=1, keepdims=True), 1e-12)  # powers of -1..1 are well conditioned
        powers = (away / scale)[..., None] ** np.arange(degree + 1)
        weighted = np.einsum("mkp,mkj->mjkp", powers, weights[self.frames] * self.inside[..., None])
        left = np.einsum("mjkp,mkq->mjpq", weighted, powers)
        right = np.einsum("mjkp,mkjc->mjpc", weighted, points[self.frames])
        here = ((times[at] - self.centres)[:, None] / scale) ** np.arange(degree + 1)
        return np.asarray(np.einsum("mp,mjpc->mjc", here, np.linalg.solve(left, right)))
