"""Angles and speeds against ones that can be worked out by hand, and what they must not depend on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import savgol_filter

from posetrack.kinematics import (
    ANGLES,
    body_height,
    body_middle,
    derivative,
    inclination,
    inner_angle,
    joint_angles,
    seen_places,
    speed,
    stretches,
)
from posetrack.skeleton import COCO17, MPII16, POSETRACK17, POSETRACK18, Skeleton

WHOLE = np.zeros(10_000, np.int64)
"""One stretch without a break."""

ALL_ANGLES = {f"{side}_{angle}" for angle in ANGLES for side in ("left", "right")} | {"trunk"}


def uneven(count, seed=0, step=0.04):
    """Times a step apart on average, from a quarter of it to nearly two."""
    steps = np.random.default_rng(seed).uniform(0.25, 1.75, count) * step
    return np.cumsum(steps)


@pytest.mark.parametrize(
    ("end", "vertex", "other", "degrees"),
    [
        ((1, 0), (0, 0), (0, 1), 90),
        ((1, 0), (0, 0), (-1, 0), 180),
        ((1, 0), (0, 0), (7, 0), 0),
        ((0, 3), (0, 0), (4, 3), 90 - np.degrees(np.arctan2(3, 4))),
        ((2, 0), (1, np.sqrt(3)), (0, 0), 60),
        ((10, 10), (5, 5), (5, 0), 135),
        ((1e-3, 1e-9), (0, 0), (1, 0), np.degrees(1e-6)),
        ((0, 0), (0, 0), (1, 0), np.nan),
        ((np.nan, 0), (0, 0), (1, 0), np.nan),
    ],
)
def test_angles_of_known_triangles(end, vertex, other, degrees):
    assert inner_angle(end, vertex, other) == pytest.approx(degrees, abs=1e-9, nan_ok=True)
    assert inner_angle(other, vertex, end) == pytest.approx(degrees, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize(
    ("lower", "upper", "degrees"),
    [
        ((5, 9), (5, 1), 0),  # y points down: the upper end is above
        ((0, 0), (1, -1), 45),
        ((0, 0), (-1, -1), -45),
        ((0, 0), (3, 0), 90),
        ((0, 0), (0, 2), 180),
        ((1, 1), (1, 1), np.nan),
    ],
)
def test_leaning_is_measured_from_vertical_positive_to_the_right(lower, upper, degrees):
    assert inclination(lower, upper) == pytest.approx(degrees, nan_ok=True)


def standing(skeleton, knee=180.0, elbow=90.0, lean=0.0):
    """Somebody upright with 10-pixel limbs and arms half raised, as places (1, J, 2)."""
    places = {"middle": np.array([100.0, 50.0])}
    lean = np.radians(lean)
    for side, x in (("left", 5.0), ("right", -5.0)):
        hip = np.array([100 + x, 100.0])
        shoulder = hip + 30 * np.array([np.sin(lean), -np.cos(lean)])
        bend = np.radians(180 - knee)
        places[f"{side}_hip"], places[f"{side}_shoulder"] = hip, shoulder
        places[f"{side}_knee"] = knee_joint = hip + np.array([0, 10])
        places[f"{side}_ankle"] = knee_joint + 10 * np.array([-np.sin(bend), np.cos(bend)])
        places[f"{side}_elbow"] = shoulder + np.array([10, 0])
        turn = np.radians(180 - elbow)
        places[f"{side}_wrist"] = shoulder + np.array([10, 0]) + 10 * np.array([np.cos(turn), -np.sin(turn)])
    return np.array([[places.get(joint, places["middle"]) for joint in skeleton.joints]])


@pytest.mark.parametrize("skeleton", [COCO17, POSETRACK17, POSETRACK18, MPII16], ids=lambda s: s.name)
def test_the_angles_of_a_pose_in_every_skeleton(skeleton):
    angles = joint_angles(standing(skeleton, knee=120, elbow=70), skeleton)
    assert set(angles) == ALL_ANGLES
    wanted = {"knee": 120, "hip": 180, "elbow": 70, "shoulder": 90}
    for name, values in angles.items():
        assert values == pytest.approx([wanted.get(name.split("_")[-1], 0)])
    leaning = joint_angles(standing(skeleton, lean=-20), skeleton)
    assert leaning["trunk"] == pytest.approx([-20])
    assert leaning["left_hip"] == pytest.approx([160])
    assert leaning["right_shoulder"] == pytest.approx([70])


def test_only_what_the_joints_allow():
    legs = Skeleton("legs", ("left_hip", "left_knee", "left_ankle"), (), (), (0.1, 0.1, 0.1))
    assert set(joint_angles(np.zeros((3, 3, 2)), legs)) == {"left_knee"}
    face = Skeleton("face", ("nose", "chin"), (), (), (0.1, 0.1))
    assert joint_angles(np.zeros((3, 2, 2)), face) == {}
    assert joint_angles(np.zeros((0, 17, 2)), COCO17)["trunk"].shape == (0,)


def test_joints_below_the_threshold_are_nowhere():
    keypoints = np.concatenate([standing(COCO17)[0], np.full((17, 1), 0.9)], axis=1)[None].repeat(2, axis=0)
    keypoints[1, COCO17.index("left_ankle"), 2] = 0.19
    angles = joint_angles(seen_places(keypoints, 0.2), COCO17)
    assert np.isnan(angles["left_knee"]).tolist() == [False, True]
    assert all(np.isfinite(values).all() for name, values in angles.items() if name != "left_knee")


def test_an_evenly_turning_forearm_gives_a_line():
    times = uneven(100)
    degrees = 20 + 140 * times / times[-1]
    places = standing(COCO17).repeat(len(times), axis=0)
    elbow = places[:, COCO17.index("left_elbow")]
    turn = np.radians(180 - degrees)
    places[:, COCO17.index("left_wrist")] = elbow + 25 * np.stack([np.cos(turn), -np.sin(turn)], 1)
    found = joint_angles(places, COCO17)["left_elbow"]
    assert found == pytest.approx(degrees)
    for window in (0, 0.2):
        assert derivative(times, found, WHOLE[:100], window) == pytest.approx(140 / times[-1])


seeds = st.integers(0, 2**32 - 1).map(np.random.default_rng)
places_of_people = seeds.map(lambda random: random.uniform(-300, 900, (4, 17, 2)))


@given(places_of_people, st.floats(-np.pi, np.pi), st.floats(0.01, 100), st.floats(-1e4, 1e4), st.booleans())
def test_angles_know_no_place_size_turn_or_mirror(places, turn, scale, shift, mirrored):
    cos, sin = np.cos(turn), np.sin(turn)
    moved = scale * places @ np.array([[cos, -sin], [sin, cos]]) * (-1 if mirrored else 1, 1) + (shift, -shift)
    before, after = joint_angles(places, COCO17), joint_angles(moved, COCO17)
    for name in ALL_ANGLES - {"trunk"}:
        np.testing.assert_allclose(after[name], before[name], atol=1e-4)
        assert ((before[name] >= 0) & (before[name] <= 180)).all()
    turned = inclination(*(scale * places[:, :2].swapaxes(0, 1) + shift))
    np.testing.assert_allclose(turned, inclination(places[:, 0], places[:, 1]), atol=1e-4)


@given(places_of_people)
def test_left_and_right_change_places_in_a_mirror(places):
    before = joint_angles(places, COCO17)
    after = joint_angles((places * (-1, 1))[:, list(COCO17.flip_order)], COCO17)
    for angle in ANGLES:
        np.testing.assert_allclose(after[f"left_{angle}"], before[f"right_{angle}"], atol=1e-6)
    np.testing.assert_allclose(after["trunk"], -before["trunk"], atol=1e-6)


@pytest.mark.parametrize("window", [0.0, 0.1, 0.2])
def test_the_speed_on_a_circle_is_radius_times_angular_speed_whatever_the_steps(window):
    times, radius, omega = uneven(500), 120.0, 2.5
    places = radius * np.stack([np.cos(omega * times), np.sin(omega * times)], axis=1) + (400, 300)
    assert speed(times, places, WHOLE[:500], window) == pytest.approx(radius * omega, rel=0.02)


def test_frame_numbers_would_have_told_something_else():
    times = np.array([0, 0.04, 0.08, 0.28, 0.48, 0.52, 0.56])
    places = np.stack([50 * times, 0 * times], axis=1)
    for window in (0, 0.2, 1):
        assert speed(times, places, WHOLE[:7], window) == pytest.approx(50)


def test_a_parabola_is_met_exactly_and_even_times_give_savitzky_golay():
    times = uneven(60)
    rates = derivative(times, 3 + 5 * times - 4 * times**2, WHOLE[:60])
    assert rates[6:-6] == pytest.approx((5 - 8 * times)[6:-6])
    even, noise = np.arange(60) / 25, np.random.default_rng(0).normal(size=60)
    wanted = savgol_filter(noise, 5, 2, deriv=1, delta=1 / 25)
    assert derivative(even, noise, WHOLE[:60], 0.2)[2:-2] == pytest.approx(wanted[2:-2])


def test_without_a_window_it_is_numpys_gradient():
    times, values = uneven(40), np.random.default_rng(1).normal(size=(40, 2))
    np.testing.assert_array_equal(derivative(times, values, WHOLE[:40], 0), np.gradient(values, times, axis=0))


def test_long_tracks_are_worked_on_in_parts():
    times = uneven(9000, step=0.02)
    values = np.random.default_rng(2).normal(size=9000)
    whole = derivative(times, values, WHOLE[:9000])
    middle = slice(4000, 4200)
    np.testing.assert_allclose(derivative(times[middle], values[middle], WHOLE[:200])[20:-20], whole[4020:4180])


def test_stretches_end_at_gaps_cuts_and_where_time_stands_still():
    cuts = np.zeros(12, bool)
    cuts[[0, 5]] = True
    times = np.arange(12) / 10
    times[9] = times[8]
    rows = np.array([0, 1, 2, 4, 5, 6, 8, 9, 10])
    assert stretches(rows, cuts, times).tolist() == [0, 0, 0, 1, 2, 2, 3, 4, 4]
    assert stretches(np.zeros(0, int), cuts, times).tolist() == []
    assert stretches([3], cuts, times).tolist() == [0]


@pytest.mark.parametrize("window", [0.0, 0.3])
def test_no_speed_looks_across_a_gap_or_a_joint_that_is_not_seen(window):
    times = np.arange(12) / 10
    places = np.stack([np.where(times < 0.55, 10, 500) * 1.0, 7 * times], axis=1)
    rates = speed(times, places, np.repeat([0, 1], 6), window)
    assert rates == pytest.approx(7)
    places[6] = np.nan
    rates = speed(times, places, WHOLE[:12], window)
    assert np.isnan(rates).tolist() == [n == 6 for n in range(12)]
    assert rates[[5, 7]] == pytest.approx(7)
    places[[8, 10]] = np.nan
    assert np.flatnonzero(np.isfinite(speed(times, places, WHOLE[:12], window))).tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_few_values(count):
    times = np.arange(count) / 2
    rates = speed(times, np.stack([4 * times, 3 * times], axis=1), WHOLE[:count])
    assert rates == pytest.approx([np.nan] if count == 1 else [5.0] * count, nan_ok=True)


noisy = seeds.map(lambda random: random.normal(0, 50, (30, 2)))


@given(noisy, st.floats(-np.pi, np.pi), st.floats(0.01, 100), st.floats(-1e3, 1e3), st.floats(0, 1e3))
def test_speeds_know_no_place_and_turn_grow_with_size_and_ignore_when_it_was(places, turn, scale, shift, later):
    times = uneven(30)
    cos, sin = np.cos(turn), np.sin(turn)
    moved = scale * places @ np.array([[cos, -sin], [sin, cos]]) + shift
    before = speed(times, places, WHOLE[:30])
    np.testing.assert_allclose(speed(times + later, moved, WHOLE[:30]), scale * before, rtol=1e-5, atol=1e-5 * scale)
    np.testing.assert_allclose(speed(2 * times, places, WHOLE[:30], 0.4), before / 2, rtol=1e-6)


def test_the_middle_of_a_body_is_one_point_all_the_way():
    boxes = np.array([[0, 0, 10, 40], [10, 0, 20, 60], [20, 0, 30, 50]], np.float32)
    keypoints = np.concatenate([standing(COCO17), np.ones((1, 17, 1))], axis=2).repeat(3, axis=0)
    hips = [COCO17.index("left_hip"), COCO17.index("right_hip")]
    shoulders = [COCO17.index("left_shoulder"), COCO17.index("right_shoulder")]
    keypoints[2, hips[0], 2] = 0
    name, middle = body_middle(seen_places(keypoints, 0.2), boxes, COCO17)
    assert name == "hips_middle"
    assert middle[:2].tolist() == [[100, 100]] * 2
    assert np.isnan(middle[2]).all()
    keypoints[1, hips[1], 2] = 0
    name, middle = body_middle(seen_places(keypoints, 0.2), boxes, COCO17)
    assert (name, middle.tolist()) == ("shoulders_middle", [[100, 70]] * 3)
    keypoints[:, shoulders[0], 2] = 0
    name, middle = body_middle(seen_places(keypoints, 0.2), boxes, COCO17)
    assert (name, middle.tolist()) == ("box_centre", [[5, 20], [15, 30], [25, 25]])
    assert body_height(boxes) == 50
    assert np.isnan(body_height(boxes[:0]))
