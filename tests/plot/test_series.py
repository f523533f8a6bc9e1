"""What is plotted: the right people, joints, times and units, and the lines through them."""

import cv2
import numpy as np
import pytest
from made_walkers import two_walkers, walker, write
from matplotlib.colors import to_rgb

from posetrack.plot.series import WHAT, Choice, Measure, chosen_people, measured, side_of, within
from posetrack.plot.style import SIDE_INK, strokes, track_ink
from posetrack.render import SIDES, track_colour
from posetrack.results.trajectories import read_trajectories
from posetrack.skeleton import COCO17
from posetrack.types import FrameResult, Person


@pytest.fixture
def tracks(tmp_path):
    return write(tmp_path / "clip.tracks.json", two_walkers(), names={2: "Ada"})


def test_a_gap_stays_empty_and_a_filled_one_is_dashed(tracks):
    found = read_trajectories(tracks)
    series = measured(found, found.people, "coordinates", Choice(), Measure(), "x")[0]
    drawn = strokes(np.column_stack([series.times, series.values]), series)
    solid, dashed = drawn.solid[np.isfinite(drawn.solid[:, 0])], drawn.dashed[np.isfinite(drawn.dashed[:, 0])]
    frames = np.rint(solid[:, 0] * 25).astype(int).tolist()
    assert frames == [*range(15), *range(20, 25), *range(30, 35), *range(35, 40)]
    assert np.isnan(drawn.solid[:, 0]).sum() == 4  # four lines: before and after the gap, up to the cut and from it
    assert np.rint(dashed[:, 0] * 25).tolist() == list(range(24, 31))
    assert len(drawn.dots) == 0


def test_a_value_that_stands_alone_is_a_dot(tmp_path):
    frames = [FrameResult(n, n / 25, (walker(1, n, 0),) * (n in (2, 5, 6))) for n in range(9)]
    tracks = write(tmp_path / "a.json", frames)
    found = read_trajectories(tracks)
    series = measured(found, found.people, "coordinates", Choice(), Measure(), "x")[0]
    drawn = strokes(np.column_stack([series.times, series.values]), series)
    assert drawn.dots.tolist() == [[2 / 25, 2]]
    assert len(drawn.solid) == 3


@pytest.mark.parametrize(
    ("measure", "unit", "value"),
    [
        (Measure(), "px/s", 150),
        (Measure(pixel_size=4), "m/s", 0.6),
        (Measure(by_height=True), "heights/s", 150 / 80),
    ],
)
def test_units_of_speed(tracks, measure, unit, value):
    found = read_trajectories(tracks)
    series = measured(found, found.people, "speeds", Choice(), measure, "x")
    assert [one.unit for one in series] == [unit, unit]
    assert series[0].values == pytest.approx(value, rel=1e-3)
    assert series[1].values == pytest.approx(0, abs=1e-3)


def test_pixels_become_metres(tracks):
    found = read_trajectories(tracks)
    in_pixels = measured(found, found.people, "paths", Choice(), Measure(), "x")
    in_metres = measured(found, found.people, "paths", Choice(), Measure(pixel_size=5), "x")
    for a, b in zip(in_pixels, in_metres, strict=True):
        np.testing.assert_allclose(a.values * 0.005, b.values)
        assert (a.unit, b.unit) == ("px", "m")


def test_a_part_has_the_numbers_of_the_whole(tracks):
    found = read_trajectories(tracks)
    part = Choice(start=0.4, end=1.2)
    for what in WHAT:
        whole = measured(found, found.people, what, Choice(), Measure(), "x")
        cut = measured(found, found.people, what, part, Measure(), "x")
        for a, b in zip(whole, cut, strict=True):
            np.testing.assert_array_equal(a.values[within(a.times, part)], b.values)
            assert set(b.frames) <= set(range(10, 30))


def test_raw_joints_are_those_before_cleaning(tmp_path):
    before, after = walker(1, 50, 60), walker(1, 80, 60)
    person = Person(1, 0.9, after.box, after.keypoints, "detector", raw=before.keypoints)
    found = read_trajectories(write(tmp_path / "a.json", [FrameResult(0, 0.0, (person,))]))
    assert [
        measured(found, found.people, "paths", Choice(), Measure(raw=raw), "x")[0].values[0] for raw in (False, True)
    ] == [80, 50]


@pytest.mark.parametrize(("wanted", "ids"), [((), [1, 2]), (("2",), [2]), (("Ada",), [2]), (("Ada", "1", "2"), [1, 2])])
def test_people_by_id_and_name(tracks, wanted, ids):
    assert [person.id for person in chosen_people(read_trajectories(tracks), Choice(people=wanted), "x")] == ids


@pytest.mark.parametrize(
    ("joints", "found"),
    [
        (("wrist",), ["left_wrist", "right_wrist"]),
        (("left_wrist", "wrist"), ["left_wrist", "right_wrist"]),
        (("middle", "nose"), ["hips_middle", "nose"]),
        (("all",), ["hips_middle", *COCO17.joints]),
    ],
)
def test_joints_by_name(tracks, joints, found):
    result = read_trajectories(tracks)
    series = measured(result, result.people[:1], "speeds", Choice(joints=joints), Measure(), "x")
    assert [one.of for one in series] == found


def test_colours_can_be_read_on_white_and_keep_their_hue():
    def hue(colour):
        return cv2.cvtColor(np.float32([[colour]]), cv2.COLOR_RGB2HSV)[0, 0, 0]

    for id in range(1, 200):
        ink, colour = np.array(track_ink(id)), np.array(track_colour(id)) / 255
        assert (ink <= colour + 1e-3).all()
        assert abs((hue(ink) - hue(colour) + 180) % 360 - 180) < 3
        assert ink.max() <= 1
    for side in ("left", "right"):
        assert abs(hue(SIDE_INK[side]) - hue(np.array(SIDES[side]) / 255)) < 12
    assert to_rgb(SIDE_INK["middle"]) < (0.3, 0.3, 0.3)
    assert [side_of(name) for name in ("left_knee", "trunk", "right_eye")] == [
        ("left", "knee"), ("middle", "trunk"), ("right", "eye"),
    ]  # fmt: skip
