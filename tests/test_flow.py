"""Dense flow against known motion, reading it at points, and scene cuts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from posetrack.errors import DeviceError, FormatError
from posetrack.flow import CUT_THRESHOLD, FLOWS, Glance, cut_score, gray, make_flow, read_flow
from posetrack.types import Image
from posetrack.video import open_video


def texture(seed: int, height: int = 90, width: int = 160) -> Any:
    """A smooth coloured texture."""
    noise = np.random.default_rng(seed).uniform(0, 255, (height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def shifted(image: Any, x: float, y: float) -> Any:
    matrix = np.array([[1, 0, x], [0, 1, y]], np.float64)
    return cv2.warpAffine(image, matrix, image.shape[1::-1], borderMode=cv2.BORDER_REFLECT)


@pytest.mark.parametrize("name", [name for name in FLOWS if name != "none"])
def test_a_moved_picture_has_the_flow_it_was_moved_by(name: str) -> None:
    size = (48, 64) if name == "tvl1" else (90, 160)
    flow = make_flow(name)
    assert flow is not None
    image = texture(0, *size)
    field = flow(image, shifted(image, 2.5, -1.5))
    assert (field.shape, field.dtype) == ((*size, 2), np.float32)
    inner = field[12:-12, 12:-12].reshape(-1, 2)
    np.testing.assert_allclose(np.median(inner, axis=0), (2.5, -1.5), atol=0.15)
    assert np.quantile(np.abs(inner - (2.5, -1.5)), 0.9) < 0.6


@pytest.mark.parametrize("name", ["dis-fast", "dis-medium", "farneback"])
def test_flow_is_the_same_each_time_in_any_thread_and_after_other_pictures(name: str) -> None:
    flow = make_flow(name)
    assert flow is not None
    first, second, third = texture(1), shifted(texture(1), 3, 1), texture(2, 60, 100)
    expected = flow(first, second)
    flow(third, shifted(third, 1, 1))
    np.testing.assert_array_equal(flow(first, second), expected)
    with ThreadPoolExecutor(4) as pool:
        for field in pool.map(lambda _: flow(first, second), range(8)):
            np.testing.assert_array_equal(field, expected)
    threads = cv2.getNumThreads()
    try:
        for count in (1, 3, 8):
            cv2.setNumThreads(count)
            np.testing.assert_array_equal(flow(first, second), expected)
    finally:
        cv2.setNumThreads(threads)


def test_no_flow_unknown_flow_and_flow_that_this_opencv_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert make_flow("none") is None
    with pytest.raises(FormatError, match="dis-fast, dis-medium, farneback, tvl1, none"):
        make_flow("raft")
    monkeypatch.delattr(cv2, "optflow")
    with pytest.raises(DeviceError, match="opencv-contrib-python-headless"):
        make_flow("tvl1")


@pytest.mark.parametrize("name", ["dis-fast", "dis-medium", "farneback"])
def test_tiny_pictures_and_pictures_of_two_sizes(name: str) -> None:
    flow = make_flow(name)
    assert flow is not None
    for size in (1, 2, 7, 11, 12, 13, 17):
        field = flow(texture(0, size, size + 3), texture(1, size, size + 3))
        assert field.shape == (size, size + 3, 2)
        assert np.isfinite(field).all()
    with pytest.raises(ValueError, match="one size"):
        flow(texture(0, 20, 20), texture(0, 20, 21))


# -- reading ---------------------------------------------------------------------------------------------------------


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_reading_is_bilinear_inside_and_nan_outside(height: int, width: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    flow = random.normal(size=(height, width, 2)).astype(np.float32)
    points = random.uniform(-2, (width + 1, height + 1), (50, 2)).astype(np.float32)
    read = read_flow(flow, points)
    inside = np.all((points >= -0.5) & (points <= (width - 0.5, height - 0.5)), axis=1)
    np.testing.assert_array_equal(np.isnan(read).all(axis=1), ~inside)
    np.testing.assert_array_equal(np.isnan(read).any(axis=1), ~inside)
    for channel in range(2):
        expected = map_coordinates(flow[..., channel], points[inside, ::-1].T, order=1, mode="nearest")
        np.testing.assert_allclose(read[inside, channel], expected, atol=1e-5)


@given(st.tuples(*[st.floats(-3, 3)] * 6))
def test_a_flow_that_is_linear_is_read_exactly(terms: tuple[float, ...]) -> None:
    y, x = np.mgrid[:8, :12].astype(np.float64)
    a, b, c, d, e, f = terms
    flow = np.stack([a + b * x + c * y, d + e * x + f * y], axis=-1).astype(np.float32)
    points = np.random.default_rng(0).uniform((0, 0), (11, 7), (40, 2)).astype(np.float32)
    px, py = points.astype(np.float64).T
    expected = np.stack([a + b * px + c * py, d + e * px + f * py], axis=-1)
    np.testing.assert_allclose(read_flow(flow, points), expected, atol=1e-4)


def test_reading_no_points_and_points_that_are_nowhere() -> None:
    flow = np.ones((4, 5, 2), np.float32)
    assert read_flow(flow, np.zeros((0, 2), np.float32)).shape == (0, 2)
    points = np.array([[np.nan, 1], [1, np.inf], [4.5, 3.5], [4.6, 0], [-0.5, -0.5]], np.float32)
    np.testing.assert_array_equal(np.isnan(read_flow(flow, points)[:, 0]), [True, True, False, True, False])


def test_flow_reads_gray_pictures_as_it_reads_coloured_ones() -> None:
    first, second = texture(1), shifted(texture(1), 3, 1)
    flow = make_flow("dis-fast")
    assert flow is not None
    np.testing.assert_array_equal(flow(gray(first), gray(second)), flow(first, second))


# -- cuts ------------------------------------------------------------------------------------------------------------


def difference(previous: Image, current: Image) -> float:
    return cut_score(Glance.of(previous), Glance.of(current))


def test_scores_of_made_up_neighbours() -> None:
    image, other = texture(0), 255 - texture(5) // 2
    noise = np.random.default_rng(0).integers(120, 130, (2, 90, 160, 3), np.uint8)
    assert difference(image, image) == pytest.approx(0, abs=1e-3)
    assert difference(image, shifted(image, 20, 5)) < 0.5 * CUT_THRESHOLD
    assert difference(noise[0], noise[1]) < 0.5 * CUT_THRESHOLD
    assert difference(image, cv2.convertScaleAbs(image, alpha=0.8, beta=50)) < CUT_THRESHOLD  # a flash
    assert difference(image, other) > CUT_THRESHOLD
    assert difference(other, image) == pytest.approx(difference(image, other))
    assert difference(np.zeros_like(image), np.zeros_like(image)) == 0
    assert 0 <= difference(np.zeros_like(image), np.full_like(image, 255)) <= 1


def cuts(clip: Path) -> list[int]:
    found, previous = [], None
    with open_video(clip) as video:
        for frame in video:
            if previous is not None and difference(previous, frame.image) >= CUT_THRESHOLD:
                found.append(frame.index)
            previous = frame.image
    return found


@pytest.mark.parametrize(
    ("name", "true"),
    [
        ("bikes_scene_cuts.mp4", [30, 76, 137, 187, 242]),
        ("armwrestling_closeup.mp4", []),
        ("basketball_gym_lowres.mp4", []),
        ("empty_phone_rotated.mp4", []),
        ("street_couple_openpose.avi", []),
    ],
)
def test_true_cuts_are_found_and_moving_cameras_are_none(name: str, true: list[int], shared: Path) -> None:
    assert cuts(shared / "data/video" / name) == true
