"""Filters of joints over time, without delay: one-euro, Savitzky-Golay and Butterworth.

Each takes a stretch and gives its points (n, J, 2) smoothed. They see times, never frame numbers; where frames come
evenly they are the textbook's: Casiez 2012's recurrence, scipy's savgol_filter and sosfiltfilt.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.signal import butter, sosfiltfilt

from posetrack.clean.regression import half_window, local_polynomial
from posetrack.clean.stretches import Doubles, Stretch
from posetrack.errors import InputError

__all__ = ["FILTERS", "Butterworth", "Filter", "OneEuro", "SavitzkyGolay"]


@dataclass(frozen=True)
class OneEuro:
    """The one-euro filter (Casiez, Roussel, Vogel 2012), forwards and backwards in time, averaged.

    The cut-off is `min_cutoff` Hz at rest and grows by `beta` Hz with each body size a second that a coordinate moves;
    `derivative_cutoff` Hz smooths that speed.
    """

    min_cutoff: float = 3.0
    beta: float = 2.0
    derivative_cutoff: float = 1.0

    def check(self, step: float) -> None:
        """Any time from frame to frame will do."""

    def __call__(self, stretch: Stretch) -> Doubles:
        """The points (n, J, 2), smoothed."""
        forwards = self.follow(stretch.times, stretch.points, stretch.size)
        backwards = self.follow(-stretch.times[::-1], stretch.points[::-1], stretch.size)
        return np.asarray((forwards + backwards[::-1]) / 2)

    def follow(self, times: Doubles, points: Doubles, size: float) -> Doubles:
        """One pass over `points` (n, ...) in the order given, late as the live filter is: the published recurrence."""
        smooth = points.copy()
        speed = np.zeros(points.shape[1:])
        beta = self.beta / size
        for i in range(1, len(points)):
            passed = times[i] - times[i - 1]
            speed += _alpha(passed, self.derivative_cutoff) * ((points[i] - smooth[i - 1]) / passed - speed)
            alpha = _alpha(passed, self.min_cutoff + beta * np.abs(speed))
            smooth[i] = alpha * points[i] + (1 - alpha) * smooth[i - 1]
        return smooth


def _alpha(passed: float, cutoff: Doubles | float) -> Doubles:
    """How far a first-order low-pass of `cutoff` Hz goes towards a new value after `passed` seconds."""
    return np.asarray(1 / (1 + 1 / (2 * np.pi * cutoff * passed)))


@dataclass(frozen=True)
class SavitzkyGolay:
    """At every frame a polynomial of degree `order`, fitted to the `window` seconds around it.

    At the ends of a stretch the window stays inside it, as scipy's mode 'interp' has it.
    """

    window: float = 0.3
    order: int = 2

    def check(self, step: float) -> None:
        """InputError when so few frames, `step` seconds apart, are in a window that the polynomial meets them all."""
        frames = 2 * half_window(self.window, step) + 1
        if frames < self.order + 2:
            raise InputError(
                f"a window of {self.window:g} s holds {frames} frames {step:.4g} s apart, which a polynomial of order "
                f"{self.order} meets all: nothing is smoothed; take --window {(self.order + 2) * step:.2g} or more"
            )

    def __call__(self, stretch: Stretch) -> Doubles:
        """The points (n, J, 2), smoothed."""
        even = np.ones(stretch.points.shape[:2])
        return local_polynomial(stretch.times, stretch.points, even, self.order, self.window, stretch.step)


_FINER = 4
"""Moments a frame on the grid of frames that do not come evenly."""


@dataclass(frozen=True)
class Butterworth:
    """A Butterworth low-pass of `order` and `cutoff` Hz, run forwards and backwards (scipy's sosfiltfilt).

    Both passes together have twice the order and halve the amplitude at the cut-off. Frames that do not come evenly, or
    are missing, are first brought onto an even grid by monotone cubics (pchip).
    """

    cutoff: float = 6.0
    order: int = 2

    def check(self, step: float) -> None:
        """InputError when frames `step` seconds apart are too few for the cut-off."""
        if self.cutoff * step >= 0.5:
            raise InputError(
                f"a cut-off of {self.cutoff:g} Hz needs more than {2 * self.cutoff:g} frames a second, these tracks "
                f"have {1 / step:.3g}; take --cutoff {0.2 / step:.2g}, or another filter"
            )

    def __call__(self, stretch: Stretch) -> Doubles:
        """The points (n, J, 2), smoothed."""
        step, places = _grid(stretch.times, stretch.step)
        moments = np.arange(round(places[-1]) + 1)
        even = PchipInterpolator(places, stretch.points, axis=0)(moments)
        sections = butter(self.order, min(self.cutoff, 0.49 / step), fs=1 / step, output="sos")
        beyond = 3 * (2 * len(sections) + 1 - min((sections[:, 2] == 0).sum(), (sections[:, 5] == 0).sum()))
        beyond *= max(1, round(stretch.step / step))  # scipy's padding, as long on a finer grid
        # scipy's odd extension, which it refuses to short stretches: lines go on as lines
        longer = np.pad(even, ((beyond, beyond), (0, 0), (0, 0)), mode="reflect", reflect_type="odd")
        smooth = sosfiltfilt(sections, longer, axis=0, padtype=None)[beyond:-beyond]
        return np.asarray(PchipInterpolator(moments, smooth, axis=0)(places))


def _grid(times: Doubles, step: float) -> tuple[float, Doubles]:
    """Seconds between the moments of an even grid, and where on it the frames (n,) at `times` lie, from 0.

    A moment a frame (`step` seconds, about) where they all come on time, give or take a twentieth; more otherwise.
    """
    counts = np.concatenate([[0.0], np.cumsum(np.rint(np.diff(times) / step))])
    even = float(times[-1] - times[0]) / max(counts[-1], 1)
    if (np.diff(counts) > 0).all() and np.abs(times - times[0] - even * counts).max() < 0.05 * even:
        return even, counts
    fine = float(times[-1] - times[0]) / np.ceil(_FINER * (times[-1] - times[0]) / step)
    return fine, (times - times[0]) / fine


Filter = OneEuro | SavitzkyGolay | Butterworth
FILTERS: dict[str, type[Filter]] = {"one-euro": OneEuro, "savgol": SavitzkyGolay, "butterworth": Butterworth}
"""The filters by the name that they have on the command line."""
