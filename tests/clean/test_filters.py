"""The filters against the textbook, and what every filter must leave alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moving import walk
from scipy.signal import butter, savgol_filter, sosfiltfilt

from posetrack.clean.filters import FILTERS, Butterworth, OneEuro, SavitzkyGolay
from posetrack.clean.regression import local_polynomial
from posetrack.clean.stretches import Stretch
from posetrack.errors import InputError

ALL = [OneEuro(), SavitzkyGolay(), Butterworth(), SavitzkyGolay(0.5, 4), Butterworth(3, 4), OneEuro(1, 0.5, 2)]
seeds = st.integers(0, 2**32 - 1)


def even(points, fps=25.0, size=100.0):
    return Stretch(3 + np.arange(len(points)) / fps, np.asarray(points, float), 1 / fps, size)


def uneven(rng, points, fps=25.0, size=100.0):
    return Stretch(3 + np.cumsum(rng.uniform(0.3, 1.7, len(points))) / fps, np.asarray(points, float), 1 / fps, size)


@pytest.mark.parametrize("fps", [25, 30, 29.97, 50, 240])
@pytest.mark.parametrize("order", [1, 2, 3, 4, 8])
def test_butterworth_of_even_frames_is_scipys(fps, order):
    points = walk(np.random.default_rng(order), 200)
    wanted = sosfiltfilt(butter(order, 6, fs=fps, output="sos"), points, axis=0)
    np.testing.assert_allclose(Butterworth(6, order)(even(points, fps)), wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("fps", [25, 30, 29.97, 50, 240])
@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_savgol_of_even_frames_is_scipys_to_the_ends(fps, order):
    points = walk(np.random.default_rng(order), 200)
    length = 2 * int(0.15 * fps + 0.05) + 1
    wanted = savgol_filter(points, length, order, axis=0)
    np.testing.assert_allclose(SavitzkyGolay(0.3, order)(even(points, fps)), wanted, rtol=0, atol=1e-6)


class Published:
    """Algorithm 1 of Casiez, Roussel and Vogel 2012, one coordinate, word for word."""

    def __init__(self, min_cutoff, beta, derivative_cutoff):
        self.min_cutoff, self.beta, self.derivative_cutoff = min_cutoff, beta, derivative_cutoff
        self.x = self.dx = None

    @staticmethod
    def alpha(rate, cutoff):
        tau = 1 / (2 * np.pi * cutoff)
        return 1 / (1 + tau * rate)

    def __call__(self, x, rate):
        dx = 0.0 if self.x is None else (x - self.x) * rate
        a = self.alpha(rate, self.derivative_cutoff)
        self.dx = dx if self.dx is None else a * dx + (1 - a) * self.dx
        a = self.alpha(rate, self.min_cutoff + self.beta * abs(self.dx))
        self.x = x if self.x is None else a * x + (1 - a) * self.x
        return self.x


@pytest.mark.parametrize("settings", [(1.0, 0.007, 1.0), (3.0, 2.0, 1.0), (0.5, 0.0, 2.0)])
def test_one_euro_is_the_published_recurrence_in_both_directions(settings):
    rng = np.random.default_rng(1)
    stretch = uneven(rng, walk(rng, 60, 1), size=40.0)
    steps = np.diff(stretch.times)
    values = stretch.points[:, 0, 1]
    min_cutoff, beta, derivative_cutoff = settings
    ways = []
    for signal, passed in ((values, steps), (values[::-1], steps[::-1])):
        published = Published(min_cutoff, beta / 40.0, derivative_cutoff)
        rates = [1.0, *(1 / passed)]
        ways.append([published(x, rate) for x, rate in zip(signal, rates, strict=True)])
    filter = OneEuro(*settings)
    followed = filter.follow(stretch.times, stretch.points, 40.0)[:, 0, 1]
    np.testing.assert_allclose(followed, ways[0], rtol=0, atol=1e-9)
    wanted = (np.array(ways[0]) + ways[1][::-1]) / 2
    np.testing.assert_allclose(filter(stretch)[:, 0, 1], wanted, rtol=0, atol=1e-9)


@pytest.mark.parametrize("filter", ALL, ids=str)
@given(seed=seeds, n=st.integers(2, 60))
def test_a_body_at_rest_is_left_alone(filter, seed, n):
    rng = np.random.default_rng(seed)
    points = np.broadcast_to(rng.uniform(-500, 500, (1, 2, 2)), (n, 2, 2))
    np.testing.assert_allclose(filter(uneven(rng, points)), points, rtol=0, atol=1e-6)


@given(seeds, st.integers(0, 4), st.integers(6, 80))
def test_savgol_leaves_polynomials_of_its_order_alone(seed, order, n):
    rng = np.random.default_rng(seed)
    stretch = uneven(rng, np.zeros((n, 2, 2)))
    u = (stretch.times - stretch.times[0])[:, None] ** np.arange(order + 1)
    points = np.einsum("np,pjc->njc", u, rng.normal(0, 50, (order + 1, 2, 2)))
    wide = SavitzkyGolay(0.6, order)(Stretch(stretch.times, points, stretch.step, 100.0))
    np.testing.assert_allclose(wide, points, rtol=0, atol=1e-6 * max(1, np.abs(points).max()))


@given(seeds, st.integers(2, 80))
def test_butterworth_leaves_even_motion_alone(seed, n):
    """Frames come as they like: a line is a line on the even grid, too."""
    rng = np.random.default_rng(seed)
    stretch = uneven(rng, np.zeros((n, 1, 2)))
    points = (stretch.times[:, None] * rng.normal(0, 100, 2) + rng.normal(0, 100, 2))[:, None]
    smooth = Butterworth()(Stretch(stretch.times, points, stretch.step, 100.0))
    np.testing.assert_allclose(smooth, points, rtol=0, atol=0.01)


@pytest.mark.parametrize("filter", ALL[:3], ids=str)
@given(seeds, st.floats(0.1, 10), st.floats(-1e4, 1e4))
def test_time_may_be_shifted_and_stretched(filter, seed, scale, shift):
    rng = np.random.default_rng(seed)
    stretch = uneven(rng, walk(rng, 50))
    stretched = {
        OneEuro: OneEuro(3 / scale, 2, 1 / scale), SavitzkyGolay: SavitzkyGolay(0.3 * scale),
        Butterworth: Butterworth(6 / scale),
    }[type(filter)]  # fmt: skip
    later = Stretch(stretch.times * scale + shift, stretch.points, stretch.step * scale, stretch.size)
    np.testing.assert_allclose(stretched(later), filter(stretch), rtol=0, atol=1e-4)


@pytest.mark.parametrize("filter", ALL[:3], ids=str)
@given(seeds, st.floats(0.01, 100), st.floats(-1e4, 1e4))
def test_the_picture_may_be_shifted_and_scaled(filter, seed, scale, shift):
    rng = np.random.default_rng(seed)
    stretch = uneven(rng, walk(rng, 50))
    moved = Stretch(stretch.times, stretch.points * scale + shift, stretch.step, stretch.size * scale)
    wanted = filter(stretch) * scale + shift
    np.testing.assert_allclose(filter(moved), wanted, rtol=0, atol=1e-7 * max(1, np.abs(wanted).max()))


@pytest.mark.parametrize("filter", [OneEuro(), SavitzkyGolay(), SavitzkyGolay(0.5, 3)], ids=str)
@given(seeds)
def test_a_film_run_backwards_gives_the_same(filter, seed):
    rng = np.random.default_rng(seed)
    stretch = uneven(rng, walk(rng, 50))
    backwards = Stretch(-stretch.times[::-1], stretch.points[::-1], stretch.step, stretch.size)
    np.testing.assert_allclose(filter(backwards)[::-1], filter(stretch), rtol=0, atol=1e-6)


@pytest.mark.parametrize("filter", ALL[:3], ids=str)
@pytest.mark.parametrize("rate", ["even", "uneven", "a third missing"])
def test_slow_motion_keeps_its_moment_and_noise_goes(filter, rate):
    """A swing of 1 Hz is not late, whatever the times of the frames; white noise is halved at least."""
    rng = np.random.default_rng(5)
    times = np.arange(200) / 25
    if rate == "uneven":
        times = np.cumsum(rng.uniform(0.4, 1.6, 200)) / 25
    elif rate == "a third missing":
        times = times[np.flatnonzero(rng.random(200) > 0.33)]
    swing = (100 * np.sin(2 * np.pi * times))[:, None, None] * np.ones((1, 3, 2))
    step = float(np.median(np.diff(times)))
    middle = slice(15, -15)
    clean = filter(Stretch(times, swing, step, 100.0))[middle]
    assert np.abs(clean - swing[middle]).max() < 16
    waves = np.stack([wave(2 * np.pi * times[middle]) for wave in (np.sin, np.cos)], axis=1)
    sine, cosine = np.linalg.lstsq(waves, clean[:, 0, 0], rcond=None)[0]
    assert abs(cosine / sine) / (2 * np.pi) < 0.002  # seconds late
    still = rng.normal(0, 1, swing.shape)
    assert filter(Stretch(times, still, step, 100.0)).std() < 0.75


@pytest.mark.parametrize("n", [1, 2, 3, 5, 10])
@pytest.mark.parametrize("filter", ALL, ids=str)
def test_short_stretches(filter, n):
    if n == 1:
        return  # smooth() gives no such stretch
    points = walk(np.random.default_rng(0), n)
    found = filter(even(points))
    assert found.shape == points.shape
    assert np.isfinite(found).all()


def test_a_filter_that_does_nothing_at_this_rate_says_so():
    with pytest.raises(InputError, match=r"more than 12 frames a second, these tracks have 10; take --cutoff 2"):
        Butterworth().check(0.1)
    with pytest.raises(InputError, match=r"holds 3 frames 0\.1 s apart.*--window 0\.4 or more"):
        SavitzkyGolay().check(0.1)
    SavitzkyGolay(0.4).check(0.1)
    Butterworth(2).check(0.1)
    OneEuro().check(0.1)


def test_weights_decide_a_fit():
    """A point of little weight hardly bends the line through the others; weights are relative."""
    times = np.arange(9) / 25
    points = np.zeros((9, 1, 2))
    points[4] = 90
    weights = np.ones((9, 1))
    even_fit = local_polynomial(times, points, weights, 1, 0.4, 0.04)[4, 0, 0]
    assert even_fit == pytest.approx(10)
    weights[4] = 0.01
    assert local_polynomial(times, points, weights, 1, 0.4, 0.04)[4, 0, 0] == pytest.approx(90 * 0.01 / 8.01)
    half = local_polynomial(times, points, weights / 2, 1, 0.4, 0.04)
    np.testing.assert_allclose(half, local_polynomial(times, points, weights, 1, 0.4, 0.04), atol=1e-9)


def test_the_filters_have_their_names():
    assert list(FILTERS) == ["one-euro", "savgol", "butterworth"]
